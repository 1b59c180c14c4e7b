"""Read Princeton's dict files, data.noun and its like: the lemmas of each synset."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from metadata.wordnet.files import WordnetFile, lines

PARTS = frozenset(f"data.{part}" for part in ("noun", "verb", "adj", "adv"))

_LINE = re.compile(r"\d{8} \d\d [nvasr] [0-9a-f]{2} ")
_ADJECTIVE_MARKER = re.compile(r"\((a|p|ip)\)$")  # galore(ip): where in a phrase the adjective may stand


def codes(path: str) -> list[str]:
    """Return the code of the one language that these files are of."""
    return ["eng"]


def lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each synset line: `offset file type count word id word id … | gloss`, count in hex."""
    for line in lines(file.path, tally):
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition("|")[0].split(" ")
        count = int(fields[3], 16) if _LINE.match(line) else 0
        if not 0 < count <= (len(fields) - 4) // 2:
            tally["dropped.fields"] += 1
            continue
        tally["synsets"] += 1
        for word in fields[4 : 4 + 2 * (1 if names_only else count) : 2]:
            yield _ADJECTIVE_MARKER.sub("", word).replace("_", " ")
