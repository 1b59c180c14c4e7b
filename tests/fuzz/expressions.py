"""Conditions of --keep drawn from a grammar, each with its value by the definition of SQL, and damaged ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

Row = dict[str, Any]
COLUMNS = pa.schema(
    {
        "width": pa.int32(),
        "Höhe": pa.int64(),
        "score": pa.float64(),
        "name": pa.string(),
        "ok": pa.bool_(),
        "a `b": pa.int8(),
    }
)
VALUES: dict[str, list[Any]] = {
    "width": [0, 1, 2, -7, 640, None],
    "Höhe": [0, 1, -1, 2**40, None],
    "score": [0.0, -0.5, 0.25, 1e9, None],
    "name": ["", "a", "b'c", "犬", "A%", None],
    "ok": [True, False, None],
    "a `b": [0, 3, -3, None],
}
LITERALS: dict[str, list[tuple[str, Any]]] = {
    "number": [
        ("0", 0),
        ("1", 1),
        ("2.5", 2.5),
        ("-3", -3),
        ("1e3", 1000.0),
        ("100000000000", 10**11),
        ("null", None),
    ],
    "string": [("'a'", "a"), ("'b''c'", "b'c"), ("''", ""), ("'犬'", "犬"), ("$$A%$$", "A%"), ("'no\\t'", "no\\t")],
    "truth": [("true", True), ("false", False), ("cast(null as boolean)", None)],
}
ODD = [*"()'\"`;\\:[].,\0犬{}$?", "--", "/*", "*/", "::", "->", "null", "NOT ", "AND ", "select ", "over ()",
    "interval ", "date'now'", "99999999999999999999", "1e999", "max", "case ", "end"]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """An expression, and its value for a row: None is null."""

    sql: str
    value: Callable[[Row], Any]


def rows(dice: random.Random, number: int) -> list[Row]:
    """Return rows of the columns."""
    return [{name: dice.choice(values) for name, values in VALUES.items()} for _ in range(number)]


def condition(dice: random.Random) -> Part:
    """Return a condition."""
    return _truth(dice, dice.randint(1, 4))


def spoilt(text: str, dice: random.Random) -> str:
    """Return the text of a condition after one to three accidents."""
    for _ in range(dice.randint(1, 3)):
        at, to = sorted(dice.choices(range(len(text) + 1), k=2))
        change = dice.choice(["lose", "repeat", "odd"])
        middle = {"lose": "", "repeat": text[at:to] * 2, "odd": dice.choice(ODD) + text[at:to]}[change]
        text = text[:at] + middle + text[to:]
    return text


def _truth(dice: random.Random, depth: int) -> Part:
    if depth == 0:
        return dice.choice([_column("ok"), _literal("truth", dice), _compared("number", dice, 0)])
    kind = dice.choice(
        ["and", "or", "not", "number", "number", "string", "null", "in", "between", "case", "like", "same"]
    )
    one, other = _truth(dice, depth - 1), _truth(dice, depth - 1)
    if kind in ("and", "or"):
        return Part(
            f"({one.sql} {kind.upper()} {other.sql})", lambda row: _joined(kind, one.value(row), other.value(row))
        )
    if kind == "not":
        return Part(f"NOT ({one.sql})", _of_all(lambda value: not value, one))
    if kind == "null":
        any_ = dice.choice([one, _number(dice, depth - 1), _column("name")])
        return Part(f"({any_.sql}) IS NOT NULL", lambda row: any_.value(row) is not None)
    if kind in ("in", "between", "like"):
        return _listed(kind, dice, depth - 1)
    if kind == "case":
        third = _truth(dice, depth - 1)
        return Part(
            f"CASE WHEN {one.sql} THEN {other.sql} ELSE {third.sql} END",
            lambda row: (other if one.value(row) is True else third).value(row),
        )
    if kind == "same":
        a, b = _number(dice, depth - 1), _number(dice, depth - 1)
        return Part(f"({a.sql}) IS NOT DISTINCT FROM ({b.sql})", lambda row: _is_same(a.value(row), b.value(row)))
    return _compared(kind, dice, depth - 1)


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compared(kind: str, dice: random.Random, depth: int) -> Part:
    sign = dice.choice([*COMPARE])
    a, b = (_string(dice) if kind == "string" else _number(dice, depth) for _ in range(2))
    return Part(f"{a.sql} {sign} {b.sql}", _of_all(COMPARE[sign], a, b, key=_bytes))


def _listed(kind: str, dice: random.Random, depth: int) -> Part:
    number = _number(dice, depth)
    if kind == "in":
        values = [_literal("number", dice) for _ in range(dice.randint(1, 3))]
        return Part(
            f"({number.sql}) IN ({', '.join(each.sql for each in values)})", lambda row: _is_in(number, values, row)
        )
    if kind == "between":
        low, high = _literal("number", dice), _literal("number", dice)
        return Part(
            f"({number.sql}) BETWEEN {low.sql} AND {high.sql}",
            lambda row: _joined(
                "and", *(_of_all(lambda a, b: a <= b, *pair)(row) for pair in ((low, number), (number, high)))
            ),
        )
    text = dice.choice(["a", "犬", "A"])
    return Part(f"name LIKE '{text}%'", _of_all(lambda value: value.startswith(text), _column("name")))


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else None,
}


def _number(dice: random.Random, depth: int) -> Part:
    if depth <= 0:
        return dice.choice([_column(dice.choice(["width", "Höhe", "score", "a `b"])), _literal("number", dice)])
    one, other = _number(dice, depth - 1), _number(dice, depth - 1)
    kind = dice.choice(["+", "-", "*", "/", "coalesce", "abs", "sqrt", "length", "if"])
    if kind in ARITHMETIC:
        a, b = (Part(f"cast({each.sql} as double)", _of_all(float, each)) for each in (one, other))
        return Part(f"({a.sql} {kind} {b.sql})", _of_all(ARITHMETIC[kind], a, b))
    if kind == "coalesce":
        return Part(
            f"coalesce({one.sql}, {other.sql})",
            lambda row: other.value(row) if one.value(row) is None else one.value(row),
        )
    if kind == "if":
        truth = _truth(dice, depth - 1)
        return Part(
            f"if({truth.sql}, {one.sql}, {other.sql})",
            lambda row: (one if truth.value(row) is True else other).value(row),
        )
    if kind == "length":
        return Part("length(name)", _of_all(len, _column("name")))
    functions: dict[str, Callable[[Any], Any]] = {
        "abs": abs,
        "sqrt": lambda value: math.sqrt(value) if value >= 0 else None,
    }
    return Part(f"{kind}({one.sql})", _of_all(functions[kind], one))


def _string(dice: random.Random) -> Part:
    return dice.choice([_column("name"), _literal("string", dice)])


def _column(name: str) -> Part:
    plain = name.isascii() and name.isalpha()
    return Part(name if plain else f'"{name}"', lambda row: row[name])


def _literal(kind: str, dice: random.Random) -> Part:
    sql, value = dice.choice(LITERALS[kind])
    return Part(sql, lambda row: value)


def _of_all(
    function: Callable[..., Any], *parts: Part, key: Callable[[Any], Any] = lambda value: value
) -> Callable[[Row], Any]:
    def value(row: Row) -> Any:
        values = [part.value(row) for part in parts]
        return None if None in values else function(*map(key, values))

    return value


def _bytes(value: Any) -> Any:
    """Return strings as SQL orders them."""
    return value.encode() if isinstance(value, str) else value


def _joined(kind: str, one: bool | None, other: bool | None) -> bool | None:
    decides = kind == "or"
    if decides in (one, other):
        return decides
    return None if None in (one, other) else not decides


def _is_same(one: Any, other: Any) -> bool:
    return one is other is None or (one is not None and other is not None and one == other)


def _is_in(number: Part, values: Sequence[Part], row: Row) -> bool | None:
    found = None if (value := number.value(row)) is None else [each.value(row) for each in values]
    if found is None:
        return None
    return True if value in found else None if None in found else False
