"""Find one image in a finished run: its rows in each part, and the pairs that the inputs gave it.

Parts are read in tasks: first only the column that is compared, and other columns only of row groups with a hit. Of
`pairs/`, whose blocks state their bucket, only the blocks of the image's bucket are unpacked if its uid is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import uid_hashes, uids
from curation.plugins.find.searching import opened
from curation.run import output_folder
from curation.run.finished_run import FinishedRun
from curation.schemas import PAIRS, REMOVED_PART
from runtime.buckets import bucket_of, read_blocks, rows_of_block
from runtime.engine import Engine
from runtime.errors import AGAIN
from runtime.storage.own_files import OwnFile
from runtime.storage.paths import names
from runtime.tallies import TaskResult

ROWS = "rows"  # the notes of the rows that a task finds
_WEB_SCHEMES = ("http", "https")
_IN_URLS = "/?:@!$&'()*+,;=~#[]"  # `quote` leaves these characters as they are.
MAX_ROWS_OF_IMAGE = 10_000  # A task returns at most so many rows; a logo may have millions of pairs.


def uid_of(url: bytes) -> str:
    """Return the uid of a URL that states none: its MD5."""
    return md5(url, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Lookup:
    """Looks up the rows with one of some values in a column, `uid` or `url`, in the tasks of an engine."""

    column: str
    values: tuple[str, ...]

    def rows_of_part(self, item: tuple[str, OwnFile]) -> TaskResult:
        """Note the rows in a file of a part as the fields of FoundRow; `item` has the part's name and the file."""
        part, file = item
        result = TaskResult()
        with opened(file) as parquet:
            begin = 0
            for group in parquet.groups:
                compared = parquet.read(group, [self.column])
                hits = np.flatnonzero(self._mask(compared))
                if len(hits):
                    rows = parquet.read(group).take(pa.array(hits[:MAX_ROWS_OF_IMAGE]))
                    for hit, values in zip(hits.tolist(), rows.to_pylist(), strict=False):
                        result.note(ROWS, [part, file.path.name, group, begin + hit, values])
                begin += compared.num_rows
        return result

    def pairs_of_file(self, file: OwnFile) -> TaskResult:
        """Note the pairs in a file of blocks, each with the name of the file."""
        result = TaskResult()
        left = MAX_ROWS_OF_IMAGE
        keys = uid_hashes(pa.array(self.values)).view(np.uint64)
        for block in read_blocks(file.path, PAIRS):
            if self.column == "uid" and block.bucket not in bucket_of(keys, block.buckets):
                continue
            rows = rows_of_block(block.read(), PAIRS)
            rows = rows.filter(pa.array(self._mask(rows))).slice(0, left)
            left -= rows.num_rows
            result.note(ROWS, *([file.path.name, values] for values in rows.to_pylist()))
        return result

    def _mask(self, rows: pa.RecordBatch) -> np.ndarray:
        return pc.is_in(rows[self.column], pa.array(self.values)).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class WantedImage:
    """The image that is looked for: the uid or the URL that was asked for, and its uid if it is known.

    The uid of a URL is its MD5 unless an input states another one.
    """

    url: str | None
    uid: str

    @classmethod
    def of(cls, url: str | None, uid: str | None) -> WantedImage:
        """Return the image with a uid or, if that is None, with a URL."""
        return cls(url, uid if uid is not None else uid_of((url or "").encode("utf-8", "replace")))

    @property
    def lookups(self) -> list[Lookup]:
        """How the image is looked up in a run: by its uid, and where that finds nothing, by its URL if it is known."""
        by_uid = Lookup("uid", (self.uid,))
        return [by_uid] if self.url is None else [by_uid, Lookup("url", (self.url,))]

    def is_named(self, url: object, stated: object = None) -> bool:
        """Return whether a row is about the image, given its URL and the uid that it states, or None."""
        if self.url is not None and url == self.url:
            return True
        if stated:
            return stated == self.uid
        return type(url) is str and uid_of(url.encode("utf-8", "replace")) == self.uid

    def is_in(self, urls: pa.Array, stated: pa.Array) -> pa.Array:
        """Return which rows are about the image, bool[row], given their URLs and the uids that they state or null."""
        is_wanted = pc.equal(uids(urls, stated), self.uid).fill_null(False)
        return is_wanted if self.url is None else pc.or_(is_wanted, pc.equal(urls, self.url).fill_null(False))


@dataclass(frozen=True)
class FoundRow:
    """A row about the image, the part and the file that have it, and its position there: row group and row, from 0."""

    part: str
    file: str
    group: int
    row: int
    values: dict[str, Any]


@dataclass(frozen=True)
class FoundPair:
    """A pair of the image, with the schema PAIRS, and the paths of the inputs of the task that wrote it."""

    inputs: list[str]
    values: dict[str, Any]


def find_rows(run: FinishedRun, engine: Engine, wanted: WantedImage) -> list[FoundRow]:
    """Return the rows about an image in all parts of a run that are still there, by uid or else by URL."""
    items = [(part, file) for part in _parts(run) for file in run.files(part)]
    for lookup in wanted.lookups:
        noted = engine.run(items, lookup.rows_of_part).noted(ROWS)
        if noted:
            return [FoundRow(*row) for row in noted]
    return []


def find_near(run: FinishedRun, engine: Engine, url: str) -> list[str]:
    """Return the URLs of images in the run's parts that are spelled nearly like a URL: `other_spellings` has them."""
    items = [(part, file) for part in _parts(run) for file in run.files(part)]
    uids_of_others = [uid_of(other.encode("utf-8", "replace")) for other in other_spellings(url)]
    noted = engine.run(items, Lookup("uid", tuple(uids_of_others)).rows_of_part).noted(ROWS)
    return sorted({FoundRow(*row).values["url"] for row in noted})


def other_spellings(url: str) -> list[str]:
    """Return other spellings of a URL: with another scheme, with other escapes, with or without query or www.

    >>> other_spellings("http://a.org/b%20c?d=1&amp;e")[:3]
    ['http://a.org/b c?d=1&amp;e', 'http://a.org/b%20c', 'http://a.org/b%20c?d=1&e']
    """
    scheme, separator, rest = url.partition("://")
    others = {rest, unescape(rest), unquote(rest), quote(unquote(rest), _IN_URLS), re.split("[?#]", rest)[0]}
    others |= {other.rstrip("/") for other in others} | {f"www.{rest}", rest.removeprefix("www.")}
    schemes = {scheme, *_WEB_SCHEMES}
    return sorted({f"{name}{separator}{other}" for name in schemes for other in others} - {url})


def missing_parts(run: FinishedRun) -> list[str]:
    """Return the parts that the run has written and that are gone."""
    return [part for part in _written(run) if part not in names(run.path)]


def _parts(run: FinishedRun) -> list[str]:
    present = names(run.path)
    return [part for part in _written(run) if part in present]


def _written(run: FinishedRun) -> list[str]:
    """Return the parts that the run has written: those with a file in run.json, or if it lists no file, all."""
    parts = ["curated"] if run.is_partial else ["curated", "matched", run.counted[0].name]
    checksums = run.facts.get("checksums")
    if checksums is None:
        return parts
    return [
        part for part in dict.fromkeys([*parts, REMOVED_PART]) if any(name.startswith(f"{part}/") for name in checksums)
    ]


def find_pairs(run: FinishedRun, engine: Engine, wanted: WantedImage) -> list[FoundPair] | None:
    """Return the pairs of an image in the `pairs/` of a run; None if the run has no such folder, or of another run."""
    folder = run.path / "pairs"
    descriptor = output_folder.PAIRS.read(folder)
    made_from = {name: value for name, value in run.facts["made_from"].items() if name != "inputs"}
    if descriptor is None or descriptor["made_from"] != made_from:
        return None
    inputs_of_file: dict[str, list[str]] = {}
    for task in descriptor["tasks"]["finished"]:
        inputs_of_file |= dict.fromkeys(task["files"], sorted({*task["inputs"].values()}))
    checksums = descriptor["checksums"]
    files = [OwnFile(folder / name, checksums[name], AGAIN) for name in sorted(inputs_of_file)]
    for lookup in wanted.lookups:
        noted = engine.run(files, lookup.pairs_of_file).noted(ROWS)
        if noted:
            return [FoundPair(inputs_of_file[name], values) for name, values in noted]
    return []
