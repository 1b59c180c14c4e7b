"""Millions of texts in one run: a worker needs no more memory for four times as many."""

import json
import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))
import chain_inputs  # noqa: E402
import usage  # noqa: E402

TEXTS = int(os.environ.get("SOAK_TEXTS", 20_000_000))
FILES = 8
CORES = 2
MOST = 1_000  # megabytes of the largest worker
NEAR = 0.15


@pytest.fixture(scope="module")
def captions(request, sample, tmp_path_factory) -> Path:
    """Captions of the web with their URLs, as TSV; made-up ones where there is no real data."""
    shared = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data")) / "pairs" / "cc3m_validation.tsv"
    if shared.is_file():
        return shared
    rows = pq.read_table(sample / "pairs" / "pairs.parquet").to_pylist()
    path = tmp_path_factory.mktemp("captions") / "captions.tsv"
    path.write_text("".join(f"{row['text']}\t{row['url']}\n" for row in rows if row["text"]), "utf-8")
    return path


def curated(captions: Path, sample: Path, folder: Path, texts: int) -> usage.Usage:
    """Curate so many texts in a few files; return what that cost."""
    each = -(-texts // FILES)
    for file in range(FILES):
        path = folder / "input" / f"{file}.parquet"
        chain_inputs.pairs(captions, path, min(each, texts - file * each), first=file * each)
    entries = [f"{path.stem}={path}" for path in sorted((sample / "entries").glob("*.txt"))]
    command = [
        *("spark-submit", "--master", f"local[{CORES}]", "jobs/curate.py", "--input", str(folder / "input")),
        *("--entries", *entries, "--output", str(folder / "output")),
    ]
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return usage.run(command, cwd=ROOT, env=os.environ | {"PATH": here, "PYSPARK_PYTHON": sys.executable})


@pytest.mark.soak
@pytest.mark.spark
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_four_times_as_many_texts_need_no_more_memory(captions, sample, tmp_path):
    peaks = []
    for texts in (TEXTS // 4, TEXTS):
        used = curated(captions, sample, tmp_path / str(texts), texts)
        facts = json.loads((tmp_path / str(texts) / "output" / "run.json").read_text("utf-8"))
        assert facts["rows"]["pairs"] + sum(facts["dropped"].values()) >= texts
        assert facts["rows"]["images"] > 0.99 * texts
        print(f"{texts:,} texts: {used.wall:.0f} s, MB: {used.peak}")
        peaks.append(used.peak["worker"])
    few, many = peaks
    assert many < MOST
    assert abs(many - few) < NEAR * few
