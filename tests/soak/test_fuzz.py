"""Damaged files, made at random: what reads them says so in one sentence or gives the right answer, and nothing else.

Shortly with every `make test`, at length with `make soak`.
"""

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation import Matcher
from curation.balancing.counts import EntryCounts
from curation.exclusion import Exclusion
from curation.images.tasks import without_tallies
from curation.inputs import files as inputs
from curation.inputs import limits
from curation.inputs.files import Input
from curation.run.ledger import Ledger
from metadata import Entries
from runtime.errors import InputError
from runtime.packed_rows import Packer, read_blocks, unpack, write_blocks
from runtime.tallies import Tallies
from tests.support.checkout import ROOT
from tests.support.crawl_records import image, warc, wat
from tests.support.mutations import mutated

SHORT = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=1_500, deadline=10_000, suppress_health_check=list(HealthCheck))
ROWS = [{"url": f"https://example.org/{i}.jpg", "text": f"犬 {i}", "uid": f"{i:032x}"} for i in range(30)]


def parquet(**options) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=10, **options)
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


WAT = b"".join(wat(image(f"{i}.jpg", alt=f"犬 {i}"), image("b", title="a")) for i in range(3))
WARC = b"".join(warc(f"<base href=/x/><img src={i}.jpg alt='犬 {i}'>") for i in range(3))
JSON = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = ("url,text\n" + "".join(f'{row["url"]},"{row["text"]}"\n' for row in ROWS)).encode()


def members(data: bytes) -> bytes:
    return gzip.compress(data, 1)


# Name → what is damaged, and what is made of it then.
PARSED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "packed.wat.gz": (WAT, bytes),
    "plain.wat.gz": (gzip.decompress(WAT), members),
    "packed.warc.gz": (WARC, bytes),
    "plain.warc.gz": (gzip.decompress(WARC), members),
    "a.jsonl": (JSON, bytes),
    "packed.jsonl.gz": (members(JSON), bytes),
    "packed.jsonl.zst": (zstd(JSON), bytes),
    "a.csv": (CSV, bytes),
    "a.tsv": (CSV.replace(b",", b"\t"), bytes),
    "plain.parquet": (parquet(compression="none", use_dictionary=False), bytes),
    "snappy.parquet": (parquet(compression="snappy"), bytes),
    "checked.parquet": (parquet(compression="zstd", write_page_checksum=True), bytes),
}


def named(what: str | Path, refusal: InputError) -> None:
    assert str(what) in str(refusal)


def read_or_refused(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        tallies, pairs = Tallies(), 0
        try:
            for source in inputs.find([str(path)]):
                batches = limits.cut(limits.tally_damage(inputs.read(source), name), 100)
                for rows in without_tallies(batches, tallies):
                    rows.validate(full=True)
                    pairs += rows.num_rows
        except InputError as refusal:
            named(name, refusal)
            return
        assert tallies["pairs"] == pairs
        assert tallies["files"] == 1


@pytest.mark.parametrize("name", PARSED)
@SHORT
@given(data=st.data())
def test_damaged_inputs_are_read_or_refused(name, data):
    content, packed = PARSED[name]
    read_or_refused(name, packed(data.draw(mutated(content))))


@pytest.mark.soak
@pytest.mark.parametrize("name", PARSED)
@LONG
@given(data=st.data())
def test_many_damaged_inputs_are_read_or_refused(name, data):
    content, packed = PARSED[name]
    read_or_refused(name, packed(data.draw(mutated(content))))


@pytest.mark.parametrize("name", [b"text", b"url", b"uid"])
def test_a_parquet_file_whose_names_are_no_utf8_is_refused(name):
    content = parquet(store_schema=False)
    assert content.count(name) > 1
    read_or_refused("a.parquet", content.replace(name, b"\xff" * len(name)))


# Artefacts


@dataclass(frozen=True)
class Artefact:
    """What is saved in a folder, and what opening it answers; `none` where it counts as not there."""

    save: Callable[[Path], object]
    answer: Callable[[Path], object]
    none: object = None


ENTRIES = Entries.build({"en": ["photo", "black dog", "of"], "ja": ["猫", "写真"]})
WORDS = ["a", "black dog", "photo", "犬", "x" * 40]
TEXTS = pa.array(["a black dog", "photo of 犬", "", None, "x" * 40])
BLOCK = pa.record_batch({"id": pa.array(range(40)), "text": pa.array(["犬", None] * 20)})
SOURCE = Input("/data/ü.parquet", "parquet", 10, modified=1)
EXCLUDED = {"uids": [f"{i:032x}" for i in range(9)], "domains": ["example.org", "b.example"], "regexes": ["gif$"]}
ASKED = pa.record_batch({"url": ["https://a.example.org/", "https://c.example/a.gif", "https://c.example/"]})


def save_blocks(folder: Path) -> None:
    packer = Packer(4)
    blocks = [*packer.add(BLOCK, np.repeat(np.arange(4), 10)), *packer.finish()]
    write_blocks(folder / "task.arrows.zst", BLOCK.schema, blocks)


def read_rows(folder: Path) -> list[tuple[int, list]]:
    blocks = read_blocks(folder / "task.arrows.zst", BLOCK.schema)
    return [(block.bucket, unpack(block.data, BLOCK.schema).to_pylist()) for block in blocks]


def save_stamp(folder: Path) -> None:
    ledger = Ledger.open(folder, {"rules": "unicode"}, [SOURCE])
    tallies = Tallies(
        [{"name": "files", "language": None, "value": 1}, {"name": "texts", "language": "ja", "value": 7}]
    )
    ledger.stamps.write([SOURCE], [], tallies)


def done(folder: Path) -> list:
    ledger = Ledger.open(folder, {"rules": "unicode"}, [SOURCE])
    return [ledger.missing, ledger.files, ledger.tallies().rows()]


def save_counts(folder: Path) -> None:
    EntryCounts(np.arange(len(ENTRIES)), ENTRIES.digest).save(str(folder / "counts.parquet"), ENTRIES)


def opened_entries(folder: Path) -> tuple:
    entries = Entries.open(folder)
    return entries.strings.to_pylist(), dict(entries.languages), entries.digest


ARTEFACTS = {
    "entries": Artefact(ENTRIES.save, opened_entries),
    "matcher": Artefact(
        lambda folder: Matcher.build(WORDS).save(folder), lambda folder: Matcher.open(folder).find(TEXTS).to_pylist()
    ),
    "counts": Artefact(
        save_counts, lambda folder: EntryCounts.open(str(folder / "counts.parquet"), ENTRIES.digest).values.tolist()
    ),
    "exclusion": Artefact(
        lambda folder: Exclusion.of(**EXCLUDED).save(folder),
        lambda folder: Exclusion.open(folder).excluded(ASKED).to_pylist(),
    ),
    "blocks": Artefact(save_blocks, read_rows),
    "stamp": Artefact(save_stamp, done, none=[[SOURCE], [], []]),
}


def answered_or_refused(artefact: Artefact, data) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        artefact.save(folder)
        right = artefact.answer(folder)
        path = data.draw(st.sampled_from(sorted(folder.iterdir())))
        path.write_bytes(data.draw(mutated(path.read_bytes())))
        try:
            assert artefact.answer(folder) in (right, artefact.none)
        except InputError as refusal:
            named(folder, refusal)


@pytest.mark.parametrize("name", ARTEFACTS)
@SHORT
@given(data=st.data())
def test_damaged_artefacts_answer_rightly_or_are_refused(name, data):
    answered_or_refused(ARTEFACTS[name], data)


@pytest.mark.soak
@pytest.mark.parametrize("name", ARTEFACTS)
@LONG
@given(data=st.data())
def test_many_damaged_artefacts_answer_rightly_or_are_refused(name, data):
    answered_or_refused(ARTEFACTS[name], data)


# Models, by fastText and by what reads them instead


def damage_models(first: int, stop: int) -> None:
    command = [sys.executable, "-W", "error", ROOT / "tests" / "support" / "damage_models.py", str(first), str(stop)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"seed {done.stdout.split()[-1:]}: {done.stderr}"


def test_damaged_models_answer_or_are_refused():
    damage_models(0, 60)


@pytest.mark.soak
def test_many_damaged_models_answer_or_are_refused():
    damage_models(1_000, 5_000)


# Code in data


def test_nothing_that_is_read_can_run_code():
    """NumPy loads no pickles unless it is told to; Spark's own pickles go between its processes only."""
    forbidden = re.compile(r"^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill|cloudpickle|joblib)\b", re.M)
    calls = re.compile(r"allow_pickle\s*=\s*True|(?<![\w.])(?:eval|exec)\(|\byaml\.load\(|torch\.load\(")
    sources = [
        path for package in ("curation", "metadata", "runtime", "jobs") for path in (ROOT / package).rglob("*.py")
    ]
    assert len(sources) > 50
    loads = re.compile(r"np\.load\((?!.*allow_pickle=False)")
    found = [
        path.name
        for path in sources
        if forbidden.search(text := path.read_text("utf-8")) or calls.search(text) or loads.search(text)
    ]
    assert found == []
