"""Write clusters.html: sizes, languages and nearest texts of clusters, in the style of the report of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.report.bars import Bar
from curation.report.numbers import number, percent
from curation.report.overview import Tile
from curation.report.rendering import environment
from metadata.languages import language
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

LANGUAGES = 30  # rows of the table; the others are added up
FEW = 3  # languages named beside a coarse cluster


@dataclass(frozen=True)
class FineCluster:
    """A fine cluster as the page shows it."""

    number: int
    images: int
    texts: list[dict[str, Any]]


@dataclass(frozen=True)
class CoarseCluster:
    """A coarse cluster as the page shows it, with the fine ones in it."""

    number: int
    images: int
    languages: str
    texts: list[dict[str, Any]]
    fine: list[FineCluster]


def write_page(path: Path, facts: dict[str, Any]) -> str:
    """Write the page and return its checksum."""
    with whole(path) as file:
        file.write_text(render(facts), encoding="utf-8", errors="backslashreplace")
        return checksum_of(file)


def render(facts: dict[str, Any]) -> str:
    """Return the page of the content of clusters.json."""
    clusters = [_coarse(facts, each) for each in range(facts["coarse"])]
    return (
        environment()
        .get_template("clusters.html")
        .render(
            facts=facts,
            tiles=tiles(facts),
            sizes=_bars(facts),
            clusters=clusters,
            languages=_language_rows(facts),
            codes=[f"cluster {each}" for each in range(facts["coarse"])],
        )
    )


def tiles(facts: dict[str, Any]) -> list[Tile]:
    """Return the figures at the top."""
    fine, coarse = facts["balance"]["fine"], facts["balance"]["coarse"]
    return [
        Tile(
            number(facts["images"]), "images with a cluster", f"{number(facts['without_embedding'])} without embedding"
        ),
        Tile(number(facts["fine"]), "fine clusters", f"{_span(fine)} of equal size"),
        Tile(number(facts["coarse"]), "coarse clusters", f"{_span(coarse)} of equal size"),
        Tile(
            f"{facts['inertia'] / max(facts['images'], 1):.3f}",
            "mean squared distance",
            "to the fine centre, of vectors of length 1",
        ),
    ]


def _span(balance: dict[str, float]) -> str:
    return f"{balance['smallest']:.2f} to {balance['largest']:.2f}"


def _bars(facts: dict[str, Any]) -> list[Bar]:
    sizes = facts["coarse_sizes"]
    return [
        Bar.of(f"cluster {each}", size, f"{percent(size, facts['images'])} of the images", max(sizes))
        for each, size in enumerate(sizes)
    ]


def _coarse(facts: dict[str, Any], coarse: int) -> CoarseCluster:
    images = facts["coarse_sizes"][coarse]
    fine = [
        FineCluster(each, facts["fine_sizes"][each], facts["fine_texts"][each])
        for each, own in enumerate(facts["coarse_of_fine"])
        if own == coarse
    ]
    of_it = sorted(((row[coarse], code) for code, row in facts["languages"].items() if row[coarse]), reverse=True)
    named = ", ".join(f"{language(code).name} {percent(own, images)}" for own, code in of_it[:FEW])
    return CoarseCluster(coarse, images, named, facts["coarse_texts"][coarse], fine)


def _language_rows(facts: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return name, code and the share of each coarse cluster, of the languages with the most images."""
    found = [*facts["languages"].items()]
    rows = [(language(code).name, code, own) for code, own in found[:LANGUAGES]]
    if rest := [own for _, own in found[LANGUAGES:]]:
        rows.append((f"{len(rest)} more", "", [sum(column) for column in zip(*rest, strict=True)]))
    return [(name, code, [number(sum(own)), *(percent(each, sum(own)) for each in own)]) for name, code, own in rows]
