"""Compare labels and scores with fastText's own, on all texts of the real data and on made-up ones.

`python tests/bench/bench_identify_exact.py MODEL…` takes fastText model files, by default lid.176.ftz. Each text is
asked once. "twice" counts the texts that were summed again in fastText's order, as rounding might have decided;
"ties" those of these to which fastText gives two labels with one score.
"""

import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
from language_texts import KINDS, ROOT

sys.path[:0] = [str(ROOT)]

from curation.language.engines import AnyModel, FastText, Identifier, default_model

AT_ONCE = 20_000
MADE_UP = 100_000
PIECES = [
    "</s>",
    "__label__en",
    "__label__",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u3000",
    "\u00a0",
    "é",
    "犬",
    "ا",
    "🐕",
    "<",
    ">",
]


def made_up() -> Iterator[tuple[str, str]]:
    """Yield texts of odd pieces and of random characters, a few of them huge."""
    chance = random.Random(0)
    letters = [chr(i) for i in (*range(1, 0x250), *range(0x400, 0x700), *range(0x3040, 0x3100), *range(0x4E00, 0x4F00))]
    for size in (10_000, 100_000, 1_000_000):
        yield "", "".join(chance.choices(letters, k=size))
        yield "", " ".join(chance.choices(PIECES, k=size))
        yield "", "dog " * size
    for _ in range(MADE_UP):
        pieces = PIECES if chance.random() < 0.5 else letters
        words = ("".join(chance.choices(pieces, k=chance.randint(0, 8))) for _ in range(chance.randint(0, 15)))
        yield "", " ".join(words)


def near(engine: AnyModel, texts: pa.Array) -> pa.Array:
    """Return the texts that the engine sums twice."""
    before = engine.summed_twice
    engine.predict(texts)
    if engine.summed_twice == before or len(texts) == 1:
        return texts.slice(0, engine.summed_twice - before)
    half = len(texts) // 2
    return pa.concat_arrays([near(engine, texts.slice(0, half)), near(engine, texts.slice(half))])


def compare(path: Path) -> None:
    """Print what differs, for each kind of texts."""
    engine, oracle = Identifier.open(path).engine, FastText(path)
    two = fasttext.load_model(str(path)).f.predict
    seen: set[str] = set()
    for name, texts in (KINDS | {"made up": made_up}).items():
        new = (text for _, text in texts() if text not in seen and not seen.add(text))
        count, wrong, twice, ties, far = 0, 0, 0, 0, 0.0
        while some := list(islice(new, AT_ONCE)):
            column = pa.array(some, pa.large_string())
            (labels, scores), (expected, others) = engine.predict(column), oracle.predict(column)
            count += len(some)
            wrong += sum(a != b for a, b in zip(labels.to_pylist(), expected.to_pylist(), strict=True))
            far = max(far, float(np.abs(np.asarray(scores) - np.asarray(others)).max()))
            for text in near(engine, column).to_pylist() if isinstance(engine, AnyModel) else []:
                twice += 1
                answers = two(text.replace("\n", " ") + "\n", 2, 0.0, "replace")
                ties += len(answers) == 2 and answers[0][0] == answers[1][0]
        print(
            f"{path.name} {name:10} {count:7} texts: {wrong} labels differ, scores by {far:.1e}; "
            f"{twice} twice, {ties} ties",
            flush=True,
        )


def main() -> None:
    for path in [Path(each) for each in sys.argv[1:]] or [default_model()]:
        compare(path)


if __name__ == "__main__":
    main()
