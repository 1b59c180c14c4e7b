"""The form `huggingface`: a folder with the manifest, its entries, the dataset card and Croissant metadata."""

from __future__ import annotations

import json
import os
import re
import shutil
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import kept_by_language
from curation.by_uid.captions import Captions
from curation.export.croissant import (
    BESIDE_COLUMNS,
    CAPTION,
    CLUSTER,
    DATA,
    DATA_FOLDER,
    ENTRIES,
    ENTRIES_FOLDER,
    croissant,
    with_columns,
)
from curation.export.forms import ALL, EVERYTHING, ByCluster, Form, Selection, captioned, lack, of_clusters, selected
from curation.report.numbers import counted, number
from curation.run.finished import curated_files
from curation.run.results import Results
from curation.schemas import CURATED
from metadata.languages import language
from runtime.arrow.buffers import require
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.parquet import batches, part_writer

GROUP_ROWS = 100_000  # of a file that is written anew
SHOWN = 50  # languages in the card's table

# ISO 639 codes of languages whose metadata code, that of their Wikipedia, is another; None if they have none.
ISO_639 = {
    "als": "gsw",
    "bat_smg": "sgs",
    "bh": "bho",
    "cbk_zam": "cbk",
    "eml": "egl",
    "fiu_vro": "vro",
    "map_bms": None,
    "other": None,
    "roa_rup": "rup",
    "roa_tara": None,
    "zh_min_nan": "nan",
}


@dataclass(frozen=True)
class HuggingFace(Form):
    """The manifest with its entries, what its publisher states of it, and columns of captions and clusters.

    What is None is not stated.
    """

    dataset_name: str | None = None
    license: str | None = None  # of the manifest: texts and images belong to their authors
    dataset_version: str | None = None
    date: str | None = None  # of publication
    cite: str | None = None
    captions: Sequence[str | Path] = ()
    clusters: ByCluster = ALL

    writes = "a folder for Hugging Face with data, card and Croissant"
    elsewhere = "{flags} would be said on a dataset card; --format {form} writes none"

    def __post_init__(self) -> None:
        if self.date is not None and not _is_date(self.date):
            raise InputError(f"the date is {self.date!r}; give one such as 2026-11-25")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags of what a publisher states."""
        group = parser.add_argument_group("the dataset card, for huggingface; what is not given is left out")
        group.add_argument("--dataset-name", metavar="NAME", help="name of the dataset (default: that of RUN)")
        group.add_argument("--license", metavar="ID", help="licence of the manifest, such as cc-by-4.0")
        group.add_argument("--dataset-version", metavar="VERSION", help="such as 1.0.0")
        group.add_argument("--date", metavar="YYYY-MM-DD", help="date of publication")
        group.add_argument("--cite", metavar="TEXT", help="how to cite the dataset")

    def write(self, run: Results, folder: Path) -> str:
        """Write the files of the folder."""
        with captioned(run, folder, self.captions) as found, selected(run, folder, self.clusters) as selection:
            files = self._write(run, folder, Rows(found.captions if found else None, selection))
        captions = f" with captions ({lack(found)})" if found else ""
        return f"README.md, croissant.json, the entries and {counted(files, 'file')} of data{captions}{selection}"

    def _write(self, run: Results, folder: Path, rows: Rows) -> int:
        """Write all files; return the number of files of the manifest.

        Files of the run get a second name (a hard link), or are copied if the folder is on another disk. With columns
        beside them, or if some rows are left out, they are written anew.
        """
        counts = run.path / "counts.parquet"
        if EntryCounts.open(str(counts)).digest != run.facts["made_from"]["metadata"]:
            raise InputError(f"{counts} and the run.json beside it are of two runs; curate again with --overwrite")
        files = curated_files(run)
        for name in (DATA_FOLDER, ENTRIES_FOLDER):
            (folder / name).mkdir()
        kept: Counter[str] = Counter()
        for file in files:
            if rows.columns:
                kept += _write_rows(file, folder / DATA_FOLDER / file.path.name, rows)
            else:
                with intact(file) as path:
                    _link(path, folder / DATA_FOLDER / path.name)
        _link(counts, folder / ENTRIES_FOLDER / "entries.parquet")
        name = self.dataset_name or run.path.resolve().name
        facts, more = rows.facts(run, kept), {field.name: BESIDE_COLUMNS[field.name] for field in rows.columns}
        stated = {
            "license": self.license,
            "version": self.dataset_version,
            "datePublished": self.date,
            "citeAs": self.cite,
        }
        described = croissant(name, description(facts), stated, folder, with_columns(rows.columns))
        (folder / "croissant.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (folder / "README.md").write_text(card(facts, self, name, more), "utf-8")
        return len(files)


@dataclass(frozen=True)
class Rows:
    """The rows of the manifest that are written, and what stands beside them."""

    captions: Captions | None = None
    selection: Selection = EVERYTHING

    @property
    def columns(self) -> list[pa.Field]:
        """The columns beside those of the manifest."""
        return [*(CAPTION if self.captions else ()), *(CLUSTER if self.selection.found else ())]

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return what is written of a CURATED batch."""
        batch = self.selection.filter(require(batch, CURATED))
        columns = list(batch.columns)
        if self.captions:
            columns += self.captions.of(batch["uid"]).columns
        if self.selection.found:
            clusters = self.selection.found.clusters.of(batch["uid"])
            columns += [clusters[field.name] for field in CLUSTER]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*CURATED, *self.columns]))

    def facts(self, run: Results, kept: Counter[str]) -> dict[str, Any]:
        """Return the content of run.json with what is written as kept, by language."""
        if self.selection.expert is None:
            return run.facts
        languages = {code: row | {"kept": kept[code]} for code, row in run.facts["languages"].items()}
        rows = run.facts["rows"] | {"kept": kept.total()}
        return run.facts | {"rows": rows, "languages": languages, "part": of_clusters(self.selection.expert)}


def card(facts: dict[str, Any], about: HuggingFace, name: str, columns: Mapping[str, str] | None = None) -> str:
    """Return the content of README.md, given the content of run.json; `columns` are further ones, and their meaning."""
    codes = _kept_languages(facts)
    of_english = facts["languages"].get("en")
    templates = Environment(
        loader=PackageLoader("curation.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    # Strings are quoted as in JSON, or Norwegian's `no` would be read as false.
    templates.filters.update(json=lambda value: json.dumps(value, ensure_ascii=False), number=number, escaped=_escaped)
    return templates.get_template("card.md").render(
        facts=facts,
        head=_head(facts, about, name),
        name=name,
        description=description(facts),
        columns=columns or {},
        past_gate=_past_gate(facts),
        part=f" of {facts['part']}" if "part" in facts else "",
        english_threshold=number(of_english["t"]) if of_english else "(none)",
        languages=[(language(code).name, code, facts["languages"][code]) for code in codes[:SHOWN]],
        more_languages=len(codes) - SHOWN,
        cite=about.cite,
    )


def description(facts: dict[str, Any]) -> str:
    """Return one sentence about the kept pairs, given the content of run.json."""
    rows, codes = facts["rows"], _kept_languages(facts)
    return (
        f"{rows['kept']:,} image-text pairs in {len(codes)} languages, balanced over metadata entries "
        f"from {rows['images']:,} images of the web: image URLs and alt texts, without the images."
    )


def size_category(rows: int) -> str:
    """Return Hugging Face's word for a number of rows.

    >>> size_category(999), size_category(5_000_000)
    ('n<1K', '1M<n<10M')
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    reached = sum(rows >= 10 ** (3 + power) for power in range(len(bounds)))
    if reached == 0:
        return "n<1K"
    return f"{bounds[reached - 1]}<n<{bounds[reached]}" if reached < len(bounds) else "n>1T"


def _head(facts: dict[str, Any], about: HuggingFace, name: str) -> dict[str, Any]:
    """Return the members of the card's head."""
    tags = [ISO_639.get(code, code) for code in _kept_languages(facts)]
    return {
        "pretty_name": name,
        "license": about.license,
        "language": sorted({tag for tag in tags if tag}),
        "multilinguality": ["multilingual" if len(tags) > 1 else "monolingual"],
        "size_categories": [size_category(facts["rows"]["kept"])],
        "task_categories": ["zero-shot-image-classification"],
        "tags": ["clip", "image-text"],
        "configs": [_config("default", DATA), _config("entries", ENTRIES)],
    }


def _config(name: str, path: str) -> dict[str, Any]:
    return {"config_name": name, "data_files": [{"split": "train", "path": path}]}


def _past_gate(facts: dict[str, Any]) -> str:
    """Say how many images passed the gate; nothing without one."""
    passed = facts["rows"].get("gated", facts["rows"].get("existing"))  # the latter of earlier versions
    if passed is None:
        return ""
    conditions = [f"`{condition['text']}`" for condition in facts.get("gate", {}).get("conditions", [])]
    how = f"meet {' and '.join(conditions)}" if conditions else "downloaded"
    return f"; of these {how}: {passed:,}"


def _kept_languages(facts: dict[str, Any]) -> list[str]:
    """Return the languages of the kept texts, the one with the most texts first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def _escaped(text: str) -> str:
    """Return a text that stands in a line of Markdown as it is: the name of a folder may look like a link."""
    return re.sub(r"[\\`*_\[\]<>&|~$]", r"\\\g<0>", " ".join(text.split()))


def _write_rows(file: OwnFile, path: Path, rows: Rows) -> Counter[str]:
    """Write what is written of a file; return the number of rows of each language."""
    kept: Counter[str] = Counter()
    with part_writer(path, pa.schema([*CURATED, *rows.columns]), row_group_rows=GROUP_ROWS) as writer:
        for batch in map(rows.of, batches(file, GROUP_ROWS)):
            writer.write(batch)
            kept.update({row["language"]: row["kept"] for row in kept_by_language(batch).to_pylist()})
    return kept


def _link(file: Path, path: Path) -> None:
    try:
        os.link(file, path)
    except OSError:
        shutil.copyfile(file, path)


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False
