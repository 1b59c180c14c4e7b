"""Read files of exclusion lists: lines of text, or tables with a column of uids or URLs.

A line is `kind:value`, or a value whose form shows its kind. Blank lines and lines that begin with # are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from os import PathLike
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.kinds import KINDS, Lists, first_bad, flags
from curation.inputs.tables.columns import RECOGNISED
from curation.inputs.tables.value_files import is_table, opened, table_batches, text_lines
from runtime.errors import InputError

_SHOWN = 80  # characters of a bad line that a refusal shows

# A line without `kind:` is of the first kind whose form it has.
_FORMS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "uid": lambda lines: pc.match_substring_regex(lines, "^[0-9a-fA-F]{32}$"),
    "url": lambda lines: pc.match_substring(lines, "://"),
    "domain": lambda lines: pc.match_substring(lines, "."),
}
_NO_FORM = (
    "neither a uid (32 hexadecimal digits) nor a URL (https://...) nor a domain (example.org); "
    f"say what it is by {', '.join(f'{kind}:' for kind in KINDS)}"
)
_KIND_OF_COLUMN = {name: kind for kind in ("uid", "url") for name in RECOGNISED[kind]}


def read_lists(paths: Iterable[str | PathLike[str]]) -> Lists:
    """Return the values of all files; a file that cannot be read, or a bad line, is refused."""
    lists = Lists()
    for path in map(str, paths):
        for kind, values in read_list(path, "the exclusion list"):
            KINDS[kind].gather(lists, values)
    return lists


def read_list(path: str, what: str) -> Iterator[tuple[str, pa.Array]]:
    """Yield kind and values, many at once, of a file; one that cannot be read, or a bad line, is refused."""
    with opened(path, what) as file:
        yield from (_read_table if is_table(path) else _read_text)(file, path)


def _read_text(file: BinaryIO, path: str) -> Iterator[tuple[str, pa.Array]]:
    for first, lines in text_lines(file, path):
        for kind, numbers, values in _by_kind(lines):
            bad = first_bad(kind, values) if kind in KINDS else 0
            if bad is not None:
                number = int(numbers[bad])
                reason = f"no {KINDS[kind].expected}" if kind in KINDS else _NO_FORM
                raise InputError(f"{path}, line {first + number}: {lines[number].as_py()[:_SHOWN]!r} is {reason}")
            yield kind, values


def _by_kind(lines: pa.Array) -> Iterator[tuple[str, np.ndarray, pa.Array]]:
    """Yield each kind with the numbers of its lines, from 0, and their values; last those of no kind, as `none`."""
    left = np.flatnonzero(flags(pc.and_not(pc.not_equal(lines, ""), pc.starts_with(lines, "#"))))
    for kind in KINDS:
        numbers, left = _split(lines, left, partial(pc.starts_with, pattern=f"{kind}:"))
        values = pc.utf8_slice_codeunits(lines.take(pa.array(numbers)), len(f"{kind}:"))
        yield kind, numbers, pc.utf8_ltrim_whitespace(values)
    for kind, form in _FORMS.items():
        numbers, left = _split(lines, left, form)
        yield kind, numbers, lines.take(pa.array(numbers))
    if len(left):
        yield "none", left, lines.take(pa.array(left))


def _split(lines: pa.Array, numbers: np.ndarray, form: Callable[[pa.Array], pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the lines that have the form, and the others."""
    has_form = flags(form(lines.take(pa.array(numbers))))
    return numbers[has_form], numbers[~has_form]


def _read_table(file: BinaryIO, path: str) -> Iterator[tuple[str, pa.Array]]:
    rows = 0
    for batch in table_batches(file, path, partial(_columns, path=path)):
        for name in batch.schema.names:
            values, kind = batch[name], _KIND_OF_COLUMN[name.lower()]
            given = np.flatnonzero(flags(pc.not_equal(values, "")))
            stated = values.take(pa.array(given))
            bad = first_bad(kind, stated)
            if bad is not None:
                row = int(given[bad])
                where = f"{path}, row {rows + row + 1}, column {name}"
                raise InputError(f"{where}: {values[row].as_py()[:_SHOWN]!r} is no {KINDS[kind].expected}")
            yield kind, stated
        rows += batch.num_rows


def _columns(names: list[str], path: str) -> list[str]:
    """Return the columns that are read; all others are passed over."""
    columns = [name for name in dict.fromkeys(names) if name.lower() in _KIND_OF_COLUMN]
    if not columns:
        wanted = " or ".join(_KIND_OF_COLUMN)
        raise InputError(f"{path} has the columns {', '.join(names) or '(none)'}; expected one named {wanted}")
    return columns
