"""Damaged files: bits flipped, numbers and odd bytes written, parts lost, repeated and moved, ends cut off."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

HEAD = 400  # bytes, which decide on more than others
BLOCK = 512  # bytes: tars have headers at such positions
FIELDS = (0, 124, 156, 257, 345)  # of a tar's header: name, size, kind, magic, prefix
LENGTHS = (1, 2, 8, 64, 512, 4096)  # bytes of a part that is lost, moved or repeated
NUMBERS = (0, 1, 2, 127, 255, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)

Change = Callable[[bytearray, int, random.Random], None]


def damaged(whole: bytes, dice: random.Random, odd: Sequence[bytes] = ()) -> bytes:
    """Return a file after one to four accidents; `odd` are bytes that such files hold, or should not hold."""
    data = bytearray(whole)
    for _ in range(dice.randint(1, 4)):
        at = _place(len(data), dice)
        if odd and dice.random() < 0.25:
            value = dice.choice(odd)
            data[at : at + dice.choice([0, len(value)])] = value
        else:
            dice.choice(CHANGES)(data, at, dice)
    return bytes(data)


def _place(size: int, dice: random.Random) -> int:
    """Return where something happens: mostly at the head of the file or of a block."""
    kind = dice.random()
    if kind < 0.4 or not size:
        return dice.randrange(min(HEAD, size) or 1)
    at = BLOCK * dice.randrange(-(-size // BLOCK)) + dice.choice(FIELDS) + dice.randrange(8)
    return at if kind < 0.7 and at < size else dice.randrange(size)


def _flip(data: bytearray, at: int, dice: random.Random) -> None:
    if at < len(data):
        data[at] ^= 1 << dice.randrange(8)


def _overwrite(data: bytearray, at: int, dice: random.Random) -> None:
    data[at : at + 8] = dice.randbytes(dice.randint(1, 8))


def _number(data: bytearray, at: int, dice: random.Random) -> None:
    size, order = dice.choice([1, 2, 4, 8]), dice.choice(["little", "big"])
    value = dice.choice(NUMBERS) % (1 << 8 * size)
    data[at : at + size] = dice.choice([value, -value % (1 << 8 * size)]).to_bytes(size, order)


def _cut(data: bytearray, at: int, dice: random.Random) -> None:
    del data[dice.choice([at, len(data) - 1, len(data) - 8]) :]


def _lose(data: bytearray, at: int, dice: random.Random) -> None:
    del data[at : at + dice.choice(LENGTHS)]


def _repeat(data: bytearray, at: int, dice: random.Random) -> None:
    data[at:at] = data[at : at + dice.choice(LENGTHS)] * dice.choice([1, 1, 9])


def _move(data: bytearray, at: int, dice: random.Random) -> None:
    size = dice.choice(LENGTHS)
    part = data[at : at + size]
    del data[at : at + size]
    to = dice.randrange(len(data) + 1)
    data[to:to] = part


CHANGES: tuple[Change, ...] = (_flip, _flip, _overwrite, _number, _cut, _lose, _repeat, _move)
