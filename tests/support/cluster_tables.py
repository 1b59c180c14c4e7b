"""Tables of clusters, and the folder that clip-cluster writes."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from curation.plugins.clustering.clip_cluster import KIND
from curation.schemas import CLUSTERS
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import write_json


def cluster_rows(uids, coarse: int = 4, fine: int = 3, without: float = 0.1, seed: int = 0) -> list[dict]:
    """Clusters of most of the images, in an order that is drawn; of each coarse cluster so many fine ones.

    The first clusters are the largest.
    """
    chance = Random(seed)
    rows = []
    for uid in uids:
        if chance.random() < without:
            continue
        cluster = chance.choices(range(coarse), range(coarse, 0, -1))[0]
        own = cluster * fine + chance.randrange(fine)
        rows.append({"uid": uid, "fine": own, "coarse": cluster, "distance": chance.randrange(256) / 256})
    chance.shuffle(rows)
    return rows


def write_table(path: Path, rows: list[dict], columns=tuple(CLUSTERS.names)) -> str:
    schema = pa.schema([CLUSTERS.field(name) for name in columns])
    pq.write_table(pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows], schema), path)
    return str(path)


def write_folder(folder: Path, rows: list[dict], files: int = 2) -> str:
    """Write what clip-cluster writes, as far as others read it; beside the table are files with other columns."""
    (folder / "clusters").mkdir(parents=True)
    for number in range(files):
        write_table(folder / "clusters" / f"{number:05d}.parquet", rows[number::files])
    pq.write_table(pa.table({"fine": [0], "centre": [[0.0]]}), folder / "centres.parquet")
    checksums = {f"clusters/{path.name}": checksum_of(path) for path in (folder / "clusters").iterdir()}
    write_json(folder / KIND.descriptor, KIND.content({}, checksums, {"images": len(rows)}))
    return str(folder)
