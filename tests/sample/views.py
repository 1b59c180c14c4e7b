"""An hour of page views of all projects, as dumps.wikimedia.org has them: `project title views bytes`."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote

from tests.sample.texts import LANGUAGES
from tests.sample.wikipedias import ENGLISH_NAMES, NAMES, ranked_titles

MOST_VIEWS = 4_000  # of the first title of a section; the nth has a share that falls like n^-1.2
MAIN_PAGES = {
    "de": "Wikipedia:Hauptseite",
    "es": "Wikipedia:Portada",
    "fr": "Wikipédia:Accueil principal",
    "ja": "メインページ",
    "ru": "Заглавная страница",
}
OTHER_PROJECTS = ("commons.m", "en.b", "en.d", "ja.d", "www.w", "wikidata")


def write_views(path: Path) -> None:
    """Write a line for each title and way of access, those of other projects and namespaces among them."""
    lines = sorted(f"{project} {title.replace(' ', '_')} {views} 0\n" for project, title, views in _views())
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def _views() -> Iterator[tuple[str, str, int]]:
    for language in LANGUAGES:
        random = Random(f"views {language}")
        for title, rank in ranked_titles(language).items():
            views = 1 + int(MOST_VIEWS * (rank + 1) ** -1.2)
            desktop = 1 + views // 3
            yield language, quote(title) if random.random() < 0.1 else title, desktop
            yield f"{language}.m", title, 1 + views - desktop
        yield from ((language, title, 2 * MOST_VIEWS) for title in _no_articles(language))
    yield from ((project, "Elsewhere", 2 * MOST_VIEWS) for project in OTHER_PROJECTS)


def _no_articles(language: str) -> list[str]:
    talk, file, category = NAMES.get(language, ENGLISH_NAMES)
    return [MAIN_PAGES.get(language, "Main Page"), "Special:Search", f"{talk}:A", f"{file}:A.jpg", f"{category}:A"]
