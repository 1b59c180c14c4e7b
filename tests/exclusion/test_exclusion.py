"""What a list excludes, compared with a naive twin, and how lists are written, read, refused and saved."""

import gzip
import random
from collections import Counter
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.exclusion import REASONS, Exclusion, list_files
from curation.exclusion.kinds import KINDS
from curation.exclusion.sets import DomainSet, KeySet, canonical, uid_keys
from curation.inputs.candidates import candidates, tallies
from metadata import InputError
from tests.naive.exclusion import naive_excluded

URL = "https://img.example.org/a.jpg"
UID = md5(URL.encode()).hexdigest()
LISTED = {
    "uids": [UID, "own/1", "ABCDEF" + "0" * 26],
    "urls": ["https://example.net/é.jpg"],
    "domains": ["example.com", "bücher.example", "192.0.2.1"],
    "pages": ["news.example"],
    "regexes": [r"\.gif$", "/ads?/"],
}
# Host of a URL, a listed domain, and whether this covers that.
HOSTS = [
    ("example.org", "example.org", True),
    ("www.example.org", "example.org", True),
    ("a.b.example.org", "example.org", True),
    ("badexample.org", "example.org", False),
    ("example.org.evil.net", "example.org", False),
    ("org", "example.org", False),
    ("example.com", "example.org", False),
    ("EXAMPLE.Org", "example.org", True),
    ("example.org", "Example.ORG.", True),
    ("example.org.", "example.org", True),
    ("example.org:8080", "example.org", True),
    ("user:word@example.org:80", "example.org", True),
    ("example.org@evil.net", "example.org", False),
    ("a@b@example.org", "example.org", True),
    ("evil.net\\@example.org", "example.org", False),
    ("evil.net?x=://example.org", "example.org", False),
    ("evil.net#@example.org", "example.org", False),
    ("bücher.example", "xn--bcher-kva.example", True),
    ("xn--bcher-kva.example", "bücher.example", True),
    ("www.BÜCHER.example", "bücher.example", True),
    ("b%C3%BCcher.example", "bücher.example", True),
    ("ex%61mple.org", "example.org", True),
    ("bucher.example", "bücher.example", False),
    ("例え。テスト", "例え.テスト", True),
    ("ＥＸＡＭＰＬＥ.org", "example.org", True),
    ("ü.example.org", "example.org", True),
    ("ΟΔΌΣ.gr", "οδόσ.gr", True),
    ("192.0.2.1", "192.0.2.1", True),
    ("[2001:db8::1]:80", "[2001:db8::1]", True),
    ("%%%", "example.org", False),
    ("%2525.org", "example.org", False),
    ("ü" * 100_000 + ".net", "example.org", False),
]


def batch(rows: list[dict]) -> pa.RecordBatch:
    return candidates(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in ("url", "uid", "page_url")}
    )


def reasons(exclusion: Exclusion, rows: list[dict]) -> list[str | None]:
    return exclusion.excluded(batch(rows)).to_pylist()


def written(path, *lines: str) -> str:
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def test_each_kind_of_list_gives_its_reason():
    rows = [
        {"url": URL},
        {"url": "https://example.net/é.jpg"},
        {"url": "https://www.example.com/a.jpg"},
        {"url": "https://cdn.example/a.jpg", "page_url": "https://news.example/article"},
        {"url": "https://cdn.example/ad/a.jpg"},
        {"url": "https://cdn.example/a.jpg"},
    ]
    assert reasons(Exclusion.of(**LISTED), rows) == [*REASONS, None]


def test_of_several_reasons_the_first_is_told():
    exclusion = Exclusion.of(domains=["example.org"], regexes=["img"], urls=[URL])
    assert reasons(exclusion, [{"url": URL}]) == ["excluded_url"]


@pytest.mark.parametrize(("host", "domain", "is_covered"), HOSTS)
def test_a_domain_covers_its_hosts_in_any_spelling_and_no_others(host, domain, is_covered):
    exclusion = Exclusion.of(domains=[domain])
    expected = ["excluded_domain" if is_covered else None] * 2
    assert reasons(exclusion, [{"url": f"https://{host}"}, {"url": f"http://{host}/é.jpg?a=b#c"}]) == expected


def test_what_has_no_host_is_below_no_domain():
    urls = [
        "",
        ":",
        "://",
        "http:",
        "http:/",
        "http://",
        "http:///",
        "example.org",
        "//example.org",
        "http://:80",
        None,
    ]
    assert not DomainSet.of(["example.org", "80"]).contains(pa.array(urls)).any()


parts = st.sampled_from(
    ["example", "com", "www", "bad", "BÜCHER", "bücher", "xn--bcher-kva", "192", "0", "2", "1"] + list(".@:/?#\\")
)
hosts = st.lists(parts, max_size=8).map("".join)


@given(st.lists(st.tuples(hosts, hosts, st.sampled_from([None, UID, UID.upper(), "own/1", "own/2"])), max_size=8))
@settings(max_examples=300, deadline=None)
def test_rows_are_excluded_as_by_the_naive_twin(drawn):
    paths = ["", "/a.gif", "/ads/1"]
    rows = [
        {"url": f"https://{host}{paths[number % 3]}", "page_url": f"http://{page}.news.example", "uid": uid}
        for number, (host, page, uid) in enumerate(drawn)
    ]
    assert reasons(Exclusion.of(**LISTED), rows) == [naive_excluded(row, **LISTED) for row in rows]


def test_among_many_domains_those_are_found_that_are_listed():
    chance = random.Random(0)
    names = [f"{chance.choice('abc')}{chance.randrange(500)}.{chance.choice(['org', 'co.uk'])}" for _ in range(3000)]
    listed, urls = names[:1000], [f"http://www.{name}/" for name in names]
    expected = [name in set(listed) for name in names]
    assert DomainSet.of(listed).contains(pa.array(urls)).tolist() == expected
    assert 1000 < sum(expected) < 2900


@pytest.mark.parametrize("form", ["{:032x}", "{:x}00000000000000000000000000", "own-{}"])
def test_among_many_uids_those_are_found_that_are_listed_however_they_are_spread(form):
    uids = [form.format(number) for number in range(2**20, 2**20 + 3000)]
    keys = KeySet.of([uid_keys(uids[::2]), uid_keys(uids[:10:2])])
    assert len(keys) == 1500
    assert keys.contains(uid_keys(uids)).tolist() == [True, False] * 1500


def test_the_first_and_last_keys_are_found():
    edges = ["0" * 32, "f" * 32]
    assert KeySet.of([uid_keys(edges)]).contains(uid_keys([*edges, "0" * 31 + "1", "f" * 31 + "e"])).tolist() == [
        *(True, True),
        *(False, False),
    ]


def test_without_lists_nothing_is_excluded():
    exclusion = Exclusion.read([])
    assert len(exclusion) == 0
    assert reasons(exclusion, [{"url": URL}, {"url": None}]) == [None, None]


def test_no_rows_are_no_reasons():
    assert len(Exclusion.of(**LISTED).excluded(batch([]))) == 0


def test_tallies_are_never_excluded():
    exclusion = Exclusion.of(uids=[md5(b"").hexdigest()], regexes=[".*", "^$"])
    assert exclusion.excluded(tallies(Counter(files=1))).to_pylist() == [None]


def test_a_slice_has_the_reasons_of_its_rows():
    rows = [
        {"url": f"https://{'www.' * (k % 3)}example.{'com' if k % 2 else 'org'}/{k}é", "uid": "own/1"}
        for k in range(40)
    ]
    whole, exclusion = batch(rows), Exclusion.of(domains=["example.com"], uids=["own/2"])
    expected = reasons(exclusion, rows)
    assert exclusion.excluded(whole.slice(7, 20)).to_pylist() == expected[7:27]
    assert Counter(expected) == {None: 20, "excluded_domain": 20}


def test_a_row_without_uid_has_that_of_its_url():
    exclusion = Exclusion.of(uids=[UID])
    assert reasons(exclusion, [{"url": URL}, {"url": URL, "uid": "other"}, {"url": "x", "uid": UID}]) == [
        "excluded_uid",
        None,
        "excluded_uid",
    ]
    assert exclusion.excluded(pa.record_batch({"url": [URL]})).to_pylist() == ["excluded_uid"]


def test_a_uid_s_digits_are_read_in_either_case_and_other_uids_as_they_stand():
    assert reasons(Exclusion.of(uids=[UID.upper(), "Own"]), [{"url": URL}, {"url": "x", "uid": "own"}]) == [
        "excluded_uid",
        None,
    ]


def test_what_is_left_comes_with_the_tallies_of_what_went():
    exclusion = Exclusion.of(**LISTED)
    batches = [batch([{"url": URL}, {"url": "https://a.example"}]), batch([{"url": URL}]), tallies(Counter(pairs=3))]
    left = list(exclusion.out_of(batches))
    assert [rows["url"].to_pylist() for rows in left[:1]] == [["https://a.example"]]
    counted = Counter()
    for rows in left[1:]:
        for row in rows.to_pylist():
            counted[row["text"]] += row["tally"]
    assert counted == {"pairs": 1, "dropped.excluded_uid": 2}


def test_lines_say_what_they_are_by_a_prefix_or_by_their_form(tmp_path):
    path = written(
        tmp_path / "list.txt",
        "\ufeff# from the desk of Ö",
        "",
        f"  {UID} \r",
        "uid:own/1",
        "uid: abcdef00000000000000000000000000",
        "https://example.net/é.jpg",
        "example.com",
        "domain:Bücher.example.",
        "192.0.2.1",
        "page: news.example",
        r"regex:\.gif$",
        "regex:/ads?/",
    )
    assert Exclusion.read([path]).digest == Exclusion.of(**LISTED).digest


BAD = [
    ("TODO", "neither a uid .* nor a URL .* nor a domain"),
    ("*.example.org", "no domain; give one such as example.org, which covers its subdomains"),
    ("example.org/a.jpg", "no domain"),
    ("example.org # spam", "no domain"),
    ("example.org:80", "no domain"),
    ("1.2.3", "no domain"),
    ("domain:", "no domain"),
    ("page:a b", "no domain"),
    ("ftp://example.org/a.jpg", "no URL of the web"),
    ("url:example.org", "no URL of the web"),
    ("uid:", "no uid"),
    ("regex:", "no regular expression of RE2"),
    ("regex:(?=a)", "no regular expression of RE2"),
    ("regex:[", "no regular expression of RE2"),
]


@pytest.mark.parametrize(("line", "expected"), BAD)
def test_a_bad_line_is_refused_with_its_place(tmp_path, line, expected):
    path = written(tmp_path / "list.txt", "# é", "example.org", "", line, "example.org")
    with pytest.raises(InputError, match=rf"list\.txt, line 4: '.*' is {expected}"):
        Exclusion.read([path])


def test_every_kind_refuses_what_a_bad_line_shows():
    assert {line.partition(":")[0] for line, _ in BAD} >= set(KINDS) - {"url"}


def test_bytes_that_are_no_utf_8_are_refused_with_their_line(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"example.org\nb\xfccher.example\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: byte 0xfc is not UTF-8"):
        Exclusion.read([tmp_path / "list.txt"])


def test_a_missing_or_cut_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="missing.txt cannot be read"):
        Exclusion.read([tmp_path / "missing.txt"])
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"example.org\n" * 100)[:-9])
    with pytest.raises(InputError, match=r"cut.txt.gz cannot be read"):
        Exclusion.read([tmp_path / "cut.txt.gz"])
    (tmp_path / "no.parquet").write_bytes(b"example.org\n")
    with pytest.raises(InputError, match="no.parquet cannot be read"):
        Exclusion.read([tmp_path / "no.parquet"])


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_a_list_reads_alike_in_blocks_of_any_size_and_names_the_right_line(tmp_path, monkeypatch, block):
    monkeypatch.setattr(list_files, "_TEXT_BYTES", block)
    lines = [f"bücher{number}.example" for number in range(20)]
    assert Exclusion.read([written(tmp_path / "list.txt", *lines)]).digest == Exclusion.of(domains=lines).digest
    with pytest.raises(InputError, match="line 21: 'bad'"):
        Exclusion.read([written(tmp_path / "list.txt", *lines, "bad", "")])


@pytest.mark.parametrize("name", ["list.txt", "list.txt.gz", "list.txt.zst", "LIST.GZ"])
def test_packed_lists_are_unpacked(tmp_path, name):
    with pa.output_stream(str(tmp_path / name), compression={"gz": "gzip", "st": "zstd"}.get(name[-2:].lower())) as out:
        out.write(f"{UID}\nexample.org".encode())
    assert Exclusion.read([tmp_path / name]).digest == Exclusion.of(uids=[UID], domains=["example.org"]).digest


TABLE = pa.table({"why": ["x", "y", "z"], "uid": [UID, None, ""], "url": [None, "https://é.example/a", None]})


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.tsv", "t.csv.gz", "t.csv.zst"])
def test_tables_exclude_by_their_columns_uid_and_url(tmp_path, name):
    if name.endswith("parquet"):
        pq.write_table(TABLE.set_column(1, "uid", TABLE["uid"].dictionary_encode()), tmp_path / name)
    else:
        compression = {"gz": "gzip", "st": "zstd"}.get(name[-2:])
        with pa.output_stream(str(tmp_path / name), compression=compression) as out:
            pa_csv.write_csv(TABLE, out, pa_csv.WriteOptions(delimiter="\t" if ".tsv" in name else ","))
    read = Exclusion.read([tmp_path / name])
    assert read.digest == Exclusion.of(uids=[UID], urls=["https://é.example/a"]).digest


def test_a_table_without_such_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"key": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet has the columns key; expected one named uid or url"):
        Exclusion.read([tmp_path / "t.parquet"])
    with pytest.raises(InputError, match=r"t\.csv has the columns key, value; expected"):
        Exclusion.read([written(tmp_path / "t.csv", "key,value", "1,2")])


def test_a_bad_value_of_a_table_is_refused_with_its_row(tmp_path):
    pq.write_table(pa.table({"url": [URL, None, "example.org"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet, row 3, column url: 'example.org' is no URL"):
        Exclusion.read([tmp_path / "t.parquet"])


def test_strings_are_refused_as_lines_are():
    with pytest.raises(InputError, match=r"'\(\?=a\)' is no regular expression of RE2"):
        Exclusion.of(regexes=["a", "(?=a)"])
    with pytest.raises(InputError, match="the domain list must be a sequence"):
        Exclusion.of(domains="example.org")


def test_the_digest_names_what_is_excluded_not_how_it_was_written(tmp_path):
    one = written(tmp_path / "one", "example.org", "uid:a", "regex:x", "example.com")
    other = written(tmp_path / "other", "# again", "regex:x", "domain:EXAMPLE.com", "uid:a", "uid:a", "example.org")
    assert Exclusion.read([one]).digest == Exclusion.read([other]).digest == Exclusion.read([other, one]).digest
    others = [Exclusion.of(**{name: [value]}) for name, value in [("uids", UID), ("urls", URL), ("regexes", "x")]]
    others += [
        Exclusion.of(domains=["a.b"]),
        Exclusion.of(pages=["a.b"]),
        Exclusion.of(domains=["b.a"]),
        Exclusion.of(),
    ]
    assert len({each.digest for each in others}) == len(others)


@pytest.mark.parametrize("listed", [LISTED, {}])
def test_a_saved_exclusion_opens_the_same_mapped_into_memory(tmp_path, listed):
    exclusion = Exclusion.of(**listed)
    opened = Exclusion.open(exclusion.save(tmp_path / "saved"))
    rows = [{"url": URL}, {"url": "https://bücher.example"}, {"url": "https://a.example/b.gif"}, {"url": None}]
    assert reasons(opened, rows) == reasons(exclusion, rows)
    assert (opened.digest, len(opened)) == (exclusion.digest, len(exclusion))
    assert isinstance(opened.uids.keys, np.memmap)


def test_a_damaged_or_missing_exclusion_is_refused(tmp_path):
    folder = tmp_path / "saved"
    Exclusion.of(**LISTED).save(folder)
    keys = bytearray((folder / "uids_keys.npy").read_bytes())
    keys[-1] ^= 1
    (folder / "uids_keys.npy").write_bytes(keys)
    with pytest.raises(InputError, match=r"uids_keys\.npy is damaged"):
        Exclusion.open(folder)
    with pytest.raises(InputError, match="holds no readable exclusion.json"):
        Exclusion.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "host", ["Straße.example", "ΣΊΣΥΦΟΣ.gr", "İ.example", "a\xadb.example", "ﬁ.example", "ー.example"]
)
def test_a_canonical_host_is_ascii_and_stays_as_it_is(host):
    assert canonical(host).isascii()
    assert canonical(canonical(host)) == canonical(host)
