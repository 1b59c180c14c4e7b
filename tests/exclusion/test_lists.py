"""Lists of exclusions are read, refused, and saved."""

import gzip
import os

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from curation.exclusion import Exclusion
from curation.exclusion.lists import HASHES, KINDS
from curation.inputs.tables import parquet_tables as parquet
from metadata import InputError
from tests.support.exclusions import LISTED, UID, URL, reasons, written
from tests.support.mapped import is_mapped


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
    ("*.example.org", "not a domain; write one such as example.org, which covers its subdomains"),
    ("example.org/a.jpg", "not a domain"),
    ("example.org # spam", "not a domain"),
    ("example.org:80", "not a domain"),
    ("1.2.3", "not a domain"),
    ("domain:", "not a domain"),
    ("page:a b", "not a domain"),
    ("ftp://example.org/a.jpg", "not a URL of the web"),
    ("url:example.org", "not a URL of the web"),
    ("uid:", "not a uid"),
    ("regex:", "not a regular expression of RE2"),
    ("regex:(?=a)", r"not a regular expression of RE2, .*; rewrite it .* \(RE2 says: invalid perl operator: \(\?=\)"),
    ("regex:[", r"not a regular expression of RE2, .* \(RE2 says: missing \]: \[\)"),
]


HASH = "0123456789abcdefABCDEF0123456789" * 2
HASHES_OF = {"sha256": HASH, "md5": HASH[:32], "pdq": HASH[::-1]}
BAD_HASHES = [
    ("", f"sha256:{HASH[1:]}", "the value is not a hash of the kind sha256; expected 64 hexadecimal digits"),
    ("", f"pdq:{HASH[1:]}g", "the value is not a hash of the kind pdq; expected 64 hexadecimal digits"),
    ("", f"md5:{HASH}", "the value is not a hash of the kind md5; expected 32 hexadecimal digits"),
    ("", HASH, "the value is a hash of an unknown kind; pass the list as KIND=FILE"),
    ("", HASH[:40], "the value is a hash of an unknown kind"),
    ("", f"{HASH},80", "the value is a hash of an unknown kind"),
    ("md5=", HASH, "the value is not a hash of the kind md5"),
    ("sha256=", HASH[:32], "the value is not a hash of the kind sha256"),
    ("sha256=", "example.org", "the value is not a hash of the kind sha256"),
]


@pytest.mark.parametrize(("kind", "line", "expected"), BAD_HASHES)
def test_a_bad_hash_is_refused_and_not_shown(tmp_path, kind, line, expected):
    path = written(tmp_path / "list.txt", "# a list", "", line)
    table = written(tmp_path / "list.csv", f"name,{kind.strip('=') or line.partition(':')[0]}", f"x,{line}")
    for given, where in ((path, "line 3"), (table, "row 1, column .*")):
        if where == "line 3" or kind:
            with pytest.raises(InputError, match=rf"{where}: {expected}") as refused:
                Exclusion.read([f"{kind}{given}"])
            assert line[-30:] not in str(refused.value)


def test_lists_of_hashes_are_lines_or_columns_whose_kind_is_named(tmp_path):
    sha256, md5, pdq = HASHES_OF.values()
    lines = written(tmp_path / "all.txt", f"sha256:{sha256}", f"md5: {md5.upper()}", f"pdq:{pdq}", "example.org")
    ways = [
        [
            written(tmp_path / f"{kind}.txt", "# of a hotline", value, value.upper())
            for kind, value in HASHES_OF.items()
        ],
        [
            written(tmp_path / f"{kind}.csv", f"id,{kind.upper()},note", f"1,{value},x")
            for kind, value in HASHES_OF.items()
        ],
        [written(tmp_path / f"{kind}2.tsv", "hash\tquality", f"{value}\t80") for kind, value in HASHES_OF.items()],
    ]
    (tmp_path / "md5.txt.gz").write_bytes(gzip.compress(md5.encode()))
    digests = {Exclusion.read([lines]).digest}
    for number, paths in enumerate(ways):
        named = [path if number == 1 else f"{kind}={path}" for kind, path in zip(HASHES_OF, paths, strict=True)]
        digests.add(
            Exclusion.read([*named, f"md5={tmp_path / 'md5.txt.gz'}", written(tmp_path / "d", "example.org")]).digest
        )
    assert len(digests) == 1
    read = Exclusion.read([lines])
    assert {kind: words.astype(">u8").tobytes().hex() for kind, words in read.hashes.items()} == {
        "sha256": sha256.lower(),
        "md5": md5.lower(),
        "pdq": pdq.lower(),
    }
    with pytest.raises(InputError, match=r"contain hashes \(sha256, md5, pdq\), which only clip-curate can look up"):
        Exclusion.without_hashes([lines])


@pytest.mark.parametrize(("line", "expected"), BAD)
def test_a_bad_line_is_refused_with_its_place(tmp_path, line, expected):
    path = written(tmp_path / "list.txt", "# é", "example.org", "", line, "example.org")
    with pytest.raises(InputError, match=rf"list\.txt, line 4: '.*' is {expected}"):
        Exclusion.read([path])


def test_every_kind_refuses_what_a_bad_line_shows():
    assert {line.partition(":")[0] for line, _ in BAD} >= set(KINDS) - {"url", *HASHES}


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


def test_a_list_from_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is a FIFO; pass a regular file, a text or a table"):
        Exclusion.read([tmp_path / "pipe"])


@pytest.mark.parametrize("block", [1, 7, 40, 1000])
def test_a_list_reads_alike_in_blocks_of_any_size_and_names_the_right_line(tmp_path, monkeypatch, block):
    monkeypatch.setattr(parquet, "_TEXT_BYTES_AT_ONCE", block)
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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.tsv", f'URL\tcaption\n{URL}\t5" tv\nhttp://b/c\t"stray\n'),
        ("l.csv", f'caption;url\n"a ""b""; c";{URL}\n"two\nlines";http://b/c\n'),
        ("l.tsv", f'"caption"\t"Url"\n"a ""b"" c"\t"{URL}"\n"two\nlines"\t"http://b/c"\n'),
    ],
)
def test_a_table_is_read_in_the_dialect_that_it_shows(tmp_path, name, content):
    path = written(tmp_path / name, content)
    assert Exclusion.read([path]).digest == Exclusion.read([written(tmp_path / "l.txt", f"{URL}\nhttp://b/c\n")]).digest


def test_a_uid_of_a_table_may_be_a_digest_in_bytes(tmp_path):
    pq.write_table(pa.table({"UID": pa.array([bytes.fromhex(UID)], pa.binary(16))}), tmp_path / "l.parquet")
    same = Exclusion.read([written(tmp_path / "l.txt", UID)])
    assert Exclusion.read([tmp_path / "l.parquet"]).digest == same.digest


def test_a_table_without_such_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"key": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet has the columns key; expected a column named uid or url"):
        Exclusion.read([tmp_path / "t.parquet"])
    with pytest.raises(InputError, match=r"t\.csv has the columns key, value; expected"):
        Exclusion.read([written(tmp_path / "t.csv", "key,value", "1,2")])


def test_a_bad_value_of_a_table_is_refused_with_its_row(tmp_path):
    pq.write_table(pa.table({"url": [URL, None, "example.org"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet, row 3, column url: 'example.org' is not a URL"):
        Exclusion.read([tmp_path / "t.parquet"])


def test_strings_are_refused_as_lines_are():
    with pytest.raises(InputError, match=r"'\(\?=a\)' is not a regular expression of RE2"):
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
    assert is_mapped(opened.uids.keys)


def test_hashes_beside_uids_or_urls_are_not_of_the_list(tmp_path):
    table = written(tmp_path / "hashes.csv", "uid,sha256,pdq", f"{UID},{HASH},")
    assert Exclusion.read([table]).digest == Exclusion.of(uids=[UID]).digest
    assert [*Exclusion.read([f"sha256={table}"]).hashes] == ["sha256"]


@pytest.mark.parametrize("content", [b"", b"\n  \n", "\ufeff".encode()])
@pytest.mark.parametrize("before", ["", "md5="])
def test_an_empty_list_is_refused_and_one_that_says_so_is_not(tmp_path, content, before):
    path = tmp_path / "a=list.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a=list.txt is empty; leave it out, or, if it is meant to list nothing"):
        Exclusion.read([f"{before}{path}"])
    path.write_text("# nobody has asked yet\n")
    assert not len(Exclusion.read([f"{before}{path}"]))
