"""Find the rows of a run's files that meet conditions on entry, language, domain, URL, uid and text.

A file is read one row group at a time: first the columns of the conditions, and the other columns only if the row group
has a row that meets the conditions. At a URL, only these columns are fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from curation.url_hosts import canonical, hosts, is_domain, registered_domain
from runtime.argument_types import typed
from runtime.arrow import differs, one_batch, parts
from runtime.errors import InputError
from runtime.messages import quoted
from runtime.progress import advance
from runtime.redaction import hidden
from runtime.storage.own_files import OwnFile, intact, refusing
from runtime.storage.parquet import open_parquet
from runtime.storage.paths import is_url

PAGE = "page:"  # A domain of pages begins with this.
TEXTS = "candidates"  # the column with the texts of an image; the rows of a manifest have one text, in columns
_IN_TEXTS = ("text", "kind", "language", "lid_score", "entries", "page_url", "record")  # columns of each text
_FEW_IDS = 8  # With more ids, a sorted search is faster than a comparison with each id.


@typed
@dataclass(frozen=True)
class Search:
    """The values that are looked for: the values of a field are alternatives, and all fields with values must hold.

    The conditions on entry, language, text and page must hold for the same text of an image.
    """

    entry: Sequence[str] = ()
    language: Sequence[str] = ()
    domain: Sequence[str] = ()  # registered domains of the image's URL, or after `page:`, of the text's page
    url: Sequence[str] = ()
    uid: Sequence[str] = ()
    text: str | None = None  # a regular expression of RE2

    def __post_init__(self) -> None:
        for name in self.domain:
            _require_registered(name)
        if self.text is not None:
            _require_pattern(self.text)

    @property
    def is_of_images(self) -> bool:
        """Whether the search names images, by URL or uid, and has no other condition."""
        return bool(self.url or self.uid) and {*self.described} <= {"url", "uid"}

    @property
    def described(self) -> dict[str, str | list[str]]:
        """The fields that have values, for JSON."""
        lists = {name: [*getattr(self, name)] for name in ("entry", "language", "domain", "url", "uid")}
        lists["url"] = [*map(hidden, lists["url"])]  # Secrets in URLs are neither shown nor stored.
        given: dict[str, str | list[str]] = {name: values for name, values in lists.items() if values}
        return given | ({} if self.text is None else {"text": self.text})


def _require_registered(name: str) -> None:
    """Raise an InputError unless a value of `domain` names a registered domain."""
    host = canonical(name.removeprefix(PAGE))
    if not is_domain(host):
        raise InputError(
            f"{quoted(name)} is not a domain; pass a registered domain, such as example.org or page:example.org"
        )
    registered = registered_domain(host)
    if registered != host:
        raise InputError(f"{quoted(name)} is a host below the registered domain {registered}; pass {registered}")


def _require_pattern(pattern: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ")
        raise InputError(
            f"the regular expression {quoted(pattern)!r} is not valid in RE2 ({quoted(reason)}); correct it"
        ) from None


@dataclass(frozen=True)
class RowTexts:
    """The texts of rows: images with several texts, or pairs with one; text i is one of row `rows[i]`."""

    batch: pa.RecordBatch
    of_texts: pa.StructArray | pa.RecordBatch  # its fields are columns of texts
    offsets: np.ndarray  # Row k has the texts offsets[k]:offsets[k + 1].

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> RowTexts:
        """Return the texts of a batch with columns of the schema MATCHED or CURATED."""
        if TEXTS in batch.schema.names:
            return cls(batch, *parts(batch[TEXTS]))
        return cls(batch, batch, np.arange(batch.num_rows + 1))

    @cached_property
    def rows(self) -> np.ndarray:
        """The index of each text's row, int64[text]."""
        return np.repeat(np.arange(self.batch.num_rows), np.diff(self.offsets))

    def column(self, name: str) -> pa.Array:
        """Return a column of the texts."""
        return self.of_texts[name] if isinstance(self.of_texts, pa.RecordBatch) else self.of_texts.field(name)

    def pages(self) -> pa.Array:
        """Return the page of each text; a text of an image that states no page has the image's."""
        pages = self.column("page_url")
        if self.of_texts is self.batch:
            return pages
        return pc.coalesce(pages, self.batch["page_url"].take(pa.array(self.rows)))


@dataclass(frozen=True)
class SearchConditions:
    """A search with the ids of its entries, which tasks apply to the rows of files."""

    search: Search
    ids: tuple[int, ...] = ()
    _image_domains: tuple[str, ...] = field(init=False)
    _page_domains: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        domains = self.search.domain
        on_pages = [name.removeprefix(PAGE) for name in domains if name.startswith(PAGE)]
        of_images = [name for name in domains if not name.startswith(PAGE)]
        object.__setattr__(self, "_page_domains", tuple(map(canonical, on_pages)))
        object.__setattr__(self, "_image_domains", tuple(map(canonical, of_images)))

    @property
    def columns(self) -> list[str]:
        """The names of the columns that the conditions need, and of the language."""
        needed = {
            "language": True,
            "entries": bool(self.ids),
            "text": self.search.text is not None,
            "uid": bool(self.search.uid),
            "url": bool(self.search.url or self._image_domains),
            "page_url": bool(self._page_domains),
        }
        return [name for name, is_needed in needed.items() if is_needed]

    def met(self, texts: RowTexts) -> np.ndarray:
        """Return whether each text meets the conditions, bool[text]."""
        met = np.ones(len(texts.rows), bool)
        if self.ids:
            met &= with_entries(texts.column("entries"), self.ids)
        if self.search.language:
            met &= _among(texts.column("language"), self.search.language)
        if self.search.text is not None:
            met &= _mask(pc.match_substring_regex(texts.column("text"), self.search.text))
        for name in ("uid", "url"):
            values = getattr(self.search, name)
            if values:
                met &= _among(texts.batch[name], values)[texts.rows]
        if self.search.domain:
            met &= self._in_domains(texts)
        return met

    def _in_domains(self, texts: RowTexts) -> np.ndarray:
        is_in = np.zeros(len(texts.rows), bool)
        if self._image_domains:
            is_in |= in_domains(texts.batch["url"], self._image_domains)[texts.rows]
        if self._page_domains:
            is_in |= in_domains(texts.pages(), self._page_domains)
        return is_in


def with_entries(entries: pa.Array, wanted: Sequence[int]) -> np.ndarray:
    """Return whether each list of ids has one of the ids `wanted`, bool[list]."""
    ids, offsets = parts(entries)
    numbers = ids.to_numpy()
    if len(wanted) > _FEW_IDS:
        is_wanted = np.isin(numbers, np.array(wanted, np.int32))
    else:
        is_wanted = np.zeros(len(numbers), bool)
        for id in wanted:
            is_wanted |= numbers == id
    holds = np.zeros(len(entries), bool)
    holds[np.searchsorted(offsets, np.flatnonzero(is_wanted), side="right") - 1] = True
    return holds


def in_domains(urls: pa.Array, domains: Sequence[str]) -> np.ndarray:
    """Return whether each URL's host is under one of these registered domains, bool[url]; False for a null.

    A host is looked up only if the URL contains one of the domains in plain letters, or has a host in other letters.
    """
    doubtful = _mask(pc.invert(pc.string_is_ascii(urls)))
    doubtful |= _mask(pc.match_substring_regex(urls, r"^[^:]*://[^/?#\\]*%"))
    for domain in domains:
        doubtful |= _mask(pc.match_substring(urls, domain, ignore_case=True))
    rows = np.flatnonzero(doubtful)
    is_in = np.zeros(len(urls), bool)
    is_in[rows] = _among(hosts(urls.take(pa.array(rows)), registered_domain), domains)
    return is_in


def _among(values: pa.Array, wanted: Sequence[str]) -> np.ndarray:
    return _mask(pc.is_in(values, value_set=pa.array(wanted, values.type)))


def _mask(values: pa.Array) -> np.ndarray:
    """Return an Arrow array of booleans as bool[value]; a null is False."""
    return pc.fill_null(values, False).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class OpenedFile:
    """An opened Parquet file of a run, which is read one row group at a time."""

    file: OwnFile
    parquet: ParquetFile

    @property
    def groups(self) -> range:
        """The numbers of the row groups."""
        return range(self.parquet.num_row_groups)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return the rows of a row group with the named columns of rows and texts; all columns if None.

        InputError if the file is damaged.
        """
        names = self.parquet.schema_arrow.names
        if columns is not None and TEXTS in names:
            in_rows = [name for name in columns if name in names]
            columns = [*in_rows, *(f"{TEXTS}.list.element.{name}" for name in columns if name in _IN_TEXTS)]
        with refusing(self.file):
            return one_batch(self.parquet.read_row_group(group, columns))


@contextmanager
def opened(file: OwnFile) -> Iterator[OpenedFile]:
    """Open a file of a run; at a URL, only the pages that are read are fetched and compared with their checksums."""
    with ExitStack() as stack:
        with refusing(file):
            path = file.path if is_url(file.path) else stack.enter_context(intact(file))
            parquet = stack.enter_context(open_parquet(path))
        yield OpenedFile(file, parquet)


@dataclass(frozen=True)
class Hits:
    """The rows of one row group, and which of their texts meet the conditions; at least one text does."""

    texts: RowTexts
    met: np.ndarray  # bool[text]
    group: int
    _file: OpenedFile

    @cached_property
    def rows(self) -> np.ndarray:
        """The indices of the rows with a text that meets the conditions, ascending."""
        rows = self.texts.rows[self.met]
        return rows[differs(rows)]

    def read(self, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Read columns of all rows of the row group; all columns if None."""
        return self._file.read(self.group, columns)


def hits_in(file: OwnFile, conditions: SearchConditions, more: Sequence[str] = ()) -> Iterator[Hits]:
    """Yield the hits of each row group of a file that has any; their texts have the columns of the conditions.

    `more` names further columns that are read with them.
    """
    columns = [*dict.fromkeys([*conditions.columns, *more])]
    with opened(file) as parquet:
        for group in parquet.groups:
            texts = RowTexts.of(parquet.read(group, columns))
            met = conditions.met(texts)
            advance(rows=texts.batch.num_rows)
            if met.any():
                yield Hits(texts, met, group, parquet)
