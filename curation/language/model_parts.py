"""Turn a fastText model file into the kernels' input: arrays for lid.176.ftz's shape, or parts for any layout.

lid.176.ftz's shape: rows of 16 numbers, product-quantised with their norms; character n-grams of 2 to 4 in two million
buckets, most of them pruned; a dense output under a hierarchical softmax. For other models the input matrix stays in
the file, mapped into memory that the processes of a machine share. Dictionary and output, a few megabytes, are arrays
of each process. `fasttext_file` reads the layout of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation.kernels.fasttext.any_model import Output
from curation.kernels.fasttext.dictionary import index_entries, number_of
from curation.kernels.fasttext.label_tree import MOST_LEVELS
from curation.kernels.fasttext.losses import TREE, Tree
from curation.kernels.fasttext.ngrams import Words
from curation.kernels.fasttext.rows import BLOCK, LANES
from curation.kernels.fasttext.word_rows import BUCKETS, LONGEST
from curation.language.fasttext_file import HIERARCHICAL_SOFTMAX, SUPERVISED, Entry, Header, ModelFile, decoded

_VERSION = 12  # models of 11 are read in another way
_HEADER = Header(
    version=_VERSION,
    width=LANES,
    word_ngrams=1,
    loss=HIERARCHICAL_SOFTMAX,
    kind=SUPERVISED,
    buckets=BUCKETS,
    shortest_ngram=2,
    longest_ngram=4,
)
_MOST_ROWS = 1 << 16  # a row's id is kept in 16 bits
_MOST_LABELS = 1 << 15  # the likeliest of so many cannot be one that fastText leaves out, those below 0.00001
_MOST_KEPT = 1 << 26  # buckets of a pruned model: a bitmap of 8 MB
_LARGEST = 1e15  # of rows' and the output's numbers: no product of them overflows
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


def read_arrays(model: ModelFile) -> ModelArrays | None:
    """Return the arrays of a model of lid.176.ftz's shape; None where the model is of another one."""
    dictionary, inputs = model.dictionary, model.inputs
    if model.header != _HEADER or not (inputs.parts and len(inputs.norms)) or model.outputs.parts:
        return None
    words, labels = model.words(), model.labels()
    order = np.argsort(dictionary.buckets)
    buckets, ranks = dictionary.buckets[order], dictionary.ranks[order]
    if not (_are_plain_words(words) and _are_plain_labels(labels) and _are_distinct(buckets, BUCKETS)):
        return None
    if inputs.rows != len(words) + len(buckets) or inputs.rows > _MOST_ROWS or len(np.unique(ranks)) < len(ranks):
        return None
    rows, weights = _aligned(inputs.rows), _aligned(2 * len(labels) - 1)
    numbers, norms = decoded(inputs)
    with np.errstate(over="ignore", invalid="ignore"):  # of a damaged file, which fastText is left to refuse
        rows[:] = norms[:, None] * numbers
    weights[: len(labels)], weights[len(labels) :] = 0, decoded(model.outputs)[0][:-1]
    if not ((np.abs(rows) < _LARGEST).all() and (np.abs(weights) < _LARGEST).all()):
        return None
    rows[len(words) :] = rows[len(words) :][ranks]
    kept, before = _bitmap(buckets, BUCKETS, len(words))
    children = _huffman_tree([label.occurrences for label in labels])
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
    return 2 <= len(labels) <= _MOST_LABELS and all(
        label.name.startswith(_LABEL) and label.kind == 1 and 0 <= label.occurrences < _NO_NODE_YET // len(labels)
        for label in labels
    )


def _names(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.name for entry in entries]


def _are_distinct(buckets: np.ndarray, count: int) -> bool:
    """Return whether each of the sorted buckets that are kept is one, and comes once."""
    return len(buckets) == 0 or bool(buckets[0] >= 0 and buckets[-1] < count and (np.diff(buckets) > 0).all())


def _aligned(count: int) -> np.ndarray:
    """Return an array of rows of which each is one line of the cache."""
    memory = np.empty(count * _LINE + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + count * _LINE].view(np.float32).reshape(count, LANES)


def _bitmap(buckets: np.ndarray, count: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `kept` and `before` of ModelArrays for the `buckets` kept of so many; their rows begin at `first`."""
    bits = np.zeros(-(-count // 64) * 64, np.uint8)
    bits[buckets] = 1
    ends = np.cumsum(bits.reshape(-1, 64).sum(axis=1, dtype=np.int32), dtype=np.int32)
    before = np.concatenate([[0], ends[:-1]]).astype(np.int32) + np.int32(first)
    return np.packbits(bits, bitorder="little").view(np.int64), before


def _huffman_tree(counts: list[int]) -> np.ndarray:
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


def read_words(model: ModelFile) -> Words | None:
    """Return the dictionary and buckets of a model; None where only fastText itself can read them."""
    header, dictionary = model.header, model.dictionary
    count, pruned, order = dictionary.words, dictionary.kept >= 0, np.argsort(dictionary.buckets)
    buckets = dictionary.buckets[order]
    if header.version != _VERSION or header.word_ngrams < 1 or (pruned and header.buckets > _MOST_KEPT):
        return None
    kinds = np.repeat([0, 1], [count, dictionary.labels])
    model.require(np.array_equal(model.kinds(), kinds) and _are_distinct(buckets, header.buckets))
    kept, before = _bitmap(buckets, header.buckets if pruned else 0, 0)
    slots = np.full(1 << (2 * len(dictionary.entries)).bit_length(), -1, np.int32)
    index_entries(model.bytes, dictionary.entries, slots)
    end, end_hash = number_of(model.bytes, dictionary.entries, slots, np.frombuffer(_END, np.uint8))
    return Words(
        model.bytes,
        dictionary.entries,
        slots,
        count,
        end if end < count else -1,
        end_hash,
        max(header.buckets, 1),
        header.shortest_ngram,
        header.longest_ngram,
        header.word_ngrams,
        pruned,
        kept,
        before,
        dictionary.ranks[order],
    )


def read_output(model: ModelFile) -> Output | None:
    """Return what leads from a text's vector to its label; None where only fastText itself can find it."""
    weights, scales = decoded(model.outputs)
    labels, loss = len(weights), model.header.loss
    tree = _tree(model) if loss == TREE else Tree(np.empty((0, 2), np.int64), 0, waiting(0))
    if tree is None or not 2 <= labels <= _MOST_LABELS:
        return None
    model.require(bool((np.abs(weights) < _LARGEST).all()))
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1))
        longest = float((lengths * np.abs(scales) if len(scales) else lengths).max())
    blocks = np.zeros((-(-labels // BLOCK) * BLOCK, weights.shape[1]), np.float32)
    blocks[:labels] = weights
    blocks = np.ascontiguousarray(blocks.reshape(-1, BLOCK, weights.shape[1]).transpose(0, 2, 1))
    return Output(loss, labels - 1 if loss == TREE else labels, blocks, scales, longest, tree)


def _tree(model: ModelFile) -> Tree | None:
    counts = [label.occurrences for label in model.labels()]
    if len(counts) > _MOST_LABELS:
        return None
    model.require(all(0 <= count < _NO_NODE_YET // len(counts) for count in counts))
    children = _huffman_tree(counts)
    levels = np.zeros(len(children), np.int64)
    for node in range(len(children) - 1, len(counts) - 1, -1):  # parents come behind their children
        levels[children[node]] = levels[node] + 1
    return Tree(children, int(levels.max()), waiting(len(children))) if levels.max() <= MOST_LEVELS else None


def waiting(nodes: int) -> tuple[np.ndarray, ...]:
    """Return scratch memory for a search in a tree of so many nodes, as `kernels.fasttext.label_tree` describes it."""
    return tuple(np.empty(nodes, dtype) for dtype in ("i8", "f8", "f4", "f4"))
