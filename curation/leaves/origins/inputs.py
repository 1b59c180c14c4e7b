"""Describe the inputs of a run: known public sets that their paths name, and the time that names of crawls state.

Also what papers say alike of texts and of the doubts about their languages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from curation.report.languages import number, percent
from curation.run.ledger import digest_of

PAGES = ("wat", "warc")  # formats of inputs with pages
TEXTS = "alt texts and titles of images on pages, or texts of tables"

# Words in paths, and the public set that they name. A path is a hint: it may hold a part of the set, or another one.
KNOWN = {
    "cc-main": ("Common Crawl", "https://commoncrawl.org"),
    "cc3m": ("Conceptual Captions", "https://ai.google.com/research/ConceptualCaptions"),
    "cc12m": ("Conceptual 12M", "https://github.com/google-research-datasets/conceptual-12m"),
    "commonpool": ("CommonPool of DataComp", "https://www.datacomp.ai"),
    "coyo": ("COYO-700M", "https://github.com/kakaobrain/coyo-dataset"),
    "datacomp": ("DataComp", "https://www.datacomp.ai"),
    "laion": ("LAION", "https://laion.ai"),
    "redcaps": ("RedCaps", "https://redcaps.xyz"),
    "wit": ("Wikipedia-based Image Text", "https://github.com/google-research-datasets/wit"),
    "yfcc": ("YFCC100M", "https://multimediacommons.wordpress.com"),
}
_WORD = re.compile(rf"(?:^|[/_.-])({'|'.join(KNOWN)})(?=$|[/_.-]|\d)", re.IGNORECASE)
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")
_TIME = re.compile(r"(?<!\d)(?:19|20)\d{12}(?!\d)")  # time in the name of a WARC or WAT file


@dataclass(frozen=True)
class Origin:
    """Inputs of one format in folders of one name, or of one crawl."""

    name: str
    format: str
    files: int
    bytes: int
    set: str | None  # the public set that the paths name
    link: str | None
    begin: str | None  # first day that names of files state, YYYY-MM-DD
    end: str | None  # last such day
    digest: str  # digest of names, sizes, times and ETags; not of contents

    @property
    def row(self) -> dict[str, Any]:
        """The source as a row of a table, without the digest."""
        return {name: value for name, value in asdict(self).items() if name != "digest"}


def origins(facts: Mapping[str, Any]) -> list[Origin]:
    """Return the origins of a run in the order of names, given the content of run.json."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in facts["made_from"].get("inputs", []):
        groups.setdefault((_name(each["path"]), each["format"]), []).append(each)
    return [_source(*key, rows) for key, rows in sorted(groups.items())]


def period(found: Sequence[Origin]) -> tuple[str, str] | None:
    """Return the first and the last day that names of files state; None where no name states any."""
    begins, ends = ([day for each in found if (day := getattr(each, name))] for name in ("begin", "end"))
    return (min(begins), max(ends)) if begins else None


def doubts(languages: Mapping[str, Mapping[str, int]]) -> str:
    """Return how many of the kept texts have a doubtful language, given the rows of languages in run.json."""
    doubtful, kept = (sum(row.get(name, 0) for row in languages.values()) for name in ("kept_doubtful", "kept"))
    return f"{number(doubtful)} ({percent(doubtful, kept)}) have a doubtful language, with a score below 0.5"


def _name(path: str) -> str:
    crawl = _CRAWL.search(path)
    return crawl.group() if crawl else PurePosixPath(path).parent.name


def _source(name: str, format: str, rows: list[dict[str, Any]]) -> Origin:
    paths = sorted({row["path"] for row in rows})
    words = {found.group(1).lower() for path in paths if (found := _WORD.search("/".join(path.split("/")[-2:])))}
    known = sorted({KNOWN[word] for word in words} | ({KNOWN["cc-main"]} if _CRAWL.match(name) else set()))
    times = [time for path in paths for time in _TIME.findall(PurePosixPath(path).name)] if format in PAGES else []
    return Origin(
        name=name,
        format=format,
        files=len(paths),
        bytes=sum(row["size"] or 0 for row in rows),
        set=", ".join(each for each, _ in known) or None,
        link=", ".join(link for _, link in known) or None,
        begin=min(map(_day, times), default=None),
        end=max(map(_day, times), default=None),
        digest=digest_of({"inputs": rows}),
    )


def _day(time: str) -> str:
    return f"{time[:4]}-{time[4:6]}-{time[6:8]}"
