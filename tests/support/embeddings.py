"""Embeddings of the images of a small run, in groups, as tables."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.finished_run import FinishedRun

DIMENSION = 12


def embeddings_of(uids: list[str], groups: int = 6) -> dict[str, np.ndarray]:
    """One vector for each uid near the centre of a group; some are equal."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(groups, DIMENSION))
    vectors = centres[random.integers(0, groups, len(uids))] + 0.3 * random.normal(size=(len(uids), DIMENSION))
    vectors[: len(uids) // 20] = vectors[0]
    return dict(zip(uids, vectors.astype(np.float32), strict=True))


def write_embeddings(folder: Path, vectors: dict[str, np.ndarray], files: int, kind: pa.DataType) -> str:
    """Write a table of so many files, with a row that is null, one of another image, and a second one of the first."""
    folder.mkdir()
    first = min(vectors)
    rows = [(uid, vector.tolist()) for uid, vector in vectors.items()]
    rows += [("0" * 32, None), ("f" * 32, [1.0] * DIMENSION), (first, (-vectors[first]).tolist())]
    for number in range(files):
        uids, lists = zip(*rows[number::files], strict=True)
        table = pa.table({"uid": pa.array(uids), "embedding": pa.array(lists, kind)})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=17)
    return str(folder)


def uids_of(run: FinishedRun) -> list[str]:
    """The uids of all images of a run, those of the manifest first."""
    kept = [row["uid"] for row in run.kept]
    return kept + [row["uid"] for row in run.images if row["uid"] not in set(kept)]
