"""The kinds of curate that the simulator runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from curation.config import CurationConfig
from curation.image_ids import uids
from curation.matching.finders import open_automata, open_matchers
from curation.plugins.gate.options import GateOptions
from curation.run.pipeline import curate
from curation.run.request import Options
from metadata.entries import Entries
from runtime import buckets
from runtime.folders.verify import verify
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind, contents

TABLE, COPIES, EXCLUDED, ROBOTS = "table.parquet", "copies.parquet", "excluded.txt", "robots.parquet"
WORDS = "dog cat tree house river moon sky hill boat bird".split()
_THRESHOLD = CurationConfig(english_threshold=5, rows_per_file=24)
_SIZE = CurationConfig(target_size=20, rows_per_file=24)
_AUTOMATA = replace(_THRESHOLD, matcher="ahocorasick")  # made anew by each worker; matchers are files


@dataclass(frozen=True, eq=False)
class Curate(Kind):
    """Curate with a config and options."""

    name: str
    config: CurationConfig
    options: Callable[[Path], Options]  # given the folder of inputs
    is_unique: bool = False  # each image once
    caches = (open_automata, open_matchers)
    has_other = True

    def prepare(self, folder: Path) -> None:
        for number in range(self.most):
            rows = [_row(number, each, self.is_unique) for each in range(20)]
            _input(folder, number).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        urls = sorted({_row(file, each, self.is_unique)["url"] for file in range(self.most) for each in range(20)})
        (folder / EXCLUDED).write_text("\n".join(urls[::7]))
        scores = [number % 5 for number in range(len(urls))]
        digests = [f"{number // 2:x}" for number in range(len(urls))]
        pq.write_table(pa.table({"url": urls, "score": scores, "sha256": digests}), folder / TABLE)
        found = uids(pa.array(urls)).to_pylist()
        pq.write_table(pa.table({"uid": found[1::5], "copy_of": found[3::5]}), folder / COPIES)
        robots = "User-agent: *\nDisallow: /1\nDisallow: /30"
        pq.write_table(pa.table({"host": ["a.example"], "text": [robots]}), folder / ROBOTS)

    def settings(self, command: Command) -> AbstractContextManager:
        return patch.object(buckets, "BUCKET_ROWS", command.bucket_rows)

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        curate(
            [_input(folder, each) for each in range(command.inputs)],
            output,
            metadata=_entries(),
            config=replace(self.config, seed=int(command.is_other)),
            options=replace(self.options(folder), overwrite=command.overwrite),
            engine=session,
        )

    def results(self, output: Path) -> dict[str, bytes]:
        found = contents(output, ("curated",), ("counts.parquet", "thresholds.json"))
        return found | {"gate_removed": _rows_in(contents(output, ("gate_removed",), ()).values())}

    def require_whole(self, output: Path) -> None:
        verify(output)

    def inputs(self, output: Path) -> int:
        return len(self._facts(output)["made_from"]["inputs"])

    def is_other(self, output: Path) -> bool:
        return bool(self._facts(output)["parameters"]["seed"])

    def _facts(self, output: Path) -> dict:
        return json.loads((output / self.finished).read_text("utf-8"))


def _gate(folder: Path) -> Options:
    return Options(gate=GateOptions(policy=["min_words:5", "max_images_per_text:3"], keep_removed=0.5))


def _table(folder: Path) -> Options:
    """Return a condition on a table, and that one image of a picture and of a meaning stays."""
    asked = {"images": [[folder / TABLE]], "same_image": "sha256", "same_meaning": [folder / COPIES]}
    return Options(gate=GateOptions(**asked, keep="score > 0", keep_removed=1))


def _robots(folder: Path) -> Options:
    return Options(gate=GateOptions(robots=[folder / ROBOTS], policy=["robots"], keep_removed=1))


CURATE = (
    Curate("plain", _THRESHOLD, lambda folder: Options()),
    Curate("unique images", _AUTOMATA, lambda folder: Options(unique_images=True), is_unique=True),
    Curate("target size", _SIZE, lambda folder: Options()),
    Curate("exclusion", _AUTOMATA, lambda folder: Options(exclude=[str(folder / EXCLUDED)])),
    Curate("gate", _AUTOMATA, _gate),
    Curate("table and same image", _AUTOMATA, _table),
    Curate("robots", _AUTOMATA, _robots),
)


def _rows_in(files: Iterable[bytes]) -> bytes:
    """Return the rows of Parquet files in an order of their own: the size of buckets decides how they are cut."""
    rows = [row for file in files for row in pq.read_table(pa.BufferReader(file)).to_pylist()]
    return "\n".join(sorted(map(repr, rows))).encode()


@cache
def _entries() -> Entries:
    return Entries.build({"en": WORDS})


def _input(folder: Path, number: int) -> Path:
    return folder / f"{number}.jsonl"


def _row(file: int, number: int, is_unique: bool) -> dict[str, str]:
    is_shared = number % 4 == 0 and not is_unique
    return {
        "url": f"https://a.example/{number if is_shared else (file + 1) * 100 + number}.jpg",
        "text": f"a {WORDS[number % 10]} and a {WORDS[(number * 7 + file) % 10]}"[: None if number % 3 else -6],
    }
