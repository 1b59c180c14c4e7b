"""Measure the alignment of a finished run with classes, and write it as JSON and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from curation.alignment.classes import Classes
from curation.alignment.counting import count_classes
from curation.alignment.measures import Alignment
from curation.alignment.shown import drawing
from curation.runs.finished import curated_files, matched_files
from curation.runs.results import Results
from runtime.arrow.lists import parts
from runtime.storage.parquet import batches
from runtime.storage.whole import whole, whole_folder, write_json

JSON, PLOT = "alignment.json", "alignment.svg"


def align(run: Results, classes: dict[str, Classes]) -> list[Alignment]:
    """Return the alignment of each language: in the texts of the images that were counted, and in the manifest."""
    rules = run.facts["made_from"].get("rules", "unicode")
    pool = count_classes(_pool(run), classes, rules)
    manifest = count_classes(_manifest(run), classes, rules)
    return [Alignment.of(code, each, pool[code], manifest[code]) for code, each in classes.items()]


def write(found: list[Alignment], to: Path) -> None:
    """Write alignment.json and alignment.svg into a new folder."""
    with whole_folder(to) as folder:
        write_json(folder / JSON, {"version": 1, "languages": {each.language: each.json() for each in found}})
        with whole(folder / PLOT) as file:
            file.write_text(drawing(found), encoding="utf-8")


def _pool(run: Results) -> Iterator[tuple[pa.Array, pa.Array]]:
    for file in matched_files(run):
        for batch in batches(file, columns=["candidates"]):
            texts = parts(batch["candidates"])[0]
            yield texts.field("text"), texts.field("language")


def _manifest(run: Results) -> Iterator[tuple[pa.Array, pa.Array]]:
    for file in curated_files(run):
        for batch in batches(file, columns=["text", "language"]):
            yield batch["text"], batch["language"]
