"""The kinds of curate that the simulator runs."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

from curation.config import CurationConfig
from curation.gate.plan import GateOptions
from curation.matching.finders import open_automata, open_matchers
from curation.run import sizes
from curation.run.order import curate
from curation.run.request import Options
from curation.run.verify import verify
from metadata.entries import Entries
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind, contents

WORDS = "dog cat tree house river moon sky hill boat bird".split()
_THRESHOLD = CurationConfig(english_threshold=5, rows_per_file=24, row_group_rows=8)
_SIZE = CurationConfig(target_size=20, rows_per_file=24, row_group_rows=8)
_AUTOMATA = replace(_THRESHOLD, matcher="ahocorasick")  # made anew by each worker; matchers are files


@dataclass(frozen=True, eq=False)
class Curate(Kind):
    """Curate with a config and options."""

    name: str
    config: CurationConfig
    options: Options
    caches = (open_automata, open_matchers)
    has_other = True

    def prepare(self, folder: Path) -> None:
        for number in range(self.most):
            rows = [_row(number, each, self.options.unique_images) for each in range(20)]
            _input(folder, number).write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def settings(self, command: Command) -> AbstractContextManager:
        return patch.object(sizes, "BUCKET_ROWS", command.bucket_rows)

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        curate(
            session,
            replace(self.config, seed=int(command.is_other)),
            inputs=[_input(folder, each) for each in range(command.inputs)],
            metadata=_entries(),
            output=output,
            options=replace(self.options, overwrite=command.overwrite),
        )

    def results(self, output: Path) -> dict[str, bytes]:
        return contents(output, ("curated",), ("counts.parquet", "thresholds.json"))

    def require_whole(self, output: Path) -> None:
        verify(output)

    def inputs(self, output: Path) -> int:
        return len(self._facts(output)["made_from"]["inputs"])

    def is_other(self, output: Path) -> bool:
        return bool(self._facts(output)["parameters"]["seed"])

    def _facts(self, output: Path) -> dict:
        return json.loads((output / self.finished).read_text("utf-8"))


CURATE = (
    Curate("plain", _THRESHOLD, Options()),
    Curate("unique images", _AUTOMATA, Options(unique_images=True)),
    Curate("target size", _SIZE, Options()),
    Curate("gate", _AUTOMATA, Options(gate=GateOptions(policy=["min_words:5"]))),
)


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
