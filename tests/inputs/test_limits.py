"""Limits of what is taken: long texts are cut alike whatever they come from, and too much damage ends a run."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.config import MAX_TEXT_LENGTH, CurationConfig
from curation.inputs import files as inputs
from curation.inputs import limits
from runtime.errors import InputError
from runtime.tallies import TaskResult
from tests.naive.limits import naive_cut
from tests.support.crawl_records import image, warc, wat
from tests.support.pair_rows import candidates

LETTERS = st.text(st.sampled_from("a é犬🐕\u0301\u3000\x85"), max_size=12)
LONG = "犬 " * 5_000
CONFIG = CurationConfig()


def cut(batches, length) -> tuple[list, int]:
    result = TaskResult()
    texts = [text for rows in limits.cut(batches, length, result) for text in rows["text"].to_pylist()]
    return texts, result["cut_text"]


def read(path, length: int = MAX_TEXT_LENGTH) -> tuple[list, TaskResult]:
    """The pairs of a file as url and text, and what was tallied, as a worker has them."""
    (source,) = inputs.find([str(path)])
    tally, result = Counter(), TaskResult()
    batches = limits.cut(inputs.read(source, tally=tally), length, result)
    rows = [row for batch in batches for row in batch.to_pylist()]
    limits.count_input(str(path), tally, result)
    return [(row["url"], row["text"]) for row in rows], result


def damaged(*facts, **sums) -> TaskResult:
    result = TaskResult(facts={limits.DAMAGED: facts})
    result.count({("dropped", name.removeprefix("dropped__")) if "__" in name else name: sums[name] for name in sums})
    return result


# Texts


@settings(deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=6), st.integers(1, 8), st.integers(0, 6))
def test_texts_are_cut_as_by_the_naive_twin(texts, length, start):
    batch = candidates(*({"url": "http://a/", "text": text} for text in texts)).slice(start)
    assert cut([batch], length) == naive_cut(texts[start:], length)


def test_no_rows_pass_as_they_are():
    assert [batch.to_pylist() for batch in limits.cut([candidates()], 100, TaskResult())] == [[]]


@pytest.mark.parametrize("length", [1, 2, 6, 77])
def test_paths_of_damaged_inputs_are_never_cut(tmp_path, length):
    paths = [tmp_path / f"{'a' * 77}{name}.jsonl" for name in "bc"]
    told = TaskResult()
    for path in paths:
        path.write_text('{"url": "http://a/b", "text": "a dog"}\n{\n')
        told += read(path, length)[1]
    assert [told[name] for name in ("files", "records", "pairs", ("dropped", "bad_json"))] == [2, 4, 2, 2]
    assert limits.damage(told) == {str(path): (1, 2) for path in paths}
    assert told["cut_text"] == (2 if length < len("a dog") else 0)


def test_a_batch_without_long_texts_is_the_same_object():
    batch = candidates({"url": "http://a/", "text": "a dog"}, {"url": "http://a/", "text": "é" * 100})
    assert next(limits.cut([batch], 100, TaskResult())) is batch


@pytest.mark.parametrize("name", ["a.wat.gz", "slow.wat.gz", "a.warc.gz", "a.jsonl", "a.tsv", "a.csv", "a.parquet"])
def test_long_texts_are_cut_and_counted_whatever_they_come_from(tmp_path, name):
    path, url = tmp_path / name, "https://example.org/news/a.jpg"
    content = {
        "a.wat.gz": lambda: wat(image(alt=LONG), image(alt="short")),
        "slow.wat.gz": lambda: wat(image(alt=LONG), image(alt="short"), image(alt="\ud800")),
        "a.warc.gz": lambda: warc(f'<img src=a.jpg alt="{LONG}"><img src=a.jpg alt=short>'),
        "a.jsonl": lambda: "".join(json.dumps({"url": url, "text": t}) + "\n" for t in (LONG, "short")).encode(),
        "a.tsv": lambda: f"url\ttext\n{url}\t{LONG}\n{url}\tshort\n".encode(),
        "a.csv": lambda: f"url,text\n{url},{LONG}\n{url},short\n".encode(),
    }
    if name == "a.parquet":
        pq.write_table(pa.table({"url": [url] * 2, "text": [LONG, "short"]}), path)
    else:
        path.write_bytes(content[name]())
    pairs, tallies = read(path)
    assert pairs == [(url, LONG[:MAX_TEXT_LENGTH].rstrip()), (url, "short")]
    assert tallies["cut_text"] == 1


# Damage


def test_a_whole_run_passes():
    limits.within_limits(damaged(files=3, records=10_000, dropped__bad_json=40, dropped__not_http=9_000), CONFIG)
    limits.within_limits(TaskResult(), CONFIG)


def test_a_run_of_broken_files_is_refused_with_reasons_and_files():
    facts = ["/data/ü.wat.gz", 1, 0], ["/data/b.wat.gz", 2, 0]
    read = damaged(*facts, files=4, dropped__bad_file=2, dropped__truncated=1)
    with pytest.raises(InputError) as refused:
        limits.within_limits(read, CONFIG)
    assert str(refused.value).startswith(
        "3 of 4 files are damaged (2 bad_file, 1 truncated), most of them in /data/b.wat.gz (2), /data/ü.wat.gz (1)"
    )
    assert "max_bad_files=0.75" in str(refused.value)


def test_a_run_of_broken_records_is_refused():
    read = damaged(files=1, records=90, dropped__corrupt_gzip=10, dropped__bad_json=20)
    with pytest.raises(InputError, match=r"30 of 100 records are damaged \(20 bad_json, 10 corrupt_gzip\)"):
        limits.within_limits(read, CONFIG)
    limits.within_limits(read, CurationConfig(max_bad_records=0.3))


@pytest.mark.parametrize(("share", "is_refused"), [(0, True), (0.24, True), (0.25, False), (1, False)])
def test_a_share_is_what_may_be_reached_and_not_passed(share, is_refused):
    config = CurationConfig(max_bad_files=share)
    if is_refused:
        with pytest.raises(InputError, match="1 of 4 files"):
            limits.within_limits(damaged(files=4, dropped__truncated=1), config)
    else:
        limits.within_limits(damaged(files=4, dropped__truncated=1), config)


def test_what_the_sentence_advises_is_enough():
    for bad in (1, 2, 67, 299, 300):
        read = damaged(files=300, dropped__truncated=bad)
        with pytest.raises(InputError) as refused:
            limits.within_limits(read, CurationConfig(max_bad_files=0))
        limits.within_limits(read, CurationConfig(max_bad_files=float(str(refused.value).rpartition("=")[2])))


def test_the_line_of_the_first_bad_record_is_named(tmp_path):
    (tmp_path / "a.csv").write_text('url,text\nhttp://a/b,"a\ndog"\nhttp://a/b\nbad\n')
    (tmp_path / "b.jsonl").write_text('{"url": "http://a/b", "text": "a dog"}\n{\n{\n')
    told = read(tmp_path / "a.csv")[1] + read(tmp_path / "b.jsonl")[1]
    assert told["first_bad_line"] == 0
    with pytest.raises(
        InputError, match=r"a\.csv \(2, the first in line 4\), .*b\.jsonl \(2, the first in line 2\); fix"
    ):
        limits.within_limits(told, CONFIG)


def test_damage_is_named_by_input(tmp_path):
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"url": "http://a/b", "text": "a dog"}\n' * 99)[:-9])
    (tmp_path / "fine.jsonl").write_text('{"url": "http://a/b", "text": "a dog"}\n' * 200 + "{}}\n")
    (tmp_path / "bad.jsonl").write_text('{"url": "http://a/b", "text": "a dog"}\n{\n{\n')
    (tmp_path / "no.wat.gz").write_bytes(b"no archive")
    told = {path.name: limits.damage(read(path)[1]) for path in tmp_path.iterdir()}
    assert told == {
        "cut.jsonl.gz": {str(tmp_path / "cut.jsonl.gz"): (1, 0)},
        "fine.jsonl": {},
        "bad.jsonl": {str(tmp_path / "bad.jsonl"): (2, 2)},
        "no.wat.gz": {str(tmp_path / "no.wat.gz"): (1, 0)},
    }
