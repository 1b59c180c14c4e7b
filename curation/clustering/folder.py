"""The output folder of a clustering: claimed for one run, with embeddings that stay and clusters that are written anew.

`clusters.json` is written last: a folder that has it is finished.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.clustering.model import Clusters
from runtime.errors import InputError
from runtime.storage.ownership import WORK
from runtime.storage.parquet import write_tables
from runtime.storage.paths import make_folder, names, remove
from runtime.storage.whole import STAMP, Parts, read_json, write_json

CLUSTERS, EMBEDDINGS = "clusters", "embeddings"  # folders
FACTS, PAGE, CENTRES, COARSE_CENTRES = "clusters.json", "clusters.html", "centres.parquet", "coarse_centres.parquet"
OWN = {CLUSTERS, EMBEDDINGS, FACTS, PAGE, CENTRES, COARSE_CENTRES, WORK}


def embeddings_folder(parts: Parts, stamp: dict, overwrite: bool) -> Path:
    """Return the folder for embeddings that are made as the stamp says; refuse one with others, or empty it."""
    folder = parts.folder / EMBEDDINGS
    made = read_json(folder / STAMP)
    if made is not None and made != stamp:
        if not overwrite and names(folder) != {STAMP}:
            what = ", ".join(name for name in stamp if made.get(name) != stamp[name])
            raise InputError(f"{folder} holds other embeddings ({what}); give another folder, or --overwrite")
        remove(folder)
    make_folder(folder)
    write_json(folder / STAMP, stamp)
    return folder


def write_centres(folder: Path, clusters: Clusters, fine_sizes: list[int], coarse_sizes: list[int]) -> dict[str, str]:
    """Write the centres to two tables; return the checksum of each."""
    fine = {
        "fine": np.arange(len(clusters.fine), dtype=np.int32),
        "coarse": clusters.coarse_of,
        "price": clusters.fine.prices,  # what is added to the squared distance to this centre when centres are compared
        "images": fine_sizes,
        "centre": _vectors(clusters.fine.vectors),
    }
    coarse = {
        "coarse": np.arange(len(clusters.coarse), dtype=np.int32),
        "images": coarse_sizes,
        "centre": _vectors(clusters.coarse),
    }
    tables = {CENTRES: pa.table(fine), COARSE_CENTRES: pa.table(coarse)}
    return {name: write_tables(folder / name, [table], table.schema) for name, table in tables.items()}


def _vectors(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(vectors)), vectors.shape[1])


def require_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else, or clusters without `overwrite`."""
    found = names(folder)
    if FACTS in found and not overwrite:
        raise InputError(f"output {folder} holds clusters; give another folder, or --overwrite")
    if not found <= OWN:
        raise InputError(f"output {folder} holds files that are no clusters; give an empty or new folder")
