"""Read the articles in Wikipedia files as plain text; `files` decides to which Wikipedia a file belongs.

Skipped pages are counted by reason. Several tasks may read parts of one dump, and their tallies are added up by name.
What must count once per file is tallied under a name with the file's path: `file TAB what TAB path`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import fsspec
import pyarrow as pa

from metadata.wikipedia.dumps import CutError, Page, cirrus_pages, drop, unpacked, xml_pages
from metadata.wikipedia.files import COLUMNS, WikipediaFile
from metadata.wikipedia.titles import Namespaces
from metadata.wikipedia.wikitext import FILES_AND_CATEGORIES, plain_text, tidy
from runtime.arrow.batching import gather
from runtime.redaction import with_secrets
from runtime.storage.bounded_parquet import BoundedParquet

ARTICLES = pa.schema([("wikipedia", pa.string()), ("title", pa.string()), ("text", pa.string())])
BATCH_ROWS = 1_000
BATCH_CHARACTERS = 4 << 20
PAGE_CHARACTERS = 2 << 20  # MediaWiki's own limit is 2 MiB a page, so what is longer is no article

_OF_FILE = "file\t"
_ARTICLE = "0"  # the namespace
_HIDDEN_NAMESPACES = (-2, 6, 14)  # media, files, categories: links into them show nothing
# #REDIRECT [[…]], in any language: dumps before 2010 say no more
_REDIRECT = re.compile(r"\s*#[^\s\[\]#*:]+\s*:?\s*\[\[")


def articles(file: WikipediaFile, tally: Counter) -> Iterator[pa.RecordBatch]:
    """Yield the articles of `file` as batches of ARTICLES; what is left out is counted in `tally` under its reason.

    A file or span that ends early, or is damaged, yields the articles before. What counts once a file is counted with
    its path.
    """
    _count(tally, file.path, "read")  # a file, or a span of one
    _count(tally, file.path, "conflicts.language", file.conflict)
    before = {what: tally[what] for what in ("pages", "articles")}
    for rows in gather(_articles(file, tally), lambda row: len(row[1]), BATCH_CHARACTERS, BATCH_ROWS):
        titles, texts = zip(*rows, strict=True)
        yield pa.RecordBatch.from_arrays(
            [pa.array([file.wikipedia] * len(rows)), pa.array(titles), pa.array(texts)], schema=ARTICLES
        )
    for what, number in before.items():
        _count(tally, file.path, what, tally[what] - number)


def summed(tally: Mapping[str, int]) -> dict[str, int]:
    """Return a tally in which each fault and conflict counts once a file, and with the number of files.

    >>> summed({"pages": 0, "file\\tread\\ta.xml": 2, "file\\tdropped.corrupt\\ta.xml": 2})
    {'pages': 0, 'files': 1, 'dropped.corrupt': 1, 'dropped.no_pages': 1}
    """
    found: Counter = Counter({name: number for name, number in tally.items() if not name.startswith(_OF_FILE)})
    of_files = _by_file(tally)
    for facts in of_files.values():
        found["files"] += 1
        found.update({what: 1 for what in facts if "." in what})
        if not facts["pages"]:
            found["dropped.no_pages"] += 1
    return dict(found)


def without_articles(tally: Mapping[str, int]) -> list[str]:
    """Return the paths of the files in which no article was found, in order."""
    return sorted(path for path, facts in _by_file(tally).items() if not facts["articles"])


def _by_file(tally: Mapping[str, int]) -> dict[str, Counter]:
    files: dict[str, Counter] = {}
    for name, number in tally.items():
        if name.startswith(_OF_FILE):
            _, what, path = name.split("\t", 2)
            files.setdefault(path, Counter())[what] += number
    return files


def _count(tally: Counter, path: str, what: str, number: int = 1) -> None:
    """Count `number` of something in the file at `path`."""
    if number:
        tally[f"{_OF_FILE}{what}\t{path}"] += number


def namespaces(file: WikipediaFile) -> list[str]:
    """Return the names of the namespaces in a dump's header, without the namespace of articles."""
    return [name for number, name in file.namespaces if number != 0]


def _articles(file: WikipediaFile, tally: Counter) -> Iterator[tuple[str, str]]:
    known = Namespaces({file.wikipedia: namespaces(file)})
    hidden = (*FILES_AND_CATEGORIES, *(name for number, name in file.namespaces if number in _HIDDEN_NAMESPACES))
    for page in _until_cut(file, tally):
        reason = _reason(page, file, known)
        written = "" if reason else page.text or ""
        text = plain_text(written, hidden) if file.kind == "xml" else tidy(written)
        if text:
            tally["pages"] += 1
            tally["articles"] += 1
            yield page.title or "", text
        else:
            drop(tally, reason or "empty")


def _until_cut(file: WikipediaFile, tally: Counter) -> Iterator[Page]:
    try:
        yield from _READERS[file.kind](file, tally)
    except CutError as cut:
        _count(tally, file.path, f"dropped.{cut.reason}")


def _reason(page: Page, file: WikipediaFile, known: Namespaces) -> str | None:
    """Return why `page` is no article that can be read; None if it is one."""
    if not (page.title or "").strip():
        return "no_title"
    if not _is_article(page, file, known):
        return "namespace"
    if page.redirect:
        return "redirect"
    if page.model not in (None, "wikitext"):
        return "not_wikitext"
    return _reason_of_text(page.text or "", file.kind)


def _reason_of_text(text: str, kind: str) -> str | None:
    if not text.strip():
        return "no_text"
    if len(text) > PAGE_CHARACTERS:
        return "too_long"
    return "redirect" if kind == "xml" and _REDIRECT.match(text) else None


def _is_article(page: Page, file: WikipediaFile, known: Namespaces) -> bool:
    if page.namespace is not None or file.kind == "parquet":
        return page.namespace in (None, _ARTICLE)
    prefix, colon, _ = (page.title or "").partition(":")
    return not (colon and known.hold(file.wikipedia, prefix))


def _xml_pages(file: WikipediaFile, tally: Counter) -> Iterator[Page]:
    return xml_pages(unpacked(file.path, file.span), tally, last=file.span is None or file.span.last)


def _cirrus_pages(file: WikipediaFile, tally: Counter) -> Iterator[Page]:
    return cirrus_pages(unpacked(file.path), tally)


def _parquet_pages(file: WikipediaFile, tally: Counter) -> Iterator[Page]:
    columns = [*COLUMNS, *([file.column] if file.column else [])]
    try:
        with fsspec.open(with_secrets(file.path), "rb") as opened:
            for batch in BoundedParquet(opened).batches(columns, BATCH_ROWS):
                for title, text, *code in zip(*(_strings(batch[name]) for name in columns), strict=True):
                    if not code or code[0].replace("-", "_") == file.wikipedia:
                        yield Page(title, text)
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # the disk or the network, not the file
            raise
        raise CutError("corrupt") from None


def _strings(column: pa.Array) -> list[str | None]:
    """Return the values of a column; bytes that are no UTF-8, which Parquet does not rule out, are replaced."""
    values = column.cast(pa.string()).cast(pa.binary()).to_pylist()
    return [None if value is None else value.decode(errors="replace") for value in values]


_READERS = {"xml": _xml_pages, "cirrus": _cirrus_pages, "parquet": _parquet_pages}
