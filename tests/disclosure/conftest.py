"""Finished runs: over pages with a gate, over tables alone, with removals."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import CurationConfig
from curation.exclusion import Exclusion
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.gate.options import GateOptions
from curation.run.pipeline import curate
from curation.run.request import Options
from metadata import Entries
from tests.support.in_turn import in_turn

HOSTS = ("a.example", "www.A.example", "b.co.uk", "x.b.co.uk", "münchen.example", "10.0.0.1", "c.github.io")
TEXTS = ("a dog", "a dog and a cat", "cat", "dog: mail ann@example.org", "ein hund")


def pairs(folder: Path, rows: int, has_pages: bool) -> Path:
    """Write pairs whose hosts are as uneven as those of the web."""
    urls = [f"https://{HOSTS[number % (1 + number % len(HOSTS))]}/{number}.jpg" for number in range(rows)]
    columns = {"url": [*urls, "https://:0"], "text": [TEXTS[number % len(TEXTS)] for number in range(rows + 1)]}
    if has_pages:
        pages = [None if number % 5 == 0 else f"http://p{number % 31}.example/{number}" for number in range(rows + 1)]
        columns["page_url"] = pages
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "pairs.parquet")
    return folder / "pairs.parquet"


def curated(folder: Path, name: str, has_pages: bool, policy: tuple[str, ...] = ()) -> Path:
    inputs = [pairs(folder / f"laion-{name}", 400, has_pages)]
    options = Options(gate=GateOptions(policy=policy) if policy else None)
    config = CurationConfig(english_threshold=30, rows_per_file=100)
    entries = Entries.build({"en": ["dog", "cat", "a"], "de": ["hund"]})
    curate(inputs, folder / name, metadata=entries, config=config, options=options, engine=in_turn())
    return folder / name


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Each kind of run by its name."""
    folder = tmp_path_factory.mktemp("papers")
    found = {
        "gate": curated(folder, "gate", True, ("min_words:2", "email_address", "noai")),
        "tables": curated(folder, "tables", False),
    }
    (folder / "list.txt").write_text("domain:a.example\n")
    remove_from_manifest(in_turn(), found["gate"], Exclusion.read([str(folder / "list.txt")]), folder / "removed")
    return found | {"removed": folder / "removed"}
