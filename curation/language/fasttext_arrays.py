"""Turn a fastText model file of lid.176.ftz's shape into the arrays that the kernels read.

That shape is: vectors of 16 numbers, product-quantised with their norms; character n-grams of 2 to 4 in two million
buckets, most of them pruned; a dense output under a hierarchical softmax. The layout of the file is in `fasttext_file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.kernels.fasttext.vectors import WIDTH
from curation.kernels.fasttext.word_rows import BUCKETS, LONGEST
from curation.language.fasttext_file import (
    CENTROIDS,
    HIERARCHICAL_SOFTMAX,
    SUPERVISED,
    Dense,
    Entry,
    Header,
    ModelFile,
    Quantised,
)

_HEADER = Header(
    version=12,
    width=WIDTH,
    word_ngrams=1,
    loss=HIERARCHICAL_SOFTMAX,
    kind=SUPERVISED,
    buckets=BUCKETS,
    shortest_ngram=2,
    longest_ngram=4,
)
_PARTS, _PART = 8, 2  # a row is eight parts of two numbers
_MOST_ROWS = 1 << 16  # a row's id is kept in 16 bits
MOST_LABELS = 1 << 15  # the likeliest of so many cannot be one that fastText leaves out, those below 0.00001
_LINE = 64  # bytes of the cache, and of a row
_END, _LABEL = b"</s>", b"__label__"
NO_NODE_YET = 10**15  # the count of an inner node before it has one


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


def read_arrays(model: ModelFile) -> ModelArrays | None:
    """Return the arrays of a model; None where the model is of another shape."""
    if model.header != _HEADER:
        return None
    words, labels = model.words(), model.labels()
    if not (_are_plain_words(words) and _are_plain_labels(labels) and 0 <= model.dictionary.kept <= BUCKETS):
        return None
    buckets, ranks = model.array(model.dictionary.pairs, "<i4", model.dictionary.kept, 2).T
    rows = _quantised_rows(model, len(words) + len(buckets))
    if rows is None or not isinstance(model.outputs, Dense) or not _are_distinct(buckets, ranks):
        return None
    outputs = model.array(model.outputs.values, "<f4", len(labels), WIDTH)
    order = np.argsort(buckets)
    rows[len(words) :] = rows[len(words) :][ranks[order]]
    kept, before = bitmap(buckets, BUCKETS, len(words))
    children = huffman_tree([label.occurrences for label in labels])
    weights = _aligned(len(children))
    weights[: len(labels)], weights[len(labels) :] = 0, outputs[: len(labels) - 1]
    return ModelArrays(_names(words), _names(labels), rows, kept, before, children, weights)


def _are_plain_words(words: Sequence[Entry]) -> bool:
    """Return whether the end of sentence comes first and all words are words, distinct and not too long to be kept."""
    names = _names(words)
    return (
        names[:1] == [_END]
        and len(set(names)) == len(names)
        and max(map(len, names)) <= LONGEST
        and not any(word.kind for word in words)
    )


def _are_plain_labels(labels: Sequence[Entry]) -> bool:
    """Return whether there is a choice of labels, and all look like labels and were counted."""
    return 2 <= len(labels) <= MOST_LABELS and all(
        label.name.startswith(_LABEL) and label.kind == 1 and 0 <= label.occurrences < NO_NODE_YET // len(labels)
        for label in labels
    )


def _names(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.name for entry in entries]


def _are_distinct(buckets: np.ndarray, ranks: np.ndarray) -> bool:
    """Return whether each bucket has a row of its own."""
    apart = len(np.unique(buckets)) == len(buckets) and np.array_equal(np.sort(ranks), np.arange(len(ranks)))
    return apart and (len(buckets) == 0 or bool(buckets.min() >= 0 and buckets.max() < BUCKETS))


def _quantised_rows(model: ModelFile, count: int) -> np.ndarray | None:
    """Return the input as `count` rows of float32; each number is a centroid times the row's norm."""
    inputs = model.inputs
    if not isinstance(inputs, Quantised) or inputs.norms is None or inputs.norm_codes is None:
        return None
    parts = inputs.quantiser.parts, inputs.quantiser.size, inputs.norms.size
    if inputs.rows != count or count > _MOST_ROWS or parts != (_PARTS, _PART, 1):
        return None
    codes = model.array(inputs.codes, "u1", count, _PARTS)
    centroids = model.array(inputs.quantiser.centroids, "<f4", _PARTS, CENTROIDS, _PART)
    norms = model.array(inputs.norms.centroids, "<f4", CENTROIDS)[model.array(inputs.norm_codes, "u1", count)]
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


def bitmap(buckets: np.ndarray, count: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `kept` and `before` of ModelArrays for the `buckets` kept of so many; their rows begin at `first`."""
    bits = np.zeros(-(-count // 64) * 64, np.uint8)
    bits[buckets] = 1
    ends = np.cumsum(bits.reshape(-1, 64).sum(axis=1, dtype=np.int32), dtype=np.int32)
    before = np.concatenate([[0], ends[:-1]]).astype(np.int32) + np.int32(first)
    return np.packbits(bits, bitorder="little").view(np.int64), before


def huffman_tree(counts: list[int]) -> np.ndarray:
    """Return the children of each node of fastText's Huffman tree, -1 for the leaves, which come first.

    It takes the rarest leaf that is left only if that is rarer than the first inner node that is left.
    """
    leaf, node = len(counts) - 1, len(counts)
    counts = counts + [NO_NODE_YET] * (len(counts) - 1)
    children = np.full((len(counts), 2), -1, np.int64)
    for parent in range(node, len(counts)):
        for side in range(2):
            if leaf >= 0 and counts[leaf] < counts[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
        counts[parent] = sum(counts[child] for child in children[parent])
    return children
