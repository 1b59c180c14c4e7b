"""The arrays of a fastText model file of one shape, that of lid.176.ftz.

That shape is: vectors of 16 numbers, product-quantised with their norms; character n-grams of 2 to 4 in two million
buckets, most of them pruned; a dense output under a hierarchical softmax. That a file is whole is checked in
`model_file`.
"""

import struct
from dataclasses import dataclass
from mmap import mmap

import numpy as np

from curation.kernels.fasttext.vectors import WIDTH
from curation.kernels.fasttext.word_rows import BUCKETS, LONGEST

_VERSION, _WORD_NGRAMS, _HIERARCHICAL, _SUPERVISED, _SHORTEST_NGRAM, _LONGEST_NGRAM = 12, 1, 1, 3, 2, 4
_SHAPE = (_VERSION, WIDTH, _WORD_NGRAMS, _HIERARCHICAL, _SUPERVISED, BUCKETS, _SHORTEST_NGRAM, _LONGEST_NGRAM)
_PARTS, _PART, _CENTROIDS = 8, 2, 256  # a row is eight parts of two numbers, each one of 256
_MOST_ROWS = 1 << 16  # a row's id is kept in 16 bits
_MOST_LABELS = 1 << 15  # the likeliest of so many cannot be one that fastText leaves out, those below 0.00001
_LINE = 64  # bytes of the cache, and of a row
_END, _LABEL = b"</s>", b"__label__"
_NO_NODE_YET = 10**15  # the count of an inner node before it has one


@dataclass(frozen=True)
class ModelArrays:
    """A model: its words in the order of their rows, its labels, and the arrays that the kernels read."""

    words: list[bytes]
    labels: list[bytes]
    rows: np.ndarray  # float32 [rows, 16]: those of the words, then those of the buckets that are kept, in their order
    kept: np.ndarray  # int64: bit b & 63 of kept[b >> 6] tells whether bucket b is kept
    before: np.ndarray  # int32: the row of the first bucket of kept[b >> 6]
    children: np.ndarray  # int64 [2 labels - 1, 2]: left and right of each node of the tree; its root is the last node
    weights: np.ndarray  # float32 [2 labels - 1, 16]: what decides at each inner node; a leaf has none


def read_arrays(content: mmap) -> ModelArrays | None:
    """Return the arrays of a whole model file; None where it is of another shape."""
    file = _Reader(content)
    _, version, width, _, _, _, _, ngrams, loss, kind, buckets, shortest, longest, _, _ = file.read("ii12id")
    if (version, width, ngrams, loss, kind, buckets, shortest, longest) != _SHAPE:
        return None
    size, word_count, label_count, _, pairs = file.read("iiiqq")
    names = [file.entry() for _ in range(size)]
    words, labels = names[:word_count], names[word_count:]
    if not (_are_plain_words(words) and _are_plain_labels(labels) and 0 <= pairs <= BUCKETS):
        return None
    buckets, ranks = file.array("<i4", pairs, 2).T
    rows = _quantised_rows(file, word_count + pairs)
    if rows is None or file.read("?qq") != (False, label_count, WIDTH) or not _are_distinct(buckets, ranks):
        return None
    outputs = file.array("<f4", label_count, WIDTH)
    order = np.argsort(buckets)
    rows[word_count:] = rows[word_count:][ranks[order]]
    kept, before = _bitmap(buckets, word_count)
    children = _tree([count for _, count, _ in labels])
    weights = _aligned(len(children))
    weights[:label_count], weights[label_count:] = 0, outputs[: label_count - 1]
    return ModelArrays(_named(words), _named(labels), rows, kept, before, children, weights)


class _Reader:
    """A position in a file's bytes."""

    def __init__(self, content: mmap):
        self.content = content
        self.position = 0

    def read(self, layout: str) -> tuple:
        start = self.position
        self.position += struct.calcsize(f"<{layout}")
        return struct.unpack_from(f"<{layout}", self.content, start)

    def entry(self) -> tuple[bytes, int, int]:
        """Return a name of the dictionary, its count and its type."""
        start = self.position
        end = self.content.find(b"\0", start)
        self.position = end + 1
        return self.content[start:end], *self.read("qb")

    def array(self, dtype: str, *shape: int) -> np.ndarray:
        found = np.frombuffer(self.content, dtype, np.prod(shape, dtype=np.int64), self.position)
        self.position += found.nbytes
        return found.reshape(shape)


def _are_plain_words(entries) -> bool:
    """Return whether the end of sentence comes first and all words are words, distinct and not too long to be kept."""
    names = _named(entries)
    return (
        names[:1] == [_END]
        and len(set(names)) == len(names)
        and max(map(len, names)) <= LONGEST
        and not any(type_ for _, _, type_ in entries)
    )


def _are_plain_labels(entries) -> bool:
    """Return whether there is a choice of labels, and all look like labels and were counted."""
    return 2 <= len(entries) <= _MOST_LABELS and all(
        name.startswith(_LABEL) and type_ == 1 and 0 <= count < _NO_NODE_YET // len(entries)
        for name, count, type_ in entries
    )


def _named(entries) -> list[bytes]:
    return [name for name, _, _ in entries]


def _are_distinct(buckets, ranks) -> bool:
    """Return whether each bucket has a row of its own."""
    apart = len(np.unique(buckets)) == len(buckets) and np.array_equal(np.sort(ranks), np.arange(len(ranks)))
    return apart and (len(buckets) == 0 or bool(buckets.min() >= 0 and buckets.max() < BUCKETS))


def _quantised_rows(file: _Reader, count: int) -> np.ndarray | None:
    """Return `count` rows as float32; each number is a centroid times the row's norm."""
    if file.read("??qqi") != (True, True, count, WIDTH, count * _PARTS) or count > _MOST_ROWS:
        return None
    codes = file.array("u1", count, _PARTS)
    if file.read("iiii") != (WIDTH, _PARTS, _PART, _PART):
        return None
    centroids = file.array("<f4", _PARTS, _CENTROIDS, _PART)
    norm_codes = file.array("u1", count)
    if file.read("iiii") != (1, 1, 1, 1):
        return None
    norms = file.array("<f4", _CENTROIDS)[norm_codes]
    rows = _aligned(count)
    with np.errstate(over="ignore", invalid="ignore"):  # of a damaged file, which fastText is left to refuse
        for part in range(_PARTS):
            rows[:, part * _PART : (part + 1) * _PART] = norms[:, None] * centroids[part][codes[:, part]]
    return rows if np.isfinite(rows).all() else None


def _aligned(count: int) -> np.ndarray:
    """Return an array of rows of which each is one line of the cache."""
    memory = np.empty(count * _LINE + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + count * _LINE].view(np.float32).reshape(count, WIDTH)


def _bitmap(buckets: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `kept` and `before` of ModelArrays for the buckets that are kept, whose rows begin at `first`."""
    bits = np.zeros(BUCKETS, np.uint8)
    bits[buckets] = 1
    ends = np.cumsum(bits.reshape(-1, 64).sum(axis=1, dtype=np.int32), dtype=np.int32)
    before = np.concatenate([[0], ends[:-1]]).astype(np.int32) + np.int32(first)
    return np.packbits(bits, bitorder="little").view(np.int64), before


def _tree(counts: list[int]) -> np.ndarray:
    """Return the children of each node of fastText's Huffman tree, -1 for the leaves, which come first.

    It takes the rarest leaf that is left only if that is rarer than the first inner node that is left.
    """
    leaf, node = len(counts) - 1, len(counts)
    counts = counts + [_NO_NODE_YET] * (len(counts) - 1)
    children = np.full((len(counts), 2), -1, np.int64)
    for parent in range(node, len(counts)):
        for side in range(2):
            if leaf >= 0 and counts[leaf] < counts[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
        counts[parent] = sum(counts[child] for child in children[parent])
    return children
