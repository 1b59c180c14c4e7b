"""Write the sample: `python tests/sample/make_sample.py DIR`. No network, no Spark, always the same."""

import sys
from collections import Counter
from pathlib import Path
from random import Random
from urllib.parse import urljoin

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script

from tests.sample.archives import BROKEN, write_warc, write_wat
from tests.sample.pages import Page, page
from tests.sample.texts import LANGUAGES, entries, sentence
from tests.sample.views import write_views
from tests.sample.wikipedias import write_dump
from tests.sample.wordnets import write_wordnets

PAGES_OF_A_WAT = 660
WATS = 3
AGAIN = 20  # pages that the next WAT holds once more
PAGES_OF_THE_WARC = 40
PAGES_OF_THE_PAIRS = 100
CRAWL = "CC-MAIN-20240601000000-20240601030000"
FOLDERS = ("crawl", "pairs", "entries", "wikipedia", "pageviews", "wordnet")


def make_sample(directory: str | Path) -> Counter[str]:
    """Write FOLDERS below `directory`; return how many pages of the crawl there are of each language."""
    crawl, pairs, lists, wikipedia, pageviews, wordnet = (Path(directory) / name for name in FOLDERS)
    for folder in (crawl, pairs, lists, wikipedia, pageviews, wordnet):
        folder.mkdir(parents=True, exist_ok=True)
    pages = [page(number) for number in range(PAGES_OF_A_WAT * WATS + AGAIN + PAGES_OF_THE_WARC)]
    _write_crawl(crawl, pages)
    pq.write_table(_pairs(pages[:: len(pages) // PAGES_OF_THE_PAIRS]), pairs / "pairs.parquet")
    for language in LANGUAGES:
        (lists / f"{language}.txt").write_text("\n".join(entries(language)) + "\n", "utf-8")
        write_dump(wikipedia / f"{language}wiki-20240601-pages-articles.xml.bz2", language)
    write_views(pageviews / "pageviews-20240601-000000.gz")
    write_wordnets(wordnet)
    return Counter(one.language for one in pages)


def _write_crawl(folder: Path, pages: list[Page]) -> None:
    for wat in range(WATS):
        first = wat * PAGES_OF_A_WAT
        path = folder / f"{CRAWL}-{wat:05}.warc.wat.gz"
        write_wat(path, pages[first : first + PAGES_OF_A_WAT + AGAIN], BROKEN if wat else ())
    write_warc(folder / f"{CRAWL}-{WATS:05}.warc.gz", pages[-PAGES_OF_THE_WARC:])


def _pairs(pages: list[Page]) -> pa.Table:
    """Return images of the pages with texts of their own; a text in fifty is null."""
    random = Random("pairs")
    rows = []
    for one in pages:
        for image in one.images:
            text = sentence(one.language, random) if random.random() > 0.02 else None
            rows.append({"url": urljoin(urljoin(one.url, one.base or ""), image["src"]), "text": text})
    return pa.Table.from_pylist(rows, pa.schema({"url": pa.string(), "text": pa.string()}))


def main(directory: str) -> None:
    """Write the sample and say what is in it."""
    pages = make_sample(directory)
    languages = ", ".join(f"{language} {count:,}" for language, count in pages.most_common())
    print(f"{directory}: {sum(pages.values()):,} pages ({languages})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/sample/make_sample.py DIR")
    main(sys.argv[1])
