"""Images passed through a gate, from a folder of files to another, without a whole run."""

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from curation.config import CurationConfig
from curation.matching.matching import Matching
from curation.plugins.gate.conditions.conditions import ConditionsStep, find
from curation.plugins.gate.options import GateOptions
from curation.run.output_folder import Output
from curation.run.request import Context
from curation.schemas import MATCHED
from metadata import Entries
from runtime.engine import Engine
from runtime.progress import Progress
from runtime.storage.own_files import own_files
from runtime.storage.parquet import read_table
from tests.support.finished_run import LISTS, write_parts


def matching() -> Matching:
    """Return what finds the entries of finished_run."""
    return Matching.of(Entries.build(LISTS))


MATCHES = SimpleNamespace(matching=matching())  # in place of a run's plan of matching


def gated(
    engine: Engine,
    folder: Path,
    images: list[dict],
    options: GateOptions,
    parts: int = 3,
    config: CurationConfig | None = None,
) -> tuple[list[dict], SimpleNamespace]:
    """Return the images that pass, in the order of files, and what was counted: the last result, and the facts."""
    folder.mkdir(exist_ok=True)
    place = folder / f"gate{len(list(folder.iterdir()))}"
    with Output.claim(place, {"inputs": [], "exclusion": None}) as output:
        write_parts(place / "in", pa.RecordBatch.from_pylist(images, MATCHED), parts)
        context = Context(engine, config or CurationConfig(), output, Progress(), lambda: MATCHES)
        files, last, facts = options.find().let_pass(own_files(place / "in", None, ""), context)
        output.remove_work()
    assert all(pq.read_schema(file.path) == MATCHED for file in files)
    rows = [row for file in files for row in read_table(file).to_pylist()]
    return rows, SimpleNamespace(last=last, facts=lambda: facts)


def checked_gate(tables: list[str], keep: str) -> ConditionsStep:
    """Return the step of a condition over some tables."""
    return find(GateOptions(images=[[table] for table in tables], keep=keep))


def write_table(rows: list[dict], folder: Path, files: int = 2) -> str:
    """Write a table of images to so many files; return its path."""
    folder.mkdir()
    table = pa.Table.from_pylist(rows)
    each = -(-len(table) // files)
    for number in range(files):
        pq.write_table(table.slice(number * each, each), folder / f"{number} ü.parquet")
    return str(folder)
