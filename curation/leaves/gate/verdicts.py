"""Join facts from tables to images, and send the verdicts to the tasks that rewrite the files of the images.

An image's verdict is the conditions that it meets and the evaluation sets that have it, as bits. Before Spark parses a
condition, its text is scanned: it must not be too long or too deep, or name a time of the run. Conditions over columns
are evaluated by Spark's SQL in `expressions`; all others here, row by row of one table. Of several rows of an image the
one that meets the most conditions counts, so of several tries to download it, one that succeeded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY, KEY_NAMES
from curation.joins.tables import ImageTable, comparable
from curation.joins.uid_join import ROWS, Groups
from curation.leaves.gate.checks import VERDICTS, ByKey, Checks, counted, dealt, written
from curation.leaves.gate.evaluation import EvaluationSets
from curation.leaves.gate.steps import StepFolder
from curation.leaves.gate.tables import STATUS, GivenTables, value_bytes
from runtime.arrow import string_buffers
from runtime.buckets import Block, Packer
from runtime.engine import Relay
from runtime.errors import InputError
from runtime.kernels.hashes import xxhash
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

WHY = "--keep is evaluated by Spark"
SUCCESS = "success"  # img2dataset's word for an image that was downloaded
FAILED = "failed"  # its statuses of other tries begin with this
NOT_TRIED, NO_STATUS = "not_tried", "no_status"  # statuses: an image in no result; one whose status is null
FOUND = "_found_in_"  # added columns begin with this; no user's table has such names
ROW = "_row_of_"  # added columns with hashes of rows begin with this
_LIMITS = np.iinfo(np.int64)
MOST_CHARACTERS = 20_000  # a list of 3,000 numbers
MOST_SIGNS = 400  # Spark's stack, of 1 MB, overflows at twice as many, as in NOT NOT NOT …, and seldom at 500
MOST_DEPTH = 100  # nested brackets; the parser's stack overflows at 400
NOT_OF_ONE = (
    "is not of one image alone; leave out aggregates, windows, subqueries, chance, and what another run has otherwise: "
    "the time of day, the user, the version"
)
_TOKENS = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>[rR]'[^']*'|[rR]"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<number>\d\w*(?:\.\d\w*)?)
    |(?P<word>\w+)
    |(?P<sign><=>|->|=>|::|<=|>=|<>|!=|==|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = {"(", "[", "{", "CASE"}, {")", "]", "}", "END"}
_WHEN = re.compile(r"""[rR]?['"]\s*(?:now|today|tomorrow|yesterday)\b""", re.IGNORECASE)

Rows = Callable[[], Iterator[dict[str, pa.Array]]]  # yields KEY and some columns of `facts_schema`, in batches


@dataclass(frozen=True)
class Condition:
    """One of the conditions that AND joins in an expression: its text, its columns, and its title for people."""

    text: str
    columns: tuple[str, ...]
    title: str | None = None  # shown instead of the text
    sql: str | None = None  # what is evaluated instead of the text


DOWNLOADED = Condition(f"{STATUS} = '{SUCCESS}'", (STATUS,))


def _tokens(expression: str) -> list[re.Match[str]]:
    return [token for token in _TOKENS.finditer(expression) if token.lastgroup != "space"]


def _is_day_of_the_run(token: re.Match[str]) -> bool:
    return token.lastgroup == "string" and _WHEN.match(token[0]) is not None


def require_short(expression: str) -> None:
    """Raise InputError for an expression so long or deep that Spark parses it very slowly, or overflows its stack."""
    signs = depth = deepest = 0
    for token in _tokens(expression) if len(expression) <= MOST_CHARACTERS else ():
        signs += token.lastgroup not in ("number", "string") and token[0] not in ("(", ")", ",")
        depth += (token[0].upper() in _OPEN) - (token[0].upper() in _CLOSE)
        deepest = max(deepest, depth)
    for number, most, what in (
        (len(expression), MOST_CHARACTERS, "characters"),
        (signs, MOST_SIGNS, "words and signs, besides numbers, strings, commas and brackets"),
        (deepest, MOST_DEPTH, "brackets, or CASEs, within one another"),
    ):
        if number > most:
            raise InputError(
                f"--keep {expression[:40]!r}… has {number:,} {what}; at most {most:,} are read. Write `x IN (…)` for "
                "many ORs, and give lists of images by --only"
            )


def require_no_day_of_the_run(expression: str) -> None:
    """Raise InputError for times such as timestamp'now', which Spark's parser replaces by the time of parsing."""
    tokens = _tokens(expression)
    for before, token in zip(tokens, tokens[1:], strict=False):
        if before.lastgroup == "word" and before[0].upper().startswith(("DATE", "TIME")) and _is_day_of_the_run(token):
            raise InputError(f"{before[0]} {token[0]} of --keep {NOT_OF_ONE}")


def names_a_day_of_the_run(expression: str) -> bool:
    """Return whether an expression has a string, such as 'today', that Spark may read as a time of the run."""
    return any(map(_is_day_of_the_run, _tokens(expression)))


def beginnings(expression: str) -> list[int]:
    """Return the offset of each token in an expression, but for white space and comments."""
    return [token.start() for token in _tokens(expression)]


@dataclass(frozen=True)
class Part:
    """Some tables, and the conditions over their columns; each table and condition is a bit of a number.

    An image without a row in any of these tables meets the conditions `unmet`, such as IS NULL.
    """

    tables: int
    conditions: int
    unmet: int = 0


@dataclass(frozen=True)
class Asked:
    """The given tables, and the conditions on their images; the position of a condition is its bit.

    `also` has pairs of a table and one of its columns that other options need.
    """

    tables: GivenTables
    conditions: Sequence[Condition] = ()
    also: Sequence[tuple[ImageTable, str]] = ()

    @classmethod
    def of(cls, tables: GivenTables, also: Sequence[tuple[ImageTable, str]]) -> Asked:
        """Return the tables with the conditions besides --keep: an image must be downloaded, and be in the list."""
        found = [DOWNLOADED] if tables.results else []
        if tables.only:
            found.append(Condition(f"{FOUND}{tables.every.index(tables.only)}", (), f"in {tables.only.name}"))
        return cls(tables, found, also)

    @cached_property
    def columns(self) -> list[list[str]]:
        """The columns of each table that conditions name."""
        needed = {column.lower() for condition in self.conditions for column in condition.columns}
        return [[name for name in own.names if name.lower() in needed] for own in self.tables.columns]

    @cached_property
    def compared(self) -> list[list[str]]:
        """For each table, the columns in which rows of one image must not differ: all that any option needs.

        A table by URL has none, as it may have a row per text.
        """
        named = [
            [*dict.fromkeys([*columns, *(name for own, name in self.also if own is table)])]
            for table, columns in zip(self.tables.every, self.columns, strict=True)
        ]
        is_by_uid = (isinstance(table, ImageTable) and table.is_uid for table in self.tables.every)
        return [names if is_own else [] for names, is_own in zip(named, is_by_uid, strict=True)]

    @property
    def parts(self) -> list[Part]:
        """The tables, divided into parts: two tables are in one part if a condition names columns of both."""
        parts = [Part(1 << number, 0) for number in range(len(self.tables.every))]
        columns = [{*map(str.lower, names)} for names in self.columns]
        for bit, condition in enumerate(self.conditions):
            names = {*map(str.lower, condition.columns)}
            own = [n for n, known in enumerate(columns) if names & known or condition.text == f"{FOUND}{n}"] or [0]
            joined = [part for part in parts if any(part.tables >> n & 1 for n in own)]
            tables, conditions = (sum(getattr(part, name) for part in joined) for name in ("tables", "conditions"))
            parts = [part for part in parts if part not in joined] + [Part(tables, conditions | 1 << bit)]
        return parts

    def is_download(self, number: int) -> bool:
        """Return whether the table with a number is the result of a download."""
        return number == 0 and self.tables.results is not None

    def read(self, file: Any, number: int, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, dict]]:
        """Yield batches of a file's rows with KEY and `columns`, each with their facts as columns of `facts_schema`.

        The facts lack the column `met`. `number` is the number of the table.
        """
        table, compared = self.tables.every[number], self.compared[number]
        status = [STATUS] if self.is_download(number) else []
        for batch in table.read(file, [*dict.fromkeys([*columns, *compared, *status])]):
            known = {field.name: batch[field.name] for field in KEY}
            known["found"] = pa.repeat(pa.scalar(1 << number, pa.int64()), len(batch))
            if status:
                # Of several statuses the smallest counts: an empty string, for success, is smaller than others.
                tried = pc.fill_null(batch[STATUS].cast(pa.string()), NO_STATUS)
                known["status"] = pc.if_else(pc.equal(tried, SUCCESS), "", tried)
            if compared:
                values = [comparable(batch[name], table.name) for name in compared]
                known[f"{ROW}{number}"] = _hashes(values, compared)
            yield batch, known


def facts_schema(tables: int) -> pa.Schema:
    """Return the schema of facts about an image: conditions it meets, tables and sets it is in, status, row hashes."""
    facts = [pa.field(name, pa.int64()) for name in ("met", "found", "sets")]
    hashes = [pa.field(f"{ROW}{number}", pa.int64()) for number in range(tables)]  # one per table
    return pa.schema([*ROWS, *facts, pa.field("status", pa.string()), *hashes])


def rows_of_tables(asked: Asked) -> list[Rows]:
    """Return for each file of the tables a function that yields facts about its rows, if no condition needs SQL."""
    tables = enumerate(asked.tables.every)
    return [partial(_rows_of, file, asked=asked, number=number) for number, table in tables for file in table.files]


def rows_of_sets(tables: GivenTables, columns: Sequence[str], sets: Shipped) -> list[Rows]:
    """Return functions that yield images in evaluation sets: one for each of `columns` in each file that has it."""
    return [
        partial(_in_sets, file, table=table, column=column, sets=sets)
        for column in columns
        for table in tables.having(column)
        for file in table.files
    ]


def _rows_of(file: Any, asked: Asked, number: int) -> Iterator[dict[str, pa.Array]]:
    for batch, known in asked.read(file, number, ()):
        met = np.zeros(len(batch), np.int64)
        for bit, condition in enumerate(asked.conditions):
            if condition.text == f"{FOUND}{number}":
                met |= 1 << bit
            elif condition.columns == (STATUS,) and asked.is_download(number):
                is_success = pc.fill_null(pc.equal(batch[STATUS].cast(pa.string()), SUCCESS), False)
                met |= is_success.to_numpy(zero_copy_only=False).astype(np.int64) << bit
        yield known | {"met": pa.array(met)}


def _hashes(columns: Sequence[pa.Array], names: Sequence[str]) -> pa.Array:
    """Return a hash of each row, int64, to compare an image's rows.

    It is null if all columns are null or the download failed.
    """
    hashes, says_nothing = np.zeros(len(columns[0]), np.uint64), np.ones(len(columns[0]), bool)
    for column in columns:
        is_null = column.is_null().to_numpy(zero_copy_only=False)
        says_nothing &= is_null
        offsets, data = string_buffers(pc.fill_null(value_bytes(column), b"").view(pa.string()))
        seeds = hashes * np.uint64(2) + is_null.astype(np.uint64)
        hashes = np.empty_like(seeds)
        xxhash(data, offsets, seeds, hashes)
    for column, name in zip(columns, names, strict=True):
        if name.lower() == STATUS:
            is_failed = pc.fill_null(pc.starts_with(column.cast(pa.string()), FAILED), False)
            says_nothing |= is_failed.to_numpy(zero_copy_only=False)
    return pa.array(hashes.view(np.int64), mask=says_nothing)


def _in_sets(file: Any, table: ImageTable, column: str, sets: Shipped) -> Iterator[dict[str, pa.Array]]:
    for batch in table.read(file, [column]):
        found = pa.array(sets.opened(EvaluationSets.open).by_column(column, batch[column]).astype(np.int64))
        rows = batch.select(KEY_NAMES).append_column("sets", found).filter(pc.not_equal(found, 0))
        yield {name: rows[name] for name in rows.schema.names}


@dataclass(frozen=True)
class VerdictJoin:
    """The join of images and rows of tables, and the parts into which conditions divide these tables.

    `tables` is the number of tables; `has_status` says whether the first one is the result of a download.
    """

    by_key: ByKey
    parts: Sequence[Part]
    tables: int
    has_status: bool

    @classmethod
    def of(cls, images: Sequence[OwnFile], asked: Asked, parts: Sequence[Part]) -> VerdictJoin:
        """Return the join of the images in these files and the tables of `asked`."""
        number = len(asked.tables.every)
        by_key = ByKey([*images], _called, facts_schema(number))
        return cls(by_key, parts, number, asked.tables.results is not None)


def _called(rows: Rows) -> Iterator[dict[str, pa.Array]]:
    return rows()


def rewritten(
    exchange: Callable[..., Tallies], join: VerdictJoin, rows: Sequence[Rows], checks: Checks, folder: StepFolder
) -> Tallies:
    """Rewrite all files of images with those that pass the checks; return the tallies.

    `exchange` is the method of an engine, perhaps with more rows of facts; each of `rows` yields facts from a table.
    """
    met, places = join.by_key, join.by_key.places
    relay = Relay(partial(_pass_on, join=join), places.relays(met.cut[1]))
    items, receive = met.items(rows), written(met.images, met.places, VERDICTS, checks, folder)
    return exchange(items, met.send, receive, places.tasks, [relay])


def _pass_on(partition: int, blocks: Iterator[bytes], tallies: Tallies, join: VerdictJoin) -> Iterator[Block]:
    """Yield the verdicts on images, as rows of VERDICTS, in blocks by file; tally images by table and by status."""
    verdicts = (judged(rows, groups, join, tallies) for rows, groups in join.by_key.grouped(blocks))
    return dealt(Packer(join.by_key.places.tasks), verdicts, join.by_key.places.keys)


def judged(rows: pa.RecordBatch, groups: Groups, join: VerdictJoin, tallies: Tallies) -> pa.RecordBatch:
    """Return the verdicts on the images among rows that are grouped by image, as rows of VERDICTS.

    Tally the images in each table, and by status.
    """
    numbers = {name: rows[name].fill_null(0).to_numpy()[groups.order] for name in ("met", "found", "sets")}
    met = np.zeros(len(groups.starts), np.int64)
    for part in join.parts:
        met |= _best(numbers["met"], numbers["found"] & part.tables != 0, part, groups)
    file = rows["file"].fill_null(-1).to_numpy()[groups.order]
    images = np.flatnonzero(file >= 0)
    group = groups.group[images]
    found = groups.reduced(np.bitwise_or, numbers["found"])[group]
    for table in range(join.tables):
        tallies.add(f"found.{table}", int(np.count_nonzero(found >> table & 1)))
    if join.has_status:
        for status, number in counted(_smallest(rows["status"], groups).take(pa.array(group))):
            tallies.add(f"status.{status}", number)
    row = rows["row"].fill_null(-1).to_numpy()[groups.order[images]]
    sets = groups.reduced(np.bitwise_or, numbers["sets"])[group]
    columns = [file[images], row, met[group], sets, _differing(rows, groups, join.tables)[group]]
    return pa.RecordBatch.from_arrays([*map(pa.array, columns)], schema=VERDICTS)


def _best(met: np.ndarray, is_own: np.ndarray, part: Part, groups: Groups) -> np.ndarray:
    """Return, for each group, the bits of the conditions of a part that the group's best row meets.

    The best row meets the most conditions; of equally good ones, it is the one with the greatest bits. `is_own` says
    which rows are of the part's tables; a group without such rows meets `part.unmet`.
    """
    numbers = np.where(is_own, _ones(met), -1)
    most = groups.reduced(np.maximum, numbers)
    best = groups.reduced(np.maximum, np.where(numbers == most[groups.group], met, 0))
    return np.where(most < 0, part.unmet, best)


def _ones(numbers: np.ndarray) -> np.ndarray:
    """Return the number of bits that are set in each int64."""
    return np.unpackbits(numbers.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64)


def _smallest(statuses: pa.Array, groups: Groups) -> pa.Array:
    """Return the smallest status of each group: SUCCESS for an empty string, NOT_TRIED for a group without a status."""
    known = pa.array(sorted(statuses.unique().drop_null().to_pylist()), pa.string())
    ranks = pc.index_in(statuses, known).fill_null(len(known)).to_numpy()[groups.order]
    named = [each or SUCCESS for each in known.to_pylist()]
    return pa.array([*named, NOT_TRIED]).take(pa.array(groups.reduced(np.minimum, ranks)))


def _differing(rows: pa.RecordBatch, groups: Groups, tables: int) -> np.ndarray:
    """Return, for each group of rows about one image, the tables whose rows differ there, as bits: int64[group]."""
    out = np.zeros(len(groups.starts), np.int64)
    for number in range(tables):
        hashes = rows[f"{ROW}{number}"]
        if hashes.null_count < len(hashes):
            least, most = (hashes.fill_null(end).to_numpy()[groups.order] for end in (_LIMITS.max, _LIMITS.min))
            differs = groups.reduced(np.minimum, least) < groups.reduced(np.maximum, most)
            out |= np.where(differs, 1 << number, 0)
    return out
