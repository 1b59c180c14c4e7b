"""Measure the alignment of a finished run with classes, and write it as JSON and SVG."""

from __future__ import annotations

from pathlib import Path

from curation.alignment.texts import of_manifest, of_pool
from curation.classes import Alignment, Classes, count_classes, finders_of
from curation.report.alignment import drawing
from curation.runs.finished import curated_files, matched_files
from curation.runs.results import Results
from runtime.storage.whole import whole, write_json

JSON, PLOT = "alignment.json", "alignment.svg"


def align(run: Results, classes: dict[str, Classes]) -> list[Alignment]:
    """Return the alignment of each language: in the texts of the images that were counted, and in the manifest."""
    finders = finders_of(classes, run.facts["made_from"].get("rules", "unicode"))
    pool = count_classes(of_pool(matched_files(run)), finders)
    manifest = count_classes(of_manifest(curated_files(run)), finders)
    return [Alignment.of(code, each, pool[code], manifest[code]) for code, each in classes.items()]


def write(found: list[Alignment], folder: Path) -> None:
    """Write alignment.json and alignment.svg into a folder."""
    write_json(folder / JSON, {"version": 1, "languages": {each.language: each.json() for each in found}})
    with whole(folder / PLOT) as file:
        file.write_text(drawing(found), encoding="utf-8")
