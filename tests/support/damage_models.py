"""Open damaged fastText models and identify texts with them: `python damage_models.py FIRST STOP`, a range of seeds.

This is a process of its own, as fastText dies of damage that it does not notice. The last seed printed is the one that
it died of.
"""

import random
import struct
import sys
import tempfile
from pathlib import Path

import pyarrow as pa

from curation.language import identify
from runtime.errors import InputError
from tests.support import language_models
from tests.support.language_models import ONE_VS_ALL, TREE, Layout
from tests.support.small_model import model_bytes

TEXTS = pa.array(["a black dog", "犬と猫", "", "x" * 300, "Hund und Katze", None])
ODD = (-1, 0, 1, 255, 65_536, 2**31 - 1, -(2**31))
LAYOUTS = [
    Layout(width=20, buckets=50, word_ngrams=2),
    Layout(loss=TREE, buckets=50, kept=tuple(range(0, 50, 3)), part=3),
    Layout(loss=ONE_VS_ALL, buckets=50, part=2, norms=False, output_part=2),
]
HEAD = 400  # bytes, which decide on more than others


def damaged(whole: bytes, dice: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(min(HEAD, len(data)) if dice.random() < 0.6 else len(data))
        change = dice.choice(["bit", "int", "long", "cut"])
        if change == "bit":
            data[at] ^= 1 << dice.randrange(8)
        elif change == "cut":
            del data[at : at + dice.choice([1, 8, len(data)])]
        else:
            layout = "<i" if change == "int" else "<q"
            data[at : at + struct.calcsize(layout)] = struct.pack(layout, dice.choice(ODD))
        data = data or bytearray(1)
    return bytes(data)


def main(first: int, stop: int) -> None:
    wholes = [model_bytes(), identify.default_model().read_bytes(), *map(language_models.model_bytes, LAYOUTS)]
    answered = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        for seed in range(first, stop):
            print(seed, flush=True)
            path.write_bytes(damaged(wholes[seed % len(wholes)], random.Random(seed)))
            identify._opened.cache_clear()
            try:
                languages, scores = identify.Identifier.open(path).identify(TEXTS)
                assert len(languages) == len(scores) == len(TEXTS)
                answered += 1
            except InputError as refusal:
                refused = str(refusal)
            else:
                refused = None
            assert refused is None or str(path) in refused
    assert 0 < answered < stop - first


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
