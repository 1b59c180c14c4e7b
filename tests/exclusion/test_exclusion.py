"""Rows are excluded for the reasons that the naive twin gives."""

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.exclusion import REASONS, Exclusion
from curation.exclusion.lists import KeySet, domain_keys
from curation.url_hosts import canonical
from metadata import InputError
from runtime.arrow import exact_numbers, uid_numbers
from runtime.tallies import TaskResult
from tests.naive.exclusion import naive_excluded
from tests.support.exclusions import LISTED, UID, URL, batch, reasons

pytestmark = pytest.mark.kernels


def covered(domains, urls):
    return KeySet.of([domain_keys(pa.array(domains))]).covers(urls)


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


def test_each_kind_of_list_gives_its_reason():
    rows = [
        {"url": URL},
        {"url": "https://example.net/é.jpg"},
        {"url": "https://www.example.com/a.jpg"},
        {"url": "https://cdn.example/a.jpg", "page_url": "https://news.example/article"},
        {"url": "https://cdn.example/ad/a.jpg"},
        {"url": "https://cdn.example/a.jpg"},
    ]
    assert reasons(Exclusion.of(**LISTED), rows) == [*REASONS[1:], None]  # all but that of hashes


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
    assert not covered(["example.org", "80"], pa.array(urls)).any()


parts = st.sampled_from(
    ["example", "com", "www", "bad", "BÜCHER", "bücher", "xn--bcher-kva", "192", "0", "2", "1"] + list(".@:/?#\\")
)
hosts = st.lists(parts, max_size=8).map("".join)


@pytest.mark.slow
@given(st.lists(st.tuples(hosts, hosts, st.sampled_from([None, UID, UID.upper(), "own/1", "own/2"])), max_size=8))
@settings(max_examples=100, deadline=None)
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
    assert covered(listed, pa.array(urls)).tolist() == expected
    assert 1000 < sum(expected) < 2900


@pytest.mark.parametrize("form", ["{:032x}", "{:x}00000000000000000000000000", "own-{}"])
def test_among_many_uids_those_are_found_that_are_listed_however_they_are_spread(form):
    uids = [form.format(number) for number in range(2**20, 2**20 + 3000)]
    keys = KeySet.of([uid_numbers(uids[::2]), uid_numbers(uids[:10:2])])
    assert len(keys) == 1500
    assert keys.contains(uid_numbers(uids)).tolist() == [True, False] * 1500


def test_the_first_and_last_keys_are_found():
    edges = ["0" * 32, "f" * 32]
    assert KeySet.of([uid_numbers(edges)]).contains(uid_numbers([*edges, "0" * 31 + "1", "f" * 31 + "e"])).tolist() == [
        *(True, True),
        *(False, False),
    ]


def test_without_lists_nothing_is_excluded():
    exclusion = Exclusion.read([])
    assert len(exclusion) == 0
    assert reasons(exclusion, [{"url": URL}, {"url": None}]) == [None, None]


def test_no_rows_are_no_reasons():
    assert len(Exclusion.of(**LISTED).excluded(batch([]))) == 0


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


def test_what_goes_is_tallied_and_no_longer_counted_as_pairs():
    exclusion = Exclusion.of(**LISTED)
    batches, counted = [batch([{"url": URL}, {"url": "https://a.example"}]), batch([{"url": URL}])], TaskResult()
    left = list(exclusion.out_of(batches, counted))
    assert [rows["url"].to_pylist() for rows in left] == [["https://a.example"]]
    assert (counted["pairs"], counted["dropped", "excluded_uid"]) == (-2, 2)


def test_the_rows_that_each_list_names_are_counted_even_if_another_list_names_them_too(tmp_path):
    lists = {"domain": "example.org", "again": "example.org", "both": f"{URL}\nexample.net", "none": "example.com"}
    for name, lines in lists.items():
        (tmp_path / name).write_text(lines)
    paths = [str(tmp_path / name) for name in (*lists, "domain")]
    saved, counted = Exclusion.open(Exclusion.read(paths).save(tmp_path / "saved")), TaskResult()
    list(saved.out_of([batch([{"url": URL}, {"url": "https://a.example"}]), batch([{"url": URL}])], counted))
    rows = Exclusion.read(paths).rows_of_lists(counted)
    assert [(row["name"], row["values"], row["found"]) for row in rows] == [
        *((paths[0], 1, 2), (paths[1], 1, 2)),
        *((paths[2], 2, 2), (paths[3], 1, 0)),
    ]
    one = Exclusion.read(paths[:1])
    assert [row["found"] for row in one.rows_of_lists(counted)] == [2]


def test_a_missing_exclusion_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist; pass a folder with exclusion.json"):
        Exclusion.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "host", ["Straße.example", "ΣΊΣΥΦΟΣ.gr", "İ.example", "a\xadb.example", "ﬁ.example", "ー.example"]
)
def test_a_canonical_host_is_ascii_and_stays_as_it_is(host):
    assert canonical(host).isascii()
    assert canonical(canonical(host)) == canonical(host)


def test_images_of_listed_hashes_are_excluded_before_all_else_by_the_key_of_their_uid_or_url():
    keys = [exact_numbers([UID, "own/1", "ABCDEF" + "0" * 26])]
    exclusion = Exclusion.of(**LISTED).without([np.concatenate(keys).view(np.uint64)])
    rows = [
        {"url": URL},  # by the MD5 of its URL
        {"url": "https://example.com/1", "uid": "own/1"},
        {"url": URL, "uid": "own/2"},  # a table by url has the MD5
        {"url": "https://x.net/1", "uid": "ABCDEF" + "0" * 26},
        {"url": "https://x.net/1", "uid": "abcdef" + "0" * 26},  # another uid, to tables
        {"url": "https://example.com/2", "uid": "own/3"},
        {"url": None, "uid": "own/1"},
    ]
    assert reasons(exclusion, rows) == [*["excluded_hash"] * 4, "excluded_uid", "excluded_domain", None]
    assert len(exclusion) == len(Exclusion.of(**LISTED)) + 3
