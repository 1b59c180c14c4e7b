"""captions.arrow and clusters.arrow of a small run, and what their readers make of them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation import captions, clusters
from curation.plugins.annotations.captions import Captions
from curation.plugins.annotations.clusters import Clusters
from curation.run.results import Results
from tests.support.cluster_tables import cluster_rows, write_table
from tests.support.online_run import images, write_run


def write_keyed_files(folder: Path) -> list[str]:
    """Write captions.arrow and clusters.arrow below `folder`, of a run of 300 images; return the uids of these."""
    write_run(folder / "run", images(300))
    uids = pq.read_table(folder / "run" / "matched", columns=["uid"])["uid"].to_pylist()
    rows = [
        {"uid": uid, "caption": f"犬 {number}", "score": number / 7, "source": "m"} for number, uid in enumerate(uids)
    ]
    pq.write_table(pa.Table.from_pylist(rows[::2]), folder / "captions.parquet")
    run, table = Results.open(folder / "run"), write_table(folder / "clusters.parquet", cluster_rows(uids))
    for name, build, path in (("captions", captions.build, "captions.parquet"), ("clusters", clusters.build, table)):
        (folder / name).mkdir()
        build([str(folder / path)], run, folder / name / f"{name}.arrow")
    return uids


def captions_of(folder: Path, uids: list[str]) -> object:
    opened = Captions.open(folder / "captions.arrow")
    return len(opened), opened.of(pa.array(uids)).to_pylist()


def clusters_of(folder: Path, uids: list[str]) -> object:
    opened = Clusters.open(folder / "clusters.arrow")
    return len(opened), opened.kept, opened.of(pa.array(uids)).to_pylist(), opened.coarse(pa.array(uids)).tolist()
