"""Pairs of an image brought together: as the definition has it, however the rows are cut, ordered and combined."""

from itertools import permutations
from random import Random

import pyarrow as pa
import pytest

from curation.images.combining import OVER_LIMIT, SEVERAL_URLS, combine
from curation.images.grouping import DUPLICATE, group_images
from curation.inputs.limits import SHARED_UID, SHARED_UIDS
from curation.licences import LICENCES
from curation.schemas import HOST_SIGNALS, IMAGE_PLACES, KEYED, MATCHED, PAIRS, SIGNALS
from runtime.tallies import TaskResult
from tests.naive.images import naive_combine, naive_group
from tests.support.pair_rows import cut, pairs, random_pairs, shuffled

pytestmark = pytest.mark.kernels


def combined(rows: pa.RecordBatch, max_texts: int = 64) -> list[dict]:
    return combine(rows, max_texts, TaskResult()).to_pylist()


def sums(tallies: TaskResult) -> dict:
    return {(row["name"], row["item"], row["language"]): row["value"] for row in tallies.rows() if row["value"]}


@pytest.mark.parametrize("max_texts", [1, 3, 64])
@pytest.mark.parametrize("size", [1, 2, 7, 60, 400, 1500])
def test_combine_equals_its_naive_twin(size, max_texts):
    rows = random_pairs(Random(size), size, has_records=size != 60)
    tallies = TaskResult()
    found = combine(rows, max_texts, tallies)
    assert (found.to_pylist(), tallies["dropped", OVER_LIMIT]) == naive_combine(rows.to_pylist(), max_texts)
    found.validate(full=True)


@pytest.mark.parametrize("max_texts", [1, 3, 64])
@pytest.mark.parametrize("seed", range(6))
def test_combining_parts_and_then_what_is_left_of_them_is_combining_the_whole(seed, max_texts):
    random = Random(seed)
    rows = random_pairs(random, rows=600, images=12)
    of_whole, of_parts = TaskResult(), TaskResult()
    whole = combine(rows, max_texts, of_whole)
    parts = [combine(part, max_texts, of_parts) for part in cut(shuffled(rows, random), random, 7)]
    random.shuffle(parts)
    some = [combine(pa.concat_batches(parts[:3]), max_texts, of_parts), *parts[3:]]
    assert combine(pa.concat_batches(some), max_texts, of_parts).equals(whole)
    assert of_parts["dropped", OVER_LIMIT] == of_whole["dropped", OVER_LIMIT]
    group_images(whole, of_whole)
    group_images(combine(pa.concat_batches(some), max_texts, TaskResult()), of_parts)
    assert sums(of_parts) == sums(of_whole)


def test_rows_that_are_not_matched_yet_are_combined_alike():
    rows = random_pairs(Random(3), 300)
    expected = combine(rows, 3, TaskResult()).select(KEYED.names)
    assert combine(rows.select(KEYED.names), 3, TaskResult()).equals(expected)
    assert combine(rows.select(KEYED.names).slice(5, 0), 3, TaskResult()).equals(expected.slice(0, 0))


def test_combining_again_changes_nothing_and_counts_nothing():
    once = combine(random_pairs(Random(1), 500), 3, TaskResult())
    tallies = TaskResult()
    assert combine(once, 3, tallies).equals(once)
    assert tallies["dropped", OVER_LIMIT] == 0


def test_a_slice_is_combined_as_its_own_rows():
    rows = random_pairs(Random(2), 300)
    alone = pairs(*rows.to_pylist()[40:200])
    assert combine(rows.slice(40, 160), 3, TaskResult()).equals(combine(alone, 3, TaskResult()))
    assert combine(rows.slice(7, 0), 3, TaskResult()).equals(pairs())


def test_equal_texts_count_once_and_their_copies_add_up():
    rows = pairs({"uid": "a", "text": "x"}, {"uid": "b", "text": "x"}, {"uid": "a", "text": "x", "copies": 5})
    assert [(row["uid"], row["copies"]) for row in combined(rows)] == [("a", 6), ("b", 1)]


def test_each_row_has_the_smallest_url_of_its_image_those_of_dropped_texts_too():
    rows = pairs(
        {"uid": "a", "text": "x", "url": "http://é"},
        {"uid": "a", "text": "yy", "url": "http://z"},
        {"uid": "a", "text": "zzz", "url": "http://zz"},
        {"uid": "a", "text": "dropped", "url": "http://"},
    )
    assert [row["url"] for row in combined(rows, max_texts=2)] == ["http://"] * 2


def test_each_row_has_the_smallest_page_of_its_text():
    rows = pairs(
        {"uid": "a", "text": "사진", "page_url": "http://ko/2"},
        {"uid": "a", "text": "صورة", "page_url": "http://ar/"},
        {"uid": "a", "text": "사진", "page_url": None},
        {"uid": "a", "text": "사진", "page_url": "http://ko/10"},
        {"uid": "b", "text": "사진", "page_url": "http://b/"},
    )
    found = {(row["uid"], row["text"]): row["page_url"] for row in combined(rows)}
    assert found == {("a", "صورة"): "http://ar/", ("a", "사진"): "http://ko/10", ("b", "사진"): "http://b/"}


def test_each_row_has_all_signals_and_the_largest_stated_sizes_of_its_image_those_of_dropped_texts_too():
    rows = pairs(
        {"uid": "a", "text": "x", "signals": 1, "stated_width": 5},
        {"uid": "a", "text": "yy", "signals": 5, "stated_height": 0},
        {"uid": "a", "text": "dropped", "signals": 16, "stated_width": 70},
        {"uid": "b", "text": "x"},
    )
    of_image = [(row["signals"], row["stated_width"], row["stated_height"]) for row in combined(rows, max_texts=2)]
    assert of_image == [(21, 70, 0)] * 2 + [(0, None, None)]


@pytest.mark.parametrize("seed", range(20))
def test_no_split_of_the_rows_changes_what_an_image_carries(seed):
    random = Random(seed)
    rows = random_pairs(random, rows=120, images=3)
    names = ["uid", "signals", "stated_width", "stated_height"]
    whole = combine(rows, 2, TaskResult()).select(names)
    parts = [combine(part, 2, TaskResult()) for part in cut(shuffled(rows, random), random, random.randrange(1, 9))]
    assert combine(pa.concat_batches(parts), 2, TaskResult()).select(names).equals(whole)


def test_a_text_without_a_page_has_none():
    rows = pairs({"uid": "a", "text": "x"}, {"uid": "a", "text": "zzz", "page_url": "http://p"})
    assert [row["page_url"] for row in combined(rows)] == [None, "http://p"]


@pytest.mark.parametrize(
    ("pages", "of_image", "of_texts"),
    [
        (["http://p", "http://p"], "http://p", [None, None]),
        (["http://p/2", "http://p/1"], "http://p/1", ["http://p/2", None]),
        (["http://p", None], None, ["http://p", None]),  # no page must be given to a text that has none
        ([None, None], None, [None, None]),
    ],
)
def test_an_image_has_the_smallest_page_of_its_texts_and_these_their_own_where_it_is_another(pages, of_image, of_texts):
    rows = pairs(*({"uid": "a", "text": "x" * (2 * n + 1), "page_url": page} for n, page in enumerate(pages)))
    (image,) = group_images(combine(rows, 64, TaskResult()), TaskResult()).to_pylist()
    assert (image["page_url"], [text["page_url"] for text in image["candidates"]]) == (of_image, of_texts)


def test_strings_are_compared_by_their_bytes():
    rows = pairs(*({"uid": "a", "text": "x", "url": url} for url in ("\U0001f600", "\uffff", "ü", "zz")))
    assert combined(rows)[0]["url"] == "zz"
    assert combined(rows.slice(0, 2))[0]["url"] == "\uffff"  # UTF-16 would have it after the emoji


KINDS = [("alt", None), ("alt", "de"), ("alt", "ja"), ("text", None), ("title", "de")]  # as they are preferred


@pytest.mark.parametrize("preferred", range(len(KINDS)))
def test_of_equal_texts_the_smallest_kind_stays_and_then_the_smallest_given_language_none_first(preferred):
    rows = [
        {"uid": "a", "text": "x", "kind": kind, "given": given, "entries": [number]}
        for number, (kind, given) in enumerate(KINDS)
    ]
    for order in permutations(rows[preferred:]):
        (row,) = combined(pairs(*order))
        assert (row["kind"], row["given"], row["entries"]) == (*KINDS[preferred], [preferred])
        assert row["language"] == (row["given"] or "en")


@pytest.mark.parametrize("order", [*permutations([None, "de", "ja"])])
@pytest.mark.parametrize("name", ["page_language", "pool_language"])
def test_of_equal_texts_the_smallest_language_of_a_page_or_host_stays_one_that_is_stated_first(order, name):
    rows = pairs(*({"uid": "a", "text": "x", name: code} for code in order))
    for number in range(1, 4):
        parts = [combine(rows.slice(begin, number), 64, TaskResult()) for begin in range(0, 3, number)]
        (row,) = combined(pa.concat_batches(parts))
        assert (row[name], row["copies"]) == ("de", 3)


def test_of_many_texts_those_with_the_smallest_hash_stay_and_all_copies_of_others_are_counted():
    rows = [{"uid": "a", "text": "x" * n, "hash": -n} for n in range(1, 10)]
    tallies = TaskResult()
    kept = combine(pairs(*rows, *rows), 3, tallies).to_pylist()
    assert [row["text"] for row in kept] == ["x" * 9, "x" * 8, "x" * 7]
    assert tallies["dropped", OVER_LIMIT] == 12


def test_texts_with_one_hash_are_kept_apart_and_come_in_the_order_of_their_bytes():
    texts = ["b", "a", "é", "z", "b", "猫", "a"]
    kept = combined(pairs(*({"uid": "u", "text": text, "hash": 0} for text in texts)), max_texts=4)
    assert [(row["text"], row["copies"]) for row in kept] == [("a", 2), ("b", 2), ("z", 1), ("é", 1)]


@pytest.mark.parametrize("key", [0, 2**63, 2**64 - 1])
def test_images_with_one_key_are_kept_apart_though_their_hashes_mix_them(key):
    rows = [{"uid": uid, "text": text, "hash": hash, "key": key} for hash, uid, text in HASHED]
    others = [{"uid": "c", "text": "x", "key": 5}, {"uid": "d", "text": "x", "key": 2**64 - 2}]
    kept = combined(pairs(*rows, *others), max_texts=2)
    assert [(row["uid"], row["text"]) for row in kept if row["key"] == key] == [
        ("a", "p"),
        ("a", "q"),
        ("b", "p"),
        ("b", "é"),
    ]
    images = group_images(combine(pairs(*rows, *others), 2, TaskResult()), TaskResult()).to_pylist()
    assert sorted(row["uid"] for row in images) == ["a", "b", "c", "d"]


HASHED = [(1, "b", "p"), (2, "a", "p"), (3, "b", "é"), (3, "a", "q"), (4, "b", "r"), (5, "a", "s"), (1, "b", "p")]


def test_a_logo_with_very_many_alts_keeps_no_more_than_the_limit():
    rows = pairs({"uid": "a", "text": "x"}).take(pa.array([0] * 100_000))
    texts = pa.array([f"alt {i}" for i in range(100_000)])
    hashes = pa.array([i * 7919 % 100_003 for i in range(100_000)], pa.int64())
    columns = {name: rows[name] for name in PAIRS.names} | {"text": texts, "hash": hashes}
    tallies = TaskResult()
    kept = combine(pa.RecordBatch.from_pydict(columns, PAIRS), 64, tallies)
    assert kept["hash"].to_pylist() == sorted(hashes.to_pylist())[:64]
    assert tallies["dropped", OVER_LIMIT] == 100_000 - 64


def test_strings_of_a_megabyte_are_combined_like_any_other():
    long = "é" * 500_000
    rows = pairs(*({"uid": "a", "text": text, "page_url": long + text} for text in (long, long + "x", long, "x")))
    assert [(row["text"], row["copies"]) for row in combined(rows)] == [("x", 1), (long, 2), (long + "x", 1)]
    assert [row["page_url"] for row in combined(rows)] == [long + "x", long + long, long + long + "x"]


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_group_equals_its_naive_twin(seed, unique):
    rows = combine(random_pairs(Random(seed), 400, images=40), 4, TaskResult())
    tallies = TaskResult()
    found = group_images(rows, tallies, unique)
    images, expected = naive_group(rows.to_pylist(), unique)
    assert (found.to_pylist(), sums(tallies)) == (images, expected)
    found.validate(full=True)


def test_a_slice_is_grouped_as_its_own_rows():
    rows = combine(random_pairs(Random(5), 400), 4, TaskResult())
    assert group_images(rows.slice(11, 60), TaskResult()).to_pylist() == naive_group(rows.to_pylist()[11:71])[0]


def test_texts_without_a_match_and_images_without_such_a_text_are_left_out_but_counted():
    rows = pairs(
        {"uid": "a", "text": "x", "entries": []},
        {"uid": "b", "text": "x", "entries": []},
        {"uid": "b", "text": "yy", "entries": [3, 5], "page_url": "http://p"},
    )
    tallies = TaskResult()
    images = group_images(combine(rows, 64, tallies), tallies).to_pylist()
    assert [(i["uid"], i["page_url"], [c["entries"] for c in i["candidates"]]) for i in images] == [
        ("b", "http://p", [[3, 5]])
    ]
    assert (tallies["images"], tallies["texts"], tallies["matched"]) == (2, 3, 1)


def test_duplicates_are_counted_where_images_are_grouped():
    rows = pairs({"uid": "a", "text": "x"}, {"uid": "a", "text": "x"}, {"uid": "b", "text": "x", "copies": 4})
    tallies = TaskResult()
    group_images(combine(rows, 64, tallies), tallies)
    assert tallies["dropped", DUPLICATE] == 1 + 3


def test_no_rows_give_no_images():
    tallies = TaskResult()
    assert combine(pairs(), 64, tallies).equals(pairs())
    assert group_images(pairs(), tallies).equals(pa.RecordBatch.from_pylist([], MATCHED))
    assert sums(tallies) == {}


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_uid_of_several_urls_is_counted_once_and_named_with_two_of_them_however_rows_are_cut(parts):
    urls = ["http://a", "http://b", "http://a"]
    rows = pairs(
        *({"uid": "1", "text": "x" * (2 * n + 1), "url": url} for n, url in enumerate(urls)),
        {"uid": "2", "text": "x", "url": "http://c"},
        {"uid": "2", "text": "x", "url": "http://c"},
        {"uid": "3", "text": "x", "url": "http://d", "signals": 3},
    )
    tallies = TaskResult()
    some = [combine(part, 64, tallies) for part in cut(rows, Random(parts), parts)]
    images = group_images(combine(pa.concat_batches(some), 64, tallies), tallies).to_pylist()
    assert (tallies[SHARED_UIDS], tallies.noted(SHARED_UID)) == (1, ["1 (http://a and http://b)"])
    assert [image["signals"] for image in images] == [0, 0, 3]


def test_no_bit_of_the_column_signals_has_two_meanings():
    bits = [*SIGNALS.values(), *HOST_SIGNALS.values(), *IMAGE_PLACES.values(), *LICENCES.values()]
    assert len(set(bits)) == len(bits)
    assert all(bit.bit_count() == 1 and not bit & SEVERAL_URLS for bit in bits)


@pytest.mark.parametrize("name", LICENCES)
def test_a_licence_is_kept_and_does_not_make_a_uid_shared(name):
    rows = pairs(
        {"uid": "1", "text": "x", "url": "http://a", "signals": LICENCES[name]},
        {"uid": "1", "text": "y", "url": "http://a"},
        {"uid": "2", "text": "x", "url": "http://b", "signals": LICENCES[name]},
        {"uid": "2", "text": "y", "url": "http://c"},
    )
    tallies = TaskResult()
    images = group_images(combine(rows, 64, tallies), tallies).to_pylist()
    assert tallies[SHARED_UIDS] == 1
    assert [image["signals"] for image in images] == [LICENCES[name]] * 2
