"""A small finished run of curate, made without Spark, for tests that read one."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.balancing.sampling import sample_batch
from curation.balancing.thresholds import EntryCounts, Thresholds, rates_of
from curation.config import CurationConfig
from curation.report.facts import Run
from curation.schemas import CURATED, MATCHED
from metadata import Entries
from runtime.storage.parquet import part_writer
from runtime.tallies import TaskResult

LISTS = {"en": ["dog", "cat", "photo", "a"], "ja": ["犬", "猫"], "no": ["hund"]}
TEXTS = [("a photo", "en"), ("a dog", "en"), ("犬と猫", "ja"), ("猫", "ja"), ("hund", "no")]


@dataclass(frozen=True)
class FinishedRun:
    path: Path
    images: list[dict]  # the rows of matched/
    kept: list[dict]  # those of curated/
    counts: list[int]
    rates: np.ndarray


def image(number: int, url: str | None = None) -> dict:
    """An image with one or two texts, and the entries that occur in them."""
    texts = [TEXTS[(number + more) % len(TEXTS)] for more in range(1 + number % 2)]
    candidates = [candidate(text, code) for text, code in texts]
    url = url or f"http://é.example/{number}.jpg"
    return {
        "uid": f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "url": url,
        "page_url": None,
        "candidates": candidates,
        "signals": 0,
        "stated_width": None,
        "surroundings": None,
        "stated_height": None,
        "shown": 1,
    }


def candidate(text: str, code: str) -> dict:
    """A text of an image in a language, with the entries that occur in it, on the page of its image."""
    found = {"language": code, "lid_score": 0.5, "entries": ids_in(text, code)}
    return {"text": text, "kind": "alt", **found, "page_url": None, "record": None}


def ids_in(text: str, code: str) -> list[int]:
    all_entries = [(owner, entry) for owner, entries in LISTS.items() for entry in entries]
    return [id for id, (owner, entry) in enumerate(all_entries) if owner == code and entry in text]


def finished_run(path: Path, images: list[dict], files: int = 2, t: int = 5) -> FinishedRun:
    """Write the output folder of a run over these images, its rows spread over some files."""
    entries = Entries.build(LISTS)
    batch = pa.RecordBatch.from_pylist(images, MATCHED)
    counts = EntryCounts.zeros(len(entries), entries.digest)
    counts.count(pa.array([text["entries"] for row in images for text in row["candidates"]], pa.list_(pa.int32())))
    thresholds = Thresholds.of(counts.by_language(entries.languages), t)
    rates = rates_of(counts.values, entries.languages, thresholds)
    curated = sample_batch(batch, rates, seed=0)
    write_parts(path / "matched", batch, files)
    write_parts(path / "curated", curated, files)
    counts.save(str(path / "counts.parquet"), entries, rates)
    description = {"inputs": [], "metadata": entries.digest}
    config = CurationConfig(english_threshold=t)
    kept_counts = EntryCounts.zeros(len(entries), entries.digest).count(curated["entries"])
    results = _of_matched(images), _of_curated(images, curated)
    run = Run(config, description, entries, counts, thresholds, *results, kept_counts)
    (path / "run.json").write_text(json.dumps(run.run_json, ensure_ascii=False), "utf-8")
    return FinishedRun(path, images, curated.to_pylist(), counts.values.tolist(), rates)


def write_parts(folder: Path, batch: pa.RecordBatch, files: int) -> None:
    """Write the rows to so many Parquet files."""
    folder.mkdir(parents=True)
    bounds = np.linspace(0, batch.num_rows, files + 1).astype(int)
    for number, (begin, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        with part_writer(folder / f"{number:05}.parquet", batch.schema, row_group_rows=10) as writer:
            writer.write(batch.slice(begin, end - begin))


def curated_rows(uids: list[str]) -> pa.RecordBatch:
    """Rows of a manifest with these uids."""
    return pa.RecordBatch.from_pylist([{"uid": uid, "url": uid, "text": "a dog"} for uid in uids], CURATED)


def _of_matched(images: list[dict]) -> TaskResult:
    tallies = TaskResult()
    tallies.add("images", len(images))
    for text in (text for row in images for text in row["candidates"]):
        for name in ("texts", "matched", "identified"):
            tallies.add(name, language=text["language"])
    return tallies


def _of_curated(images: list[dict], curated: pa.RecordBatch) -> TaskResult:
    tallies = TaskResult()
    tallies.add("images", len(images))
    for code in curated["language"].to_pylist():
        tallies.add("kept", language=code)
    return tallies
