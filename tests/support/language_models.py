"""Small fastText models with random numbers, in any layout that fastText reads."""

import struct
from dataclasses import dataclass, field

import numpy as np

WORDS = ["</s>", "dog", "犬", "été", "a", "qapla'", "internationalisation", "достопримечательности"]
COUNTS = {"en": 900, "ja": 500, "fr": 300, "ru": 299, "de": 299, "tlh": 7, "vo": 1}
TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4  # losses


@dataclass(frozen=True)
class Layout:
    """What a model consists of; `kept` buckets mean a pruned model, `parts` numbers in a part a quantised one."""

    words: list = field(default_factory=lambda: WORDS)
    counts: dict = field(default_factory=lambda: COUNTS)
    width: int = 16
    loss: int = SOFTMAX
    buckets: int = 1000
    shortest: int = 2
    longest: int = 4
    word_ngrams: int = 1
    version: int = 12
    kept: tuple | None = None
    part: int = 0  # numbers in a part of a quantised input; 0: the input is dense
    norms: bool = True
    output_part: int = 0
    output_norms: bool = True
    weight: float = 1.0  # of the output
    seed: int = 0


def model_bytes(layout: Layout) -> bytes:
    """Return the content of a model file."""
    chance = np.random.default_rng(layout.seed)
    names = [(_bytes(word), 5, 0) for word in layout.words]
    names += [(_label(label), count, 1) for label, count in layout.counts.items()]
    kept = -1 if layout.kept is None else len(layout.kept)
    rows = len(layout.words) + (layout.buckets if layout.kept is None else kept)
    pairs = np.array([layout.kept, chance.permutation(kept)], "<i4").T.tobytes() if layout.kept else b""
    training = struct.pack("<3i", layout.word_ngrams, layout.loss, 3)
    return b"".join(
        [
            struct.pack("<2i5i", 793712314, layout.version, layout.width, 5, 5, 1, 5),
            training + struct.pack("<4id", layout.buckets, layout.shortest, layout.longest, 100, 1e-4),
            struct.pack("<3i2q", len(names), len(layout.words), len(layout.counts), 100, kept),
            *(name + struct.pack("<bqb", 0, count, kind) for name, count, kind in names),
            pairs,
            _matrix(chance, (rows, layout.width), layout.part, layout.norms, 1.0),
            _matrix(chance, (len(layout.counts), layout.width), layout.output_part, layout.output_norms, layout.weight),
        ]
    )


def _matrix(chance, shape, part, norms, weight):
    if not part:
        values = (weight * chance.normal(size=shape)).astype("<f4").tobytes()
        return struct.pack("<?2q", False, *shape) + values
    rows, width = shape
    parts = -(-width // part)
    found = struct.pack("<2?2qi", True, norms, rows, width, rows * parts) + chance.bytes(rows * parts)
    found += struct.pack("<4i", width, parts, part, width - (parts - 1) * part)
    found += (weight * chance.normal(size=256 * width)).astype("<f4").tobytes()
    if norms:
        found += chance.bytes(rows) + struct.pack("<4i", 1, 1, 1, 1) + chance.normal(size=256).astype("<f4").tobytes()
    return found


def _label(label):
    return label if isinstance(label, bytes) else f"__label__{label}".encode()


def _bytes(word):
    return word if isinstance(word, bytes) else word.encode()
