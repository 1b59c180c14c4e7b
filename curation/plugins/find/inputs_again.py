"""Read the inputs of a run again for one image: the candidates that they state for it, and why others were dropped.

Rows are compared before they become candidates. Only rows about the image go through the functions that a run reads
with, each with its own tally, which says why the row was dropped. Files of other packages' formats are read as a run
reads them, so the rows that these readers drop are unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import uid_bytes
from curation.inputs.candidates import BATCH_ROWS, candidates_in_rows
from curation.inputs.crawl import warc, wat
from curation.inputs.crawl.page_candidates import Image, Links, Page, candidates_of_file, from_rows, pairs_of_page
from curation.inputs.files import formats, listed_file
from curation.inputs.tables import text
from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.parquet_tables import column_values, from_batch, string_columns
from curation.inputs.tables.signatures import unpack
from curation.plugins.find.rows_of_run import WantedImage, uid_of
from runtime.arrow import as_bytes
from runtime.engine import Engine
from runtime.errors import InputError
from runtime.folders.stamps import Input
from runtime.storage.parquet import BoundedParquet
from runtime.tallies import Tally, TaskResult

MAX_ROWS_OF_INPUT = 1_000  # A task returns at most so many rows about the image; a logo may have millions.
_SHORTEST_NEEDLE = 4  # Lines and records without so many characters of the URL are skipped.
_DAMAGE = (
    *("bad_file", "corrupt_file", "corrupt_gzip", "truncated", "long_line", "too_large"),
    *("bad_record", "bad_json", "bad_http", "bad_encoding", "bad_row", "bad_utf8", "bad_link"),
)


@dataclass(frozen=True)
class StatedPair:
    """A row of an input about the image: its place there, and the candidate that it becomes or why it is dropped."""

    input: str
    place: str
    candidate: dict[str, Any] | None
    dropped: str | None = None


@dataclass(frozen=True)
class ReadAgain:
    """The statements of a run's inputs about an image.

    pairs: the first rows about it, at most MAX_ROWS_OF_INPUT of each input; `more` is the number of other rows.
    dropped: reason → number of rows about it that are dropped for this reason.
    unread: path of an input that can no longer be read → the reason.
    damaged: path of an input → the numbers of records, by reason, that cannot be read at all.
    """

    inputs: int
    pairs: list[StatedPair]
    more: int
    dropped: dict[str, int]
    unread: dict[str, str]
    damaged: dict[str, dict[str, int]]


def read_again(
    engine: Engine, inputs: Sequence[dict[str, Any]], options: TableOptions, wanted: WantedImage
) -> ReadAgain:
    """Return what inputs, given as run.json lists them, state about an image; each is a task."""
    sources: list[Input] = []
    unread: dict[str, str] = {}
    for stated in inputs:
        if "format" in stated:
            groups = stated.get("row_groups")
            sources.append(Input(**stated | {"row_groups": groups and tuple(groups)}))
        else:
            unread[stated["path"]] = "it is a table that was not copied"
    result = engine.run(sources, _Reader(options, wanted).read)
    unread |= dict(result.noted("unread"))
    damaged: dict[str, dict[str, int]] = {}
    for path, reason, number in result.noted("damaged"):
        of_input = damaged.setdefault(path, {})
        of_input[reason] = of_input.get(reason, 0) + number
    pairs = [StatedPair(*row) for row in result.noted("pairs")]
    dropped = {str(reason): int(number) for reason, number in result.by_item("dropped").items()}
    return ReadAgain(len(inputs), pairs, int(result["more"]), dropped, unread, damaged)


@dataclass
class _Seen:
    """The rows about the image that a task has met in an input; `tally` counts everything else that a reader drops."""

    source: Input
    wanted: WantedImage
    result: TaskResult = field(default_factory=TaskResult)
    tally: Tally = field(default_factory=Tally)

    @property
    def pieces(self) -> range | None:
        """The row groups of the file that belong to the input; None stands for all."""
        return range(*self.source.row_groups) if self.source.row_groups else None

    def add(self, place: str, batches: Iterable[pa.RecordBatch], tally: Tally) -> None:
        """Note the candidates of a row, and the reasons that its own `tally` has counted, which reading them fills."""
        for batch in batches:
            rows = batch.filter(self.wanted.is_in(batch["url"], batch["uid"]))
            for candidate in rows.to_pylist():
                self._note([self.source.path, place, candidate, None])
        for key, number in tally.items():
            if number and key[0] == "dropped":
                self.result.add("dropped", number, item=key[1])
                self._note([self.source.path, place, None, key[1]])

    def add_damage(self) -> None:
        """Note the records of the input that could not be read at all, so that nobody knows which image they name."""
        for reason in _DAMAGE:
            if number := self.tally["dropped", reason]:
                self.result.note("damaged", [self.source.path, reason, number])

    def _note(self, pair: list) -> None:
        if len(self.result.noted("pairs")) < MAX_ROWS_OF_INPUT:
            self.result.note("pairs", pair)
        else:
            self.result.add("more")


@dataclass(frozen=True)
class _Reader:
    """Reads inputs again in the tasks of an engine."""

    options: TableOptions
    wanted: WantedImage

    def read(self, source: Input) -> TaskResult:
        """Note what an input states about the image, or why it cannot be read as it was."""
        seen = _Seen(source, self.wanted)
        search = _SEARCHES.get(source.format, _in_candidates)
        try:
            if source.format not in formats():
                raise InputError(f"no installed package reads the format {source.format}")
            file = listed_file(source)
            with file.open(formats()[source.format].reading) as opened:
                search(opened, seen, replace(self.options, dialect=source.dialect))
            file.check()
            seen.add_damage()
        except (InputError, OSError) as error:
            seen.result.note("unread", [source.path, str(error)])
        return seen.result


def _in_candidates(file: BinaryIO, seen: _Seen, options: TableOptions) -> None:
    source = seen.source
    for batch in formats()[source.format].read(file, source.path, options, seen.tally, seen.pieces):
        seen.add("", [batch], Tally())


def _in_parquet(file: BinaryIO, seen: _Seen, options: TableOptions) -> None:
    table = BoundedParquet(file)
    columns = string_columns(table.schema, options, seen.source.path)

    def damaged() -> None:
        seen.tally["dropped", "corrupt_file"] += 1

    read = 0
    for batch in table.batches([*set(columns.values())], BATCH_ROWS, seen.pieces, damaged):
        for row in _rows_about(batch, columns, seen.wanted):
            of_row = Tally()
            seen.add(f"row {read + row + 1:,}", from_batch(batch.slice(row, 1), columns, of_row), of_row)
        read += batch.num_rows


def _rows_about(batch: pa.RecordBatch, columns: Mapping[str, str], wanted: WantedImage) -> list[int]:
    """Return the indices of the rows with the image's uid, or its URL: as URL or, if columns are swapped, as text."""
    values = {name: as_bytes(column_values(batch, columns[name])) for name in ("url", "text")}
    is_wanted = np.zeros(batch.num_rows, bool)
    if wanted.url is not None:
        url = pa.scalar(wanted.url.encode("utf-8", "replace"), pa.binary())
        for column in values.values():
            is_wanted |= _flags(pc.equal(column, url))
    if "uid" in columns:
        stated = uid_bytes(column_values(batch, columns["uid"]))
        is_wanted |= _flags(pc.equal(stated, pa.scalar(wanted.uid.encode(), pa.binary())))
    elif wanted.url is None:
        # The URLs may not be UTF-8, so they are compared as bytes.
        is_wanted |= [value is not None and uid_of(value) == wanted.uid for value in values["url"].to_pylist()]
    return np.flatnonzero(is_wanted).tolist()


def _flags(mask: pa.Array) -> np.ndarray:
    return mask.fill_null(False).to_numpy(zero_copy_only=False)


def _in_json(file: BinaryIO, seen: _Seen, options: TableOptions) -> None:
    path = seen.source.path
    columns = text.check_json(unpack(file, path), path, options).columns
    keys = [*columns.values()]
    spelled = _spelled(seen.wanted)
    with listed_file(seen.source).open() as again:
        for number, line in enumerate(text.lines(unpack(again, path), seen.tally), 1):
            is_named = any(spelling in line.replace("\\/", "/") for spelling in spelled)
            if spelled and not is_named:
                continue
            row = text.row_of_line(line, keys)
            of_row = Tally()
            if row is None:
                of_line = of_row if is_named else seen.tally  # Without a URL, nobody knows which image the line names.
                of_line["dropped", "bad_json"] += line.strip() != ""
                seen.add(f"line {number:,}", [], of_row)
            elif _is_about(seen.wanted, dict(zip(columns, row, strict=True))):
                seen.add(f"line {number:,}", candidates_in_rows(columns, [row], of_row), of_row)


def _spelled(wanted: WantedImage) -> set[str]:
    """Return the ways in which JSON may spell the URL, with plain slashes, and the uid; empty without a URL."""
    if wanted.url is None:
        return set()
    escaped = json.dumps(wanted.url)[1:-1]
    return {wanted.url, escaped, json.dumps(wanted.url, ensure_ascii=False)[1:-1], wanted.uid}


def _is_about(wanted: WantedImage, row: Mapping[str, Any]) -> bool:
    """Return whether a row of a table is about the image, or has its URL as text, if columns are swapped."""
    return wanted.is_named(row["url"], row.get("uid")) or (wanted.url is not None and row["text"] == wanted.url)


def _in_delimited(file: BinaryIO, seen: _Seen, options: TableOptions) -> None:
    path = seen.source.path
    rows, data, columns = text.opened_rows(unpack(file, path), path, options, seen.tally)
    for row in data:
        of_row = Tally()
        place = f"line {rows.line:,}"
        if row is None:
            seen.tally["dropped", "bad_row"] += 1
        elif len(row) != rows.width:
            of_line = of_row if seen.wanted.url in row else seen.tally
            of_line["dropped", "bad_row"] += seen.wanted.url is None or of_line is of_row
            seen.add(place, [], of_row)
        else:
            values = {name: row[number] for name, number in columns.items()}
            if _is_about(seen.wanted, values):
                seen.add(place, candidates_in_rows(columns, [tuple(values.values())], of_row), of_row)


def _in_wat(file: BinaryIO, seen: _Seen, _options: TableOptions) -> None:
    needle = _needle(seen.wanted.url)
    for blocks in warc.metadata(warc.gzip_members(file, seen.tally), seen.tally):
        for begin, end, offset in zip(blocks.begins, blocks.ends, blocks.offsets, strict=True):
            block = bytes(blocks.data[begin:end])
            if needle not in block:
                continue
            of_record = Tally()
            page = None
            if len(block) > wat.MAX_RECORD_BYTES:
                of_record["dropped", "too_large"] = 1
            else:
                page = wat.page_of(block, of_record)
            _see_page(page, block, offset, of_record, seen)


def _in_warc(file: BinaryIO, seen: _Seen, _options: TableOptions) -> None:
    for record, block, offset in warc.responses(warc.gzip_members(file, seen.tally), seen.tally):
        of_record = Tally()
        page = warc.page_of(record, block)
        if isinstance(page, str):
            of_record["dropped", page] = 1
            page = None
        _see_page(page, block, offset, of_record, seen)


def _see_page(page: Page | None, block: bytes, offset: int, of_record: Tally, seen: _Seen) -> None:
    """Note the pairs of the image on a page; if `page` is None, note why its record was dropped, which `of_record` has.

    `block` is the content of the record, and `offset` its place in the file.
    """
    place = f"the record at byte {offset:,}"
    if page is None:
        if _names(block, seen.wanted.url):
            seen.add(place, [], of_record)
        elif seen.wanted.url is None:
            seen.tally.update(of_record)  # Without a URL, nobody knows which image the record names.
        return
    images = _images_on(page, seen.wanted)
    if images:
        tally = Tally()
        pairs = from_rows(pairs_of_page(page._replace(images=images), tally), tally)
        of_file = Tally({"records": 1})  # A file without records would count as bad.
        batches = candidates_of_file(pairs, of_file, seen.source.path)
        seen.add(f"{place}, the page {page.url}", batches, tally)


def _names(block: bytes, url: str | None) -> bool:
    """Return whether a record that cannot be read has the end of a URL's path, as links may be relative."""
    end = (url or "").partition("?")[0].rpartition("/")[2]
    return end != "" and re.search(rb"(?<![\w.-])" + re.escape(end.encode()), block) is not None


def _images_on(page: Page, wanted: WantedImage) -> list[Image]:
    """Return the images of a page whose link means the URL, or is spelled like it."""
    try:
        resolve = Links(page.url, page.base).resolve
    except ValueError:  # A run drops all images of such a page.
        resolve = None
    images = []
    for image in page.images:
        link = image.link
        if type(link) is str and (
            wanted.is_named(link.strip()) or (resolve is not None and wanted.is_named(resolve(link)[0]))
        ):
            images.append(image)
    return images


def _needle(url: str | None) -> bytes:
    """Return the longest run of letters and digits in a URL's path, which each spelling of it has; b"" if it is short.

    >>> _needle("https://a.org/b/dog%20one-12345.jpg?x=1")
    b'12345'
    """
    path = (url or "").partition("://")[2].partition("/")[2]
    runs = re.findall("[A-Za-z0-9]+", re.sub("%..", " ", path))
    longest = max(runs, key=len, default="")
    return longest.encode() if len(longest) >= _SHORTEST_NEEDLE else b""


_SEARCHES: dict[str, Callable[[BinaryIO, _Seen, TableOptions], None]] = {
    "parquet": _in_parquet,
    "json": _in_json,
    "csv": _in_delimited,
    "wat": _in_wat,
    "warc": _in_warc,
}
