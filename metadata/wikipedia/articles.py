"""Read the articles in Wikipedia files, and convert their wikitext to plain text.

Skipped pages are counted by reason. Several tasks may read spans of one dump, so faults, which count once per file, are
noted as facts. `dump_files` decides to which Wikipedia a file belongs.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import fsspec
import pyarrow as pa

from metadata.languages import is_wikipedia
from metadata.wikipedia.dump_files import PAGE_COLUMNS, WikipediaFile
from metadata.wikipedia.dumps import CutError, DumpPage, cirrus_pages, drop, unpacked, xml_pages
from metadata.wikipedia.pageviews import Namespaces
from runtime.arrow import gather
from runtime.redaction import with_secrets
from runtime.storage.parquet import BoundedParquet
from runtime.tallies import Tally, TaskResult

# The names of the namespaces of files and categories that work in every Wikipedia, beside the local names.
FILES_AND_CATEGORIES = ("File", "Image", "Media", "Category")

_MARKUP = re.compile(r"[\[\]<>&]|://|^(?:=|----)")
_MARKERS = re.compile(r"^[*#:;\s]+", re.MULTILINE)  # of lists and indented lines
_WORD = re.compile(r"\w")
_QUOTES = re.compile(r"'{2,}")
_SWITCH = re.compile(r"__(?:[^\W_a-z]|_(?!_))+__")  # __NOTOC__, also in other languages
_FOOTER = re.compile(r"(?:\s*\[\[\s*[^\[\]|:]+:\S[^\[\]]*\]\])+\s*")  # categories and interlanguage links stand alone
_HEADING = re.compile(r"(={1,6})(.+)\1\s*")
_RULE = re.compile(r"^-{4,}")
_LINK = re.compile(r"\[\[([^\[\]|]*)(?:\|((?:[^\[\]]|\[(?!\[)|\](?!\](?!\])))*))?\]\]")
# A whole address or none: if a match could be shorter, an address without an end would take quadratic time.
_URL = r"[^\s\[\]<>]*(?![^\s\[\]<>])"
_ADDRESS_WITH_TEXT = re.compile(
    rf"\[(?:(?:[a-z]+:)?//|(?:mailto|news|tel|urn):){_URL}((?:[^\[\]]|\[[^\[\]]*\])*)\]", re.IGNORECASE
)
# A full stop after an address belongs to the sentence, and so does a closing bracket that the address did not open.
_ADDRESS = re.compile(r"\[?(?:\b[a-z]+:|(?<=\[))//(?:[^\s\[\]<>()]|\([^\s\[\]<>()]*\))*(?<![,.;:!?])", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_BREAKS = "blockquote br center dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem td th tr ul".split()
_BREAK = re.compile(rf"</?(?:{'|'.join(_BREAKS)})\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)
_TARGET = re.compile(r"\[\[[^\[\]|]*\|")
_REMAINS = re.compile(r"\[\[|\]\]|\{\{|\}\}|\{\||\|\}|<!--|-->")
_INVISIBLE = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")  # typesetting, no part of a word
_EMPTY = re.compile(r"[(（][\s,;:،、·/–-]*[)）]")

# Tags whose content is not running text. MediaWiki, too, removes these before it reads templates, and reads templates
# before tables and links.
SILENT_TAGS = frozenset(
    "ce categorytree chem code gallery graph hiero imagemap includeonly indicator inputbox mapframe maplink math"
    " pre ref references score script source style syntaxhighlight templatedata templatestyles timeline".split()
)
# Links to files are also recognised by these endings: each language has its own names for the namespace, old and new.
MEDIA = "djvu|flac|gif|jpe?g|midi?|mp3|mpe?g|og[agvx]|opus|pdf|png|stl|svg|tiff?|wav|webm|webp|xcf"

_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_SILENT_TAG = re.compile(rf"<(/?)({'|'.join(sorted(SILENT_TAGS))})\b([^<>]*)>", re.IGNORECASE)
_ARGUMENT = re.compile(r"\{\{\{[^{}]*\}\}\}")
_BRACES = re.compile(r"(\{\{)|\}\}")
_TABLE = re.compile(r"^[ \t:*#]*(\{\|)|^[ \t]*\|\}(?!\})|(<table\b)[^<>]*>|</table\s*>", re.MULTILINE | re.IGNORECASE)
_TABLE_LINE = re.compile(r"^[ \t]*(?:\{\||\||!(?=.*(?:!!|\|))).*$", re.MULTILINE)
_SQUARES = re.compile(r"(\[\[)|\]\](?:\](?!\]))?")  # ]]] ends an address in a caption, and then the caption
_FILE = re.compile(rf"\[\[[^\[\]|:]+:[^\[\]|]*\.(?:{MEDIA})\s*[|\]]", re.IGNORECASE)
_PREFIX = re.compile(r"\[\[\s*([^\[\]|:]*[^\[\]|:\s])\s*:")
_VARIANTS = re.compile(r"-\{(?:([^{}|]*)\|)?([^{}]*)\}-")
_FIRST_VARIANT = re.compile(r"\s*[a-z]{2,3}(?:-[a-z]+)*\s*:([^;]*)")
_HIDDEN_VARIANTS = frozenset("THDN-")  # flags of rules that show nothing: title, hidden, description, name, removal

ARTICLES = pa.schema([("wikipedia", pa.string()), ("title", pa.string()), ("text", pa.string())])
BATCH_ROWS = 1_000
BATCH_CHARACTERS = 4 << 20
PAGE_CHARACTERS = 2 << 20  # MediaWiki's limit is 2 MiB a page, so a longer text is not an article

DUMPS_FACT = "dumps"  # name of the facts in results
Dump = Mapping[str, Any]  # `path`, `pages`, `articles` and `faults` of a file, or of a span of it
_ARTICLE_NAMESPACE = "0"  # number of the namespace of articles
_HIDDEN_NAMESPACES = (-2, 6, 14)  # media, files and categories: a link to one of these shows no text on the page
# Dumps before 2010 mark redirects only in the text: by #REDIRECT, or its word in the wiki's language, before [[…]].
_REDIRECT = re.compile(r"\s*#[^\s\[\]#*:]+\s*:?\s*\[\[")


def articles(file: WikipediaFile, result: TaskResult) -> Iterator[pa.RecordBatch]:
    """Yield the articles of `file`, or of a span of it, in batches with the schema ARTICLES.

    Add the numbers of pages, of articles, and of pages skipped by reason to `result`; note a `Dump` under DUMPS_FACT. A
    file or span that is cut or damaged yields the articles before the damage.
    """
    tally = Tally()
    faults = ["conflicts.language"] if file.conflict else []
    for rows in gather(_articles(file, tally, faults), lambda row: len(row[1]), BATCH_CHARACTERS, BATCH_ROWS):
        titles, texts = zip(*rows, strict=True)
        yield pa.RecordBatch.from_arrays(
            [pa.array([file.wikipedia] * len(rows)), pa.array(titles), pa.array(texts)], schema=ARTICLES
        )
    result.count(tally)
    result.note(
        DUMPS_FACT, {"path": file.path, "pages": tally["pages"], "articles": tally["articles"], "faults": faults}
    )


def summed(tally: Mapping[str, int], dumps: Iterable[Dump]) -> dict[str, int]:
    """Add to the counts in `tally` the number of files and of faults; a fault of several spans of a file counts once.

    >>> spans = [{"path": "a.xml", "pages": 0, "articles": 0, "faults": ["dropped.corrupt"]}] * 2
    >>> summed({"pages": 0}, spans)
    {'pages': 0, 'files': 1, 'dropped.corrupt': 1, 'dropped.no_pages': 1}
    """
    sums = Counter(tally)
    for spans in _by_path(dumps).values():
        sums["files"] += 1
        sums.update({*chain.from_iterable(span["faults"] for span in spans)})
        if not any(span["pages"] for span in spans):
            sums["dropped.no_pages"] += 1
    return dict(sums)


def without_articles(dumps: Iterable[Dump]) -> list[str]:
    """Return the sorted paths of the files in which no article was found."""
    articles_by_path = Counter[str]()
    for dump in dumps:
        articles_by_path[dump["path"]] += dump["articles"]
    return sorted(path for path, number in articles_by_path.items() if not number)


def _by_path(dumps: Iterable[Dump]) -> dict[str, list[Dump]]:
    by_path: dict[str, list[Dump]] = {}
    for dump in dumps:
        by_path.setdefault(dump["path"], []).append(dump)
    return by_path


def namespaces(file: WikipediaFile) -> list[str]:
    """Return the names of the namespaces in a dump's header, except the namespace of articles."""
    return [name for number, name in file.namespaces if number != 0]


def _articles(file: WikipediaFile, tally: Tally, faults: list[str]) -> Iterator[tuple[str, str]]:
    names = Namespaces({file.wikipedia: namespaces(file)})
    hidden = (*FILES_AND_CATEGORIES, *(name for number, name in file.namespaces if number in _HIDDEN_NAMESPACES))
    try:
        for page in _READERS[file.format](file, tally):
            reason = _reason(page, file, names)
            written = "" if reason else page.text or ""
            text = plain_text(written, hidden) if file.format == "xml" else tidy(written)
            if text:
                tally["pages"] += 1
                tally["articles"] += 1
                yield page.title or "", text
            else:
                drop(tally, reason or "empty")
    except CutError as cut:
        faults.append(f"dropped.{cut.reason}")


def _reason(page: DumpPage, file: WikipediaFile, names: Namespaces) -> str | None:
    """Return the reason to skip `page`, or None if it is an article that can be read."""
    if not (page.title or "").strip():
        return "no_title"
    if not _is_article(page, file, names):
        return "namespace"
    if page.redirect:
        return "redirect"
    if page.model not in (None, "wikitext"):
        return "not_wikitext"
    if not (page.text or "").strip():
        return "no_text"
    if len(page.text or "") > PAGE_CHARACTERS:
        return "too_long"
    return "redirect" if file.format == "xml" and _REDIRECT.match(page.text or "") else None


def _is_article(page: DumpPage, file: WikipediaFile, names: Namespaces) -> bool:
    if page.namespace is not None or file.format == "parquet":
        return page.namespace in (None, _ARTICLE_NAMESPACE)
    prefix, colon, _ = (page.title or "").partition(":")
    return not (colon and names.hold(file.wikipedia, prefix))


def _parquet_pages(file: WikipediaFile, tally: Tally) -> Iterator[DumpPage]:
    columns = [*PAGE_COLUMNS, *([file.column] if file.column else [])]
    try:
        with fsspec.open(with_secrets(file.path), "rb") as opened:
            for batch in BoundedParquet(opened).batches(columns, BATCH_ROWS):
                for title, text, *code in zip(*(_strings(batch[name]) for name in columns), strict=True):
                    if not code or code[0].replace("-", "_") == file.wikipedia:
                        yield DumpPage(title, text)
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # The disk or the network failed; a damaged file sets no errno.
            raise
        raise CutError("corrupt") from None


def _strings(column: pa.Array) -> list[str | None]:
    """Return the strings of a column; invalid UTF-8, which Parquet permits, is replaced by U+FFFD."""
    values = column.cast(pa.string()).cast(pa.binary()).to_pylist()
    return [None if value is None else value.decode(errors="replace") for value in values]


_READERS: dict[str, Callable[[WikipediaFile, Tally], Iterator[DumpPage]]] = {
    "xml": lambda file, tally: xml_pages(unpacked(file.path, file.span), tally, file.span is None or file.span.last),
    "cirrus": lambda file, tally: cirrus_pages(unpacked(file.path), tally),
    "parquet": _parquet_pages,
}


def plain_text(wikitext: str, namespaces: Iterable[str] = FILES_AND_CATEGORIES) -> str:
    """Return the running text of wikitext, with headings, list items and paragraphs on lines of their own.

    Blocks that are not running text are dropped first; the rest is parsed by line with regular expressions. Templates
    are dropped, because expanding them would take the wiki's template pages and its Lua. Each pass takes linear
    time, even if brackets are unbalanced; a full parser does not (DESIGN.md, "Wikitext to plain text"). If an opening
    bracket is never closed, only the bracket is removed; the text after it stays.

    `namespaces` are names of namespaces (files, categories) whose links are dropped, as MediaWiki shows no text there.

    >>> plain_text("== Dogs ==\\n* '''[[Dog|Dogs]]''' bark&nbsp;at {{cats}}night.<ref>Often.</ref>\\n[[de:Hund]]")
    'Dogs\\nDogs bark at night.'
    """
    text = without_blocks(wikitext, namespaces)
    for mark in (_SWITCH, _QUOTES, _MARKERS):
        text = mark.sub("", text)
    return tidy("\n".join(map(_line, text.split("\n"))))


def tidy(text: str) -> str:
    """Return `text` with single spaces, without invisible characters, empty brackets and lines without a word."""
    text = _EMPTY.sub("", _INVISIBLE.sub("", text))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(filter(_WORD.search, lines))


def _line(line: str) -> str:
    if not _MARKUP.search(line):
        return _REMAINS.sub("", line)
    if _FOOTER.fullmatch(line):
        return ""
    heading = _HEADING.fullmatch(line)
    line = _RULE.sub("", heading[2] if heading else line)
    line = _ADDRESS_WITH_TEXT.sub(lambda address: address[1].lstrip(), _LINK.sub(_shown, line))
    line = _BREAK.sub("\n", _ENTITY.sub(lambda entity: html.unescape(entity[0]), line))
    # Tags, web addresses and unclosed brackets are removed.
    return _REMAINS.sub("", _TARGET.sub("", _ADDRESS.sub("", _TAG.sub("", line))))


def _shown(link: re.Match) -> str:
    """Return the visible text of a link: its text, or else its target; "" for a target in another Wikipedia."""
    target, text = link.groups()
    if text is not None:
        return text
    prefix, colon, _ = target.strip().partition(":")
    return "" if colon and is_wikipedia(prefix) else target.strip().removeprefix(":")


def without_blocks(wikitext: str, namespaces: Iterable[str] = ()) -> str:
    """Return `wikitext` without blocks that are not running text, such as templates, tables, files and references.

    Links into `namespaces` (names of namespaces, such as Category) are also removed.

    >>> without_blocks("{{Box|a={{b}}}}[[File:X.jpg|thumb|A [[dog]]]]Dogs<ref>[[Cats]]</ref> bark")
    'Dogs bark'
    """
    dropped = {name.casefold() for name in namespaces}
    text = _ARGUMENT.sub("", _without_silent_tags(_without_comments(wikitext)))
    text = _without(text, _pairs(text, _BRACES))
    text = _TABLE_LINE.sub("", _without(text, _pairs(text, _TABLE)))
    text = _without(text, _pairs(text, _SQUARES, lambda start: _is_dropped(text, start, dropped)))
    return _VARIANTS.sub(_variant, text)


def _without_comments(text: str) -> str:
    """Return `text` without comments; of an unclosed comment, only the opening `<!--` is removed."""
    end = text.rfind("-->") + len("-->")  # Behind it, each search for an end would scan the whole rest in vain.
    return _COMMENT.sub("", text[:end]) + text[end:].replace("<!--", "")


def _without_silent_tags(text: str) -> str:
    tags = list(_SILENT_TAG.finditer(text))
    last_end = {tag[2].lower(): tag.start() for tag in tags if tag[1]}
    kept = []
    position = 0
    inside = None
    for tag in tags:
        opens = not tag[1]
        name = tag[2].lower()
        if inside is None:
            kept.append(text[position : tag.start()])
            if opens and not tag[3].endswith("/") and last_end.get(name, -1) > tag.start():
                inside = name
        elif not opens and name == inside:
            inside = None
        else:
            continue
        position = tag.end()
    return "".join([*kept, text[position:]])


def _pairs(text: str, edge: re.Pattern, chosen: Callable[[int], bool] = lambda start: True) -> list[tuple[int, int]]:
    """Return (start, end) of each opening bracket and its closing bracket, including pairs inside other pairs.

    `edge` matches brackets; a match with a group is an opening bracket. Pairs for which `chosen(start)` is False are
    left out.
    """
    opened, pairs = [], []
    for match in edge.finditer(text):
        if match.lastindex:
            opened.append(match.start())
        elif opened and chosen(start := opened.pop()):
            pairs.append((start, match.end()))
    return pairs


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    return "".join(text[start:end] for start, end in _between(sorted(spans), len(text)))


def _between(spans: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    position = 0
    for start, end in spans:
        if start >= position:
            yield position, start
        position = max(position, end)
    yield position, length


def _is_dropped(text: str, start: int, namespaces: set[str]) -> bool:
    prefix = _PREFIX.match(text, start)
    if prefix is None:
        return False
    return prefix[1].replace("_", " ").casefold() in namespaces or bool(_FILE.match(text, start))


def _variant(match: re.Match) -> str:
    """Return the text of the first variant in -{zh-hans:…;zh-hant:…}-; empty if a flag hides the text."""
    if match[1] and _HIDDEN_VARIANTS & set(match[1]):
        return ""
    first = _FIRST_VARIANT.match(match[2])
    return first[1] if first else match[2]
