"""Read page-view files into rows of Wikipedia, title and views, and drop titles of pages that are not articles.

Hourly files have lines `project title views bytes`; complete daily files have `wiki title page_id access views hourly`.
The number of fields tells which format a line has. Dropped lines are counted by reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote_to_bytes

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import is_wikipedia
from metadata.wikipedia.dumps import CutError, pieces
from runtime.arrow import gather
from runtime.errors import InputError
from runtime.messages import listed
from runtime.packages import table_rows
from runtime.storage.listing import files_at
from runtime.tallies import Tally

_ESCAPE = "%[0-9A-Fa-f]{2}"
# MediaWiki allows these in no title. An escape that is left after decoding shows that the title was escaped twice.
_ILLEGAL = rf"^(:|$)|[\x00-\x1f\x7f#<>\[\]{{|}}\x{{fffd}}]|{_ESCAPE}|&#?[A-Za-z0-9]+;"
_MAX_TITLE_BYTES = 255  # MediaWiki's limit
# Two characters as which cp1252 shows the two bytes of one letter, such as Ã©.
_LIKE_MOJIBAKE = r"[\x{c2}-\x{f4}][\x{80}-\x{bf}ŒœŠšŸŽžƒˆ˜–-›€™]"
# Top-level domains of addresses without a scheme: en.wikipedia.org/wiki/Dog is an address, St.John/Bahn is not.
_DOMAINS = "com net org edu gov mil info biz io tv at au br ca ch cn cz de es eu fr it jp kr nl pl ru se uk".split()
_URL = (
    r"(?i)(?:https?|ftp):/|(?:^|[^\p{L}\p{N}.])www\.[\p{L}\p{N}]|"
    rf"[\p{{L}}\p{{N}}-]{{2}}\.(?:{'|'.join(_DOMAINS)})/"
)

_EVERYWHERE = "*"

# Prefixes of links to sister projects. No title can begin with one of these, or a Wikipedia's code, and a colon.
_INTERWIKI = frozenset(
    "b c commons d foundation m meta mw n q s species v voy w wikibooks wikidata wikinews wikipedia wikiquote "
    "wikisource wikispecies wikiversity wikivoyage wikt wiktionary wmf".split()
)
_NAMESPACES = table_rows("metadata", "wikipedia/namespaces.csv")
MAIN_PAGES = frozenset(filter(None, chain.from_iterable(row["main_pages"].split("|") for row in _NAMESPACES)))

VIEWS = pa.schema([("wikipedia", pa.string()), ("title", pa.string()), ("views", pa.int64())])

BLOCK_BYTES = 16 << 20  # bytes of lines that are read together: some 400,000 lines
HEAD_BYTES = 64 << 10  # bytes at the beginning of a file by which a page-view file is recognised
NAMED_FILES = 10  # the most files that a message names

EXPECTED_LINES = (
    "expected lines `project title views bytes` or `wiki title page_id access views hourly`, as dumps.wikimedia.org "
    "publishes them"
)
_VIEWS_FIELD = {4: 2, 6: 4}  # number of a line's fields → position of the one with the views
_SITES = {"": 4, "m": 4, "zero": 4, "wikipedia": 6}  # en, en.m (mobile), en.zero (Wikipedia Zero) → fields of a line
_COUNT = "^[0-9]{1,9}$"  # a larger number is not a count: all Wikipedias together have fewer than a billion views a day


def find(paths: Iterable[str]) -> list[str]:
    """Return the sorted page-view files at paths, folders and globs; InputError for other files or none."""
    files = sorted({*chain.from_iterable(map(_files, paths))})
    others = [path for path in files if not _has_pageviews(path)]
    if others:
        raise InputError(f"no page views at the beginning of {listed(others, NAMED_FILES)}; {EXPECTED_LINES}")
    return files


def views(path: str, tally: Tally, namespaces: Mapping[str, Collection[str]] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the titles of articles in a page-view file, in batches with the schema VIEWS.

    `tally` counts lines, titles and dropped lines. `namespaces` has further names of namespaces by Wikipedia code, such
    as those in a dump's siteinfo.
    """
    names = Namespaces(namespaces)
    counts = Tally()
    for block in _blocks(path, counts):
        batch = _read_block(block, names, counts)
        if batch.num_rows:
            yield batch
    tally.update(counts)


def _files(path: str) -> list[str]:
    contents = files_at(path, "files, folders or globs of page views")
    files = [file for file in contents.paths if not file.endswith(".partial")]
    if not files:
        raise InputError(f"there are no page views at {path}; pass files, folders or globs of them")
    return files


def _has_pageviews(path: str) -> bool:
    """Return whether the first HEAD_BYTES bytes of a file have a line of page views, or the file is empty."""
    head = b""
    try:
        for piece in _pieces(path, Tally()):
            head += piece
            if len(head) >= HEAD_BYTES:
                break
    except InputError as error:
        if getattr(error.__cause__, "errno", None) or isinstance(error.__cause__, ImportError):
            raise
        return False
    return not head or any(map(_is_pageview, head.split(b"\n")))


def _is_pageview(line: bytes) -> bool:
    fields = line.split(b" ")
    return len(fields) in _VIEWS_FIELD and fields[_VIEWS_FIELD[len(fields)]].isdigit()


def _blocks(path: str, counts: Tally) -> Iterator[bytes]:
    """Yield the content of a file in blocks of whole lines; of a damaged file, the content before the damage."""
    rest = b""
    for some in gather(_pieces(path, counts), len, BLOCK_BYTES):
        lines, line_feed, rest = b"".join([rest, *some]).rpartition(b"\n")
        if line_feed:
            yield lines + line_feed
    if rest:
        yield rest + b"\n"


def _pieces(path: str, counts: Tally) -> Iterator[bytes]:
    """Yield the decompressed content of a file in pieces; if it breaks off, count the rest as dropped.

    InputError if not even the first piece can be read, or if the disk or server fails.
    """
    begun = False
    try:
        for piece in pieces(path):
            begun = True
            yield piece
    except (CutError, OSError, ValueError, ImportError) as error:
        if not begun or getattr(error, "errno", None):  # A disk or server that fails sets errno, damaged data do not.
            raise InputError(f"{path} cannot be read ({error}); expected a page-view file") from error
        counts["dropped", "rest_of_file"] += 1


def _read_block(block: bytes, names: Namespaces, counts: Tally) -> pa.RecordBatch:
    rows = _with_wikipedia(_fields(block, counts), counts)
    rows = _kept(rows, pc.match_substring_regex(rows["views"], _COUNT), "views", counts)
    rows = rows.set_column(2, "views", rows["views"].cast(pa.string()).cast(pa.int64()))
    rows = _kept(rows, pc.greater(rows["views"], 0), "views", counts)
    rows = rows.set_column(1, "title", unescaped(rows["title"]))
    rows = _kept(rows, decodes(rows["title"]), "encoding", counts)
    rows = rows.set_column(1, "title", spaced_titles(rows["title"]))
    like_mojibake = pc.match_substring_regex(rows["title"], _LIKE_MOJIBAKE)
    rows = _kept(rows, pc.invert(_where(like_mojibake, _was_decoded_wrongly, rows["title"])), "mojibake", counts)
    is_legal = pc.invert(pc.match_substring_regex(rows["title"], _ILLEGAL))
    rows = _kept(
        rows, pc.and_(is_legal, pc.less_equal(pc.binary_length(rows["title"]), _MAX_TITLE_BYTES)), "title", counts
    )
    rows = _kept(rows, pc.invert(has_url(rows["title"])), "url", counts)
    rows = _kept(rows, pc.invert(is_main_page(rows["wikipedia"], rows["title"])), "main_page", counts)
    rows = _kept(rows, pc.invert(is_in_namespace(rows["wikipedia"], rows["title"], names)), "namespace", counts)
    counts["titles"] += rows.num_rows
    return rows.cast(VIEWS)


def _fields(block: bytes, counts: Tally) -> pa.RecordBatch:
    """Return project, title, views (binary) and number of fields of each line with 4 or 6 fields.

    Other lines are dropped and counted.
    """
    lines = pc.split_pattern(pa.array([block], pa.binary()), b"\n").flatten()[:-1]
    fields = pc.split_pattern(lines, b" ")
    number = pc.list_value_length(fields)
    forms = []
    for size, views in _VIEWS_FIELD.items():
        rows = fields.filter(pc.equal(number, size))
        columns = [pc.list_element(rows, position) for position in (0, 1, views)]
        forms.append(pa.record_batch([*columns, pa.repeat(size, len(rows))], ["project", "title", "views", "fields"]))
    well_formed = pa.concat_batches(forms)
    counts["lines"] += len(lines)
    if well_formed.num_rows < len(lines):
        counts["dropped", "fields"] += len(lines) - well_formed.num_rows
    return well_formed


def _kept(rows: pa.RecordBatch, keep: pa.Array, reason: str, counts: Tally) -> pa.RecordBatch:
    kept = rows.filter(keep)
    if kept.num_rows < rows.num_rows:
        counts["dropped", reason] += rows.num_rows - kept.num_rows
    return kept


def _with_wikipedia(rows: pa.RecordBatch, counts: Tally) -> pa.RecordBatch:
    """Return Wikipedia code, title and views (VIEWS) of the rows whose project is a Wikipedia.

    Rows of other projects, and rows with more or fewer fields than the project's lines have, are dropped and counted.
    """
    projects = rows["project"].dictionary_encode()
    wikis = [_wikipedia(project) for project in projects.dictionary.to_pylist()]
    codes = pa.array([wiki and wiki[0] for wiki in wikis], pa.string()).take(projects.indices)
    fields = pa.array([wiki and wiki[1] for wiki in wikis], pa.int64()).take(projects.indices)
    agrees = pc.equal(rows["fields"], fields)
    rows = pa.RecordBatch.from_arrays([codes, rows["title"], rows["views"], agrees], names=[*VIEWS.names, "agrees"])
    rows = _kept(rows, codes.is_valid(), "other_project", counts)
    return _kept(rows, rows["agrees"], "fields", counts).select(VIEWS.names)


@lru_cache(maxsize=10_000)
def _wikipedia(project: bytes) -> tuple[str, int] | None:
    """Return the Wikipedia code of `project` and the number of fields in its lines, or None for another project.

    >>> _wikipedia(b"zh-yue.m"), _wikipedia(b"en.wikipedia"), _wikipedia(b"en.d"), _wikipedia(b"commons.m")
    (('zh_yue', 4), ('en', 6), None, None)
    """
    code, _, site = project.decode("ascii", "replace").partition(".")
    return (code.replace("-", "_"), _SITES[site]) if site in _SITES and is_wikipedia(code) else None


def _by_wikipedia(column: str) -> dict[str, frozenset[str]]:
    names: dict[str, set[str]] = defaultdict(set)
    for row in _NAMESPACES:
        for code in row["wikipedia"].split():
            names[code].update(_folded(row[column].split("|")))
    return {code: frozenset(named | names[_EVERYWHERE]) for code, named in names.items()}


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(folded_namespace(name) for name in names if name)


def folded_namespace(name: str) -> str:
    """Return `name` with folded case and single spaces, as MediaWiki compares names of namespaces.

    >>> folded_namespace("User_Talk")
    'user talk'
    """
    return " ".join(name.replace("_", " ").split()).casefold()


_NAMES = _by_wikipedia("namespaces")
_MAIN_PAGES = _by_wikipedia("main_pages")


class Namespaces:
    """The names of each Wikipedia's namespaces, from namespaces.csv and from `more`, which has further names by code.

    namespaces.csv has a row for each large Wikipedia. Its row `*` has the canonical English names, which work in every
    Wikipedia. A small Wikipedia is listed in the row of the large Wikipedia whose names it also uses.

    >>> Namespaces().hold("de", "Datei"), Namespaces().hold("de", "Star Trek")
    (True, False)
    """

    def __init__(self, more: Mapping[str, Collection[str]] | None = None):
        self._more = {code.replace("-", "_"): _folded(names) for code, names in (more or {}).items()}

    def hold(self, wikipedia: str, prefix: str) -> bool:
        """Return whether a title of `wikipedia` that begins with `prefix` and a colon does not name an article."""
        name_sets = (_NAMES.get(wikipedia, _NAMES[_EVERYWHERE]), _INTERWIKI, self._more.get(wikipedia, frozenset()))
        return any(folded_namespace(prefix) in names for names in name_sets) or is_wikipedia(prefix.lower())


def _is_main_page_of(wikipedia: str, title: str) -> bool:
    """Return whether `title` is the title of the main page of the Wikipedia with the code `wikipedia`."""
    return folded_namespace(title) in _MAIN_PAGES.get(wikipedia, _MAIN_PAGES[_EVERYWHERE])


def unescaped(titles: pa.Array) -> pa.Array:
    """Return titles (binary) in which percent-encoded bytes such as %C3%A9 are decoded."""
    escaped = pc.match_substring_regex(titles, _ESCAPE)
    plain = [unquote_to_bytes(title) for title in titles.filter(escaped).to_pylist()]
    return pc.replace_with_mask(titles, escaped, pa.array(plain, pa.binary()))


def decodes(titles: pa.Array) -> pa.Array:
    """Return a bool per title (binary): True if it is valid UTF-8."""
    try:
        titles.cast(pa.string())
        return pa.array(np.ones(len(titles), bool))
    except pa.ArrowInvalid:  # Arrow does not say which title is invalid.
        return pa.array(
            [title.decode("utf-8", "replace").encode() == title for title in titles.to_pylist()], pa.bool_()
        )


def spaced_titles(titles: pa.Array) -> pa.Array:
    """Return titles as strings with single spaces instead of underscores, trimmed."""
    with_spaces = pc.replace_substring(titles.cast(pa.string()), "_", " ")
    return pc.utf8_trim(pc.replace_substring_regex(with_spaces, "  +", " "), " ")


def has_url(titles: pa.Array) -> pa.Array:
    """Return a bool per title: True if it contains a web address."""
    return pc.match_substring_regex(titles, _URL)


def is_main_page(wikipedias: pa.Array, titles: pa.Array) -> pa.Array:
    """Return a bool per title: True if it is the title of the main page of its Wikipedia."""
    candidates = pc.is_in(titles, pa.array(sorted(MAIN_PAGES)))
    return _where(candidates, _is_main_page_of, wikipedias, titles)


def is_in_namespace(wikipedias: pa.Array, titles: pa.Array, names: Namespaces) -> pa.Array:
    """Return a bool per title: True if it begins with a name of a namespace, other than articles, of its Wikipedia."""
    prefixes = pc.replace_substring_regex(titles, "(?s):.*", "")
    return _where(pc.match_substring(titles, ":"), names.hold, wikipedias, prefixes)


def _was_decoded_wrongly(title: str) -> bool:
    """Return whether a word of `title`, encoded as Latin-1 or cp1252, gives the UTF-8 bytes of another word.

    To undo one wrong decoding is enough: a word that was decoded wrongly several times gives UTF-8 as well.

    >>> [_was_decoded_wrongly(title) for title in ("Café Ã©", "CafÃƒÂ©", "ÃƒÂ\\x81rbol", "São Paulo")]
    [True, True, True, False]
    """
    return any(_decoded_again(word) not in (None, word) for word in title.split(" "))


def _decoded_again(word: str) -> str | None:
    try:
        return b"".join(map(_byte, word)).decode("utf-8")
    except UnicodeError:
        return None


def _byte(character: str) -> bytes:
    """Return the byte that browsers show as this character: its byte in Latin-1, or else in cp1252.

    UnicodeError if neither has the character.
    """
    return character.encode("latin-1" if character <= "\xff" else "cp1252")


def _where(candidates: pa.Array, decide: Callable[..., bool], *columns: pa.Array) -> pa.Array:
    """Return a bool per row: `decide(*values)` of the columns' values if the row is a candidate, else False."""
    decided = np.zeros(len(candidates), bool)
    values = zip(*(column.filter(candidates).to_pylist() for column in columns), strict=True)
    answer = lru_cache(maxsize=None)(decide)  # A block has few different prefixes.
    decided[np.flatnonzero(candidates.to_numpy(zero_copy_only=False))] = [answer(*row) for row in values]
    return pa.array(decided)
