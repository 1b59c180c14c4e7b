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

PROBED = 100  # objects that are looked at for their keys: a key may be left out where its value is null
_KEY_BYTES = 100  # that a key costs beside its characters

Object = dict[str, Any]


def read(file: BinaryIO, path: str, options: TableOptions) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in a file, unpacked, and its tallies."""
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
    """Refuse a file, unpacked, without the columns that are needed; an empty one passes."""
    tally: Counter[str] = Counter()
    probe = _probe(_objects(lines(file, tally), tally))
    if tally and not probe:
        raise InputError(f"{path} has no line that is a JSON object; expected JSON lines, one object for each pair")
    return Glance(_columns(probe, options, path) if probe else {})


def _objects(text: Iterable[str], tally: Counter[str]) -> Iterator[Object]:
    """Yield the object of each line that is not blank; count lines without one, and note the first of them."""
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
    except ValueError:  # also for lone surrogates; the standard library reads them, and they are counted as bad UTF-8
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _probe(objects: Iterator[Object]) -> list[Object]:
    """Return the first PROBED objects, or fewer large ones, with strings for scalars and None for any other value."""
    strings = ({name: _string(value) for name, value in each.items()} for each in objects)
    return next(gather(strings, _size, BYTES, PROBED), [])


def _size(values: Object) -> int:
    return sum(_KEY_BYTES + len(name) + len(value or "") for name, value in values.items())


def _columns(objects: list[Object], options: TableOptions, path: str) -> dict[str, str]:
    """Return the key of each field of candidates that any of `objects` has."""
    return named_columns(list(dict.fromkeys(chain.from_iterable(objects))), options, path)


def _string(value: Any) -> str | None:
    """Return a JSON value as a string: numbers as they are written, None if it is not a scalar."""
    if type(value) is str:
        return value
    return str(value) if type(value) in (int, float) else None
