"""Read JSON lines: one object per pair."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from curation.inputs.candidates import BYTES, FIRST_BAD, from_rows, tallies
from curation.inputs.tables.columns import Glance, TableOptions, named_columns
from curation.inputs.tables.lines import lines
from runtime.arrow import gather
from runtime.errors import InputError

PROBED = 100  # objects searched for keys, as an object may leave out a key whose value is null
_KEY_BYTES = 100  # memory of a key, besides its characters

Object = dict[str, Any]


def read(file: BinaryIO, path: str, options: TableOptions) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in an unpacked file, then its tallies."""
    tally = Counter(files=1)
    objects = _objects(lines(file, tally), tally)
    probe = _probe(objects)
    if probe:
        columns = _columns(probe, options, path)
        keys = list(columns.values())
        rows = (
            tuple([value if type(value) is str else _string(value) for value in map(each.get, keys)])
            for each in chain(probe, objects)
        )
        yield from from_rows(columns, rows, tally)
    yield tallies(tally)


def check(file: BinaryIO, path: str, options: TableOptions) -> Glance:
    """Return the columns of an unpacked file; InputError if needed columns are missing; an empty file passes."""
    tally: Counter[str] = Counter()
    probe = _probe(_objects(lines(file, tally), tally))
    if tally and not probe:
        raise InputError(f"{path} has no line that is a JSON object; expected JSON lines, one object for each pair")
    return Glance(_columns(probe, options, path) if probe else {})


def _objects(text: Iterable[str], tally: Counter[str]) -> Iterator[Object]:
    """Yield the object of each non-blank line; count lines without an object, and note the first such line."""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        tally["records"] += 1
        value = _json(line)
        if type(value) is dict:
            yield value
        else:
            tally["dropped.bad_json"] += 1
            tally.setdefault(FIRST_BAD, number + tally["dropped.long_line"])


def _json(line: str) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:  # also for lone surrogates, which json reads, so that they are counted as bad UTF-8
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _probe(objects: Iterator[Object]) -> list[Object]:
    """Return up to PROBED first objects (fewer if they are large), with scalars as strings and other values as None."""
    strings = ({name: _string(value) for name, value in each.items()} for each in objects)
    return next(gather(strings, _size, BYTES, PROBED), [])


def _size(values: Object) -> int:
    return sum(_KEY_BYTES + len(name) + len(value or "") for name, value in values.items())


def _columns(objects: list[Object], options: TableOptions, path: str) -> dict[str, str]:
    """Return the key of each field of candidates, from the keys of all `objects`."""
    return named_columns(list(dict.fromkeys(chain.from_iterable(objects))), options, path)


def _string(value: Any) -> str | None:
    """Return a JSON string or number as a string, None for any other value."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else None
