"""Describe finished clusters: the content of clusters.json, the tables of centres, and the page clusters.html.

The page shows sizes, languages and nearest texts in the style of the report of a run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.clustering.config import ClusterConfig
from curation.clustering.joining import COARSE, FINE, Nearest
from curation.clustering.training import Clusters
from curation.report.bars import Bar
from curation.report.facts import versions
from curation.report.numbers import number, percent
from curation.report.page import environment
from metadata.languages import language
from runtime.storage.own_files import checksum_of
from runtime.storage.parquet import write_tables
from runtime.storage.whole import whole
from runtime.tallies import Tallies

VERSION = 1
FACTS, PAGE, CENTRES, COARSE_CENTRES = "clusters.json", "clusters.html", "centres.parquet", "coarse_centres.parquet"
LANGUAGES = 30  # rows of the page's table; the others are added up
FEW = 3  # languages named beside a coarse cluster


@dataclass(frozen=True)
class Counted:
    """What the steps of a clustering counted."""

    images: int  # of the run, that were to get a cluster
    trained_on: int  # vectors
    assigned: Tallies
    written: Tallies
    nearest: Nearest
    copies: Tallies  # where copies were asked for
    checksums: dict[str, str]  # of the files of clusters


def facts_of(config: ClusterConfig, made_from: dict[str, Any], clusters: Clusters, counted: Counted) -> dict[str, Any]:
    """Return the content of clusters.json, except the checksums; `made_from` names the run and the embeddings."""
    fine, coarse = len(clusters.fine), len(clusters.coarse)
    written, embeddings = counted.written, int(counted.assigned["embeddings"])
    images, more = int(written["images"]), int(written["more"])
    sizes = {kind: _sizes(written, kind, each) for kind, each in ((FINE, fine), (COARSE, coarse))}
    facts = {
        "version": VERSION,
        **made_from,
        "parameters": {name: value for name, value in asdict(config).items() if value is not None},
        "versions": versions(),
        "images": images,
        "without_embedding": counted.images - images,
        "embeddings": {
            "dimension": clusters.fine.vectors.shape[1],
            "rows": embeddings,
            "unusable": int(counted.assigned["unusable"]),  # null, not finite, or zeros only
            "repeated": more,
            "of_other_images": embeddings - images - more,
        },
        "trained_on": counted.trained_on,
        "fine": fine,
        "coarse": coarse,
        "fine_sizes": sizes[FINE],
        "coarse_sizes": sizes[COARSE],
        "coarse_of_fine": clusters.coarse_of.tolist(),
        "balance": {kind: _spread(each) for kind, each in sizes.items()},
        # The sum of the squared distances of all images to their centres, added in the order of files.
        "inertia": sum(value for _, value in sorted(written.beginning("inertia.").items())),
        "languages": _languages(written, coarse),
        "coarse_texts": counted.nearest.of(COARSE, coarse),
        "fine_texts": counted.nearest.of(FINE, fine),
    }
    if config.same_meaning is not None:
        found = {name: int(counted.copies[name]) for name in ("copies", "copied")}
        facts["copies"] = {"cosine": config.same_meaning, "images": found["copies"], "of": found["copied"]}
    return facts


def _sizes(written: Tallies, kind: str, clusters: int) -> list[int]:
    found = written.beginning(f"{kind}.")
    return [int(found.get(str(number), 0)) for number in range(clusters)]


def _spread(sizes: list[int]) -> dict[str, float]:
    """Return the smallest and the largest size as shares of the mean, and their standard deviation."""
    shares = np.array(sizes) / np.mean(sizes)
    return {"smallest": float(shares.min()), "largest": float(shares.max()), "deviation": float(shares.std())}


def _languages(written: Tallies, coarse: int) -> dict[str, list[int]]:
    """Return the images of each language by coarse cluster, the largest language first."""
    found: dict[str, list[int]] = {}
    for each in range(coarse):
        for code, images in written.by_language(f"{COARSE}.{each}").items():
            found.setdefault(code, [0] * coarse)[each] = int(images)
    return dict(sorted(found.items(), key=lambda item: (-sum(item[1]), item[0])))


def write_centres(folder: Path, clusters: Clusters, facts: dict[str, Any]) -> dict[str, str]:
    """Write the centres to two tables; return the checksum of each."""
    fine = {
        "fine": np.arange(len(clusters.fine), dtype=np.int32),
        "coarse": clusters.coarse_of,
        "price": clusters.fine.prices,  # what is added to the squared distance to this centre when centres are compared
        "images": facts["fine_sizes"],
        "centre": _vectors(clusters.fine.vectors),
    }
    coarse = {
        "coarse": np.arange(len(clusters.coarse), dtype=np.int32),
        "images": facts["coarse_sizes"],
        "centre": _vectors(clusters.coarse),
    }
    tables = {CENTRES: pa.table(fine), COARSE_CENTRES: pa.table(coarse)}
    return {name: write_tables(folder / name, [table], table.schema) for name, table in tables.items()}


def _vectors(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(vectors)), vectors.shape[1])


def write_page(path: Path, facts: dict[str, Any]) -> str:
    """Write the page and return its checksum."""
    with whole(path) as file:
        file.write_text(render(facts), encoding="utf-8", errors="backslashreplace")
        return checksum_of(file)


def render(facts: dict[str, Any]) -> str:
    """Return the page of the content of clusters.json."""
    template = environment().get_template("clusters.html")
    return template.render(
        facts=facts,
        sizes=[
            Bar(f"cluster {each}", size, f"{percent(size, facts['images'])} of the images")
            for each, size in enumerate(facts["coarse_sizes"])
        ],
        named=[_named(facts, each) for each in range(facts["coarse"])],
        languages=_language_rows(facts),
    )


def _named(facts: dict[str, Any], coarse: int) -> str:
    """Return the largest languages of a coarse cluster with their shares."""
    of_it = sorted(((row[coarse], code) for code, row in facts["languages"].items() if row[coarse]), reverse=True)
    shares = ((language(code).name, percent(own, facts["coarse_sizes"][coarse])) for own, code in of_it[:FEW])
    return ", ".join(f"{name} {share}" for name, share in shares)


def _language_rows(facts: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return name, code and the share of each coarse cluster, of the languages with the most images."""
    found = [*facts["languages"].items()]
    rows = [(language(code).name, code, own) for code, own in found[:LANGUAGES]]
    if rest := [own for _, own in found[LANGUAGES:]]:
        rows.append((f"{len(rest)} more", "", [sum(column) for column in zip(*rest, strict=True)]))
    return [(name, code, [number(sum(own)), *(percent(each, sum(own)) for each in own)]) for name, code, own in rows]
