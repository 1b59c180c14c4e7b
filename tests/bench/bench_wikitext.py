"""One core: a dump's XML → pages, and wikitext → plain text, each beside its alternatives; what markup remains.

python tests/bench/bench_wikitext.py [FOLDER]   (default: the wikipedia folder of SHARED_DATA). Alternatives that are
not installed are left out: lxml, mwxml, mwparserfromhell, wikitextparser.
"""

import bz2
import io
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from metadata.wikipedia import articles
from metadata.wikipedia.articles import without_blocks
from metadata.wikipedia.dumps import unpacked, xml_pages

MARKUP = (
    r"\|thumb|\}\}|\{\{|<ref|&nbsp;|__[A-Z]+__|\[\[|\]\]|colspan|\{\||\|\}|''|style=|<[a-z/][^<>]*>|https?:"
    r"|(?m:^[|!=*#:;])|(?:Category|File|Image):"
)
WIKIPEDIA_MB = 100_000  # of wikitext, all languages


def main(folder: Path) -> None:
    """Print the speeds, in MB of XML or of wikitext a second."""
    paths = sorted(folder.rglob("*.bz2"))
    xml = [bz2.decompress(path.read_bytes()) for path in paths]
    report("bz2 and XML to pages", megabytes(xml), lambda: list(xml_pages(chunks(paths), Counter())))
    for name, parse in parsers().items():
        report(f"XML to pages: {name}", megabytes(xml), lambda parse=parse: [parse(each) for each in xml])
    pages = [
        page for each in xml for page in xml_pages([each], Counter()) if page.namespace == "0" and not page.redirect
    ]
    texts = [page.text or "" for page in pages]
    for name, strip in strippers().items():
        report(
            f"wikitext: {name}", megabytes(text.encode() for text in texts), lambda s=strip: [s(t) for t in texts], True
        )


def report(name: str, size: float, run: Callable, show_remains: bool = False) -> None:
    """Run it once, and print how fast that was in processor time, as others may use the core meanwhile."""
    started = time.process_time()
    made = run()
    speed = size / (time.process_time() - started)
    line = f"{name:44} {speed:7.1f} MB/s"
    if show_remains:
        plain = "\n".join(made)
        remains = len(re.findall(MARKUP, plain)) / megabytes([plain.encode()])
        line += f"  {WIKIPEDIA_MB / speed / 3600:5.1f} core hours for all  {remains:8.1f} remains per MB of text"
    print(line, flush=True)


def chunks(paths: Iterable[Path]) -> Iterable[bytes]:
    """Yield the content of all files, one after the other."""
    for path in paths:
        yield from unpacked(str(path))


def megabytes(parts: Iterable[bytes]) -> float:
    """Return the size of all in 10^6 bytes."""
    return sum(map(len, parts)) / 1e6


def parsers() -> dict[str, Callable]:
    """Return what reads the pages of a dump in memory."""
    found = {
        "metadata.wikipedia.dumps": lambda xml: list(xml_pages([xml], Counter())),
        "ElementTree.iterparse": iterparse,
    }
    with suppress(ImportError):
        from lxml import etree

        found["lxml.iterparse"] = lambda xml: [
            page.clear() for _, page in etree.iterparse(io.BytesIO(xml), tag="{*}page")
        ]
    with suppress(ImportError):
        import mwxml

        def of_mwxml(xml):  # which insists on <siteinfo>
            siteinfo = b"" if b"<siteinfo>" in xml else b"<siteinfo></siteinfo>"
            content = io.BytesIO(xml.replace(b"<page>", siteinfo + b"<page>", 1))
            return [revision.text for page in mwxml.Dump.from_file(content) for revision in page]

        found["mwxml"] = of_mwxml
    return found


def iterparse(xml: bytes) -> None:
    """Read all pages as the documentation of ElementTree shows."""
    for _, element in ElementTree.iterparse(io.BytesIO(xml)):
        if element.tag.endswith("}page"):
            element.clear()


def strippers() -> dict[str, Callable]:
    """Return what makes plain text of wikitext."""
    found = {
        "wikitext.plain_text": articles.plain_text,
        "its first pass alone (blocks)": without_blocks,
    }
    with suppress(ImportError):
        import mwparserfromhell

        found["mwparserfromhell's strip_code"] = lambda text: mwparserfromhell.parse(text).strip_code()
    with suppress(ImportError):
        import wikitextparser

        found["wikitextparser's remove_markup"] = wikitextparser.remove_markup
    return found


if __name__ == "__main__":
    shared = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "wikipedia")
