"""Match texts with pyahocorasick's automaton: the second, slower engine, and the reference in the matcher's tests.

Each process builds its automaton from the entries. It is never pickled: pickling leaks memory in pyahocorasick 2.3.1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

import ahocorasick
import numpy as np
import pyarrow as pa

from curation.matching.symbols import require_entries, require_rules
from metadata.rules.characters import symbols
from metadata.rules.text import Rules, meta_entry, meta_text
from runtime.arrow.buffers import list_array, string_array

_BETWEEN = "\x1f"  # a control character, which no symbol holds


@dataclass(frozen=True)
class AhoCorasick:
    """Finds the entries of one list in texts; an entry's id is its position in that list."""

    automaton: ahocorasick.Automaton | None  # maps a string to the ids of the entries read as it; None: no entry
    read: Callable[[str], str]  # returns a text in the form that the automaton searches

    @classmethod
    def build(cls, entries: Iterable[str] | pa.Array, rules: Rules = "unicode") -> AhoCorasick:
        """Return the automaton of a sequence or an Arrow array of strings; an empty or null entry is refused."""
        require_rules(rules)
        read_entry, read_text = (joined, joined) if rules == "unicode" else (meta_entry, meta_text)
        ids = defaultdict(list)
        for position, entry in enumerate(require_entries(entries).to_pylist()):
            ids[read_entry(entry)].append(position)
        ids.pop(_BETWEEN, None)  # entries without a symbol
        if not ids:
            return cls(None, read_text)
        automaton = ahocorasick.Automaton()
        for string, positions in ids.items():
            automaton.add_word(string, tuple(positions))
        automaton.make_automaton()
        return cls(automaton, read_text)

    def find(self, texts: Iterable[str | None] | pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return for each text the ids of the entries that it contains, as `Matcher.find` does."""
        if isinstance(texts, pa.ChunkedArray):
            return pa.chunked_array([self.find(chunk) for chunk in texts.chunks], pa.list_(pa.int32()))
        texts = string_array(texts, "texts")
        found = [self._found(text) for text in texts.to_pylist()]
        offsets = np.append(0, np.cumsum([*map(len, found)], dtype=np.int64))
        ids = np.fromiter(chain.from_iterable(found), np.int32, offsets[-1])
        return list_array(offsets, ids, like=texts)

    def _found(self, text: str | None) -> list[int]:
        if text is None or self.automaton is None:
            return []
        return sorted({id for _, ids in self.automaton.iter(self.read(text)) for id in ids})


def joined(text: str) -> str:
    r"""Return the symbols of a text or an entry with a control character around each.

    >>> joined("a dog")
    '\x1fa\x1fdog\x1f'
    """
    return _BETWEEN + "".join(symbol + _BETWEEN for symbol in symbols(text))
