"""Files that were damaged: bits flipped, bytes overwritten, parts lost, repeated, moved, and ends cut off."""

from collections.abc import Callable
from functools import reduce

from hypothesis import strategies as st

LONGEST = 64  # bytes of a part that is moved or repeated

Step = Callable[[bytes], bytes]


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """Return `data` after one to four accidents."""
    at, size = st.integers(0, max(0, len(data) - 1)), st.integers(1, LONGEST)
    steps = st.one_of(
        st.builds(flip, at, st.integers(0, 7)),
        st.builds(overwrite, at, st.binary(min_size=1, max_size=8)),
        st.builds(cut, at),
        st.builds(lose, at, size),
        st.builds(repeat, at, size),
        st.builds(move, at, at, size),
    )
    return st.lists(steps, min_size=1, max_size=4).map(lambda each: reduce(lambda held, step: step(held), each, data))


def flip(at: int, bit: int) -> Step:
    return lambda data: data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] if at < len(data) else data


def overwrite(at: int, value: bytes) -> Step:
    return lambda data: data[:at] + value + data[at + len(value) :]


def cut(at: int) -> Step:
    return lambda data: data[:at]


def lose(at: int, size: int) -> Step:
    return lambda data: data[:at] + data[at + size :]


def repeat(at: int, size: int) -> Step:
    return lambda data: data[: at + size] + data[at:]


def move(at: int, to: int, size: int) -> Step:
    def step(data: bytes) -> bytes:
        part, rest = data[at : at + size], data[:at] + data[at + size :]
        return rest[:to] + part + rest[to:]

    return step
