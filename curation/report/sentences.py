"""Sentences of warnings, whose parts from the crawl or the metadata are told apart."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Quoted(str):
    """Text of the crawl or of the metadata within a sentence; the page gives it a writing direction of its own."""


@dataclass(frozen=True)
class Sentence:
    """The parts of a warning; those from the crawl or the metadata are `Quoted`."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(self.parts)


def listed(items: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the parts of all items, with a comma between two items."""
    for place, item in enumerate(items):
        if place:
            yield ", "
        yield from item
