"""Read a fastText model file into the kernels' input: arrays for lid.176.ftz's shape, or parts for any layout.

fastText does not notice a truncated file: it hangs, crashes or returns nonsense. So the layout is walked once from end
to end, without loading the vectors. The walk checks that each part ends inside the file and that the parts agree; a
file that fails is refused.

lid.176.ftz's shape: rows of 16 numbers, product-quantised with their norms; character n-grams of 2 to 4 in two million
buckets, most of them pruned; a dense output under a hierarchical softmax. For other models the input matrix stays in
the file, mapped into memory that the processes of a machine share. Dictionary and output, a few megabytes, are arrays
of each process.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.any_model import OutputMatrix
from curation.kernels.fasttext.losses import MAX_TREE_LEVELS, TREE, Tree
from curation.kernels.fasttext.ngrams import (
    ENTRY_TAIL,
    MAX_WORD_BYTES,
    NGRAM_BUCKETS,
    DictionaryWords,
    entry_number,
    fill_entries,
    index_entries,
)
from curation.kernels.fasttext.rows import CENTROIDS, LABEL_BLOCK, LANES, VectorRows
from runtime.errors import InputError

_POPULATE = 22  # MADV_POPULATE_READ, for which mmap has no name
MAGIC = 793712314
HIERARCHICAL_SOFTMAX = 1  # This loss is computed over a tree of labels.
SUPERVISED = 3  # Only this kind of model has labels.
MAX_NGRAM = 64  # Larger n-grams are refused: models have 2 to 6, and the time grows with the square.
_LOSSES = (HIERARCHICAL_SOFTMAX, 2, 3, 4)  # The others are negative sampling, softmax, and one against all.

_MODEL_VERSION = 12  # Models of version 11 are read in another way.

_MAX_ROWS = 1 << 16  # A row's id is kept in 16 bits.
_MAX_LABELS = 1 << 15  # fastText omits scores below 0.00001; the likeliest of this many labels always has more.
_MAX_KEPT_BUCKETS = 1 << 26  # The bitmap of this many buckets of a pruned model takes 8 MB.
_MAX_NUMBER = 1e15  # The weights in rows and output must be below this, so that no product of two overflows.
_CACHE_LINE_BYTES = 64  # A row also has this many bytes.
_END = b"</s>"
_LABEL = b"__label__"
_NO_NODE_YET = 10**15  # An inner node of the tree has this count until its children are known.


class Entry(NamedTuple):
    """A word or a label of the dictionary."""

    name: bytes
    occurrences: int
    kind: int  # 0: a word, 1: a label

    @property
    def text(self) -> str:
        """The name as a string; bytes that are not UTF-8 are replaced."""
        return self.name.decode("utf-8", "replace")


@dataclass(frozen=True)
class Header:
    """The parameters of a model, as its file states them."""

    version: int
    width: int  # numbers in a row
    word_ngrams: int
    loss: int
    kind: int  # SUPERVISED models have labels; the others only have word vectors
    buckets: int  # number of buckets into which n-grams are hashed
    shortest_ngram: int
    longest_ngram: int


@dataclass(frozen=True)
class Dictionary:
    """Words, labels, and the buckets that pruning kept."""

    words: int
    labels: int
    kept: int  # number of kept buckets; -1: the model was not pruned
    entries: np.ndarray  # int64: where each entry begins, words first, and where the last one ends
    buckets: np.ndarray  # int32: the kept buckets
    ranks: np.ndarray  # int32: for each of `buckets`, the number of its row, less the number of words


@dataclass(frozen=True)
class ModelFile:
    """A complete model with labels: the bytes of its file, its header, its dictionary, and its two matrices."""

    path: str
    content: mmap.mmap
    header: Header
    dictionary: Dictionary
    inputs: VectorRows  # a row for each word and each kept bucket
    outputs: VectorRows  # a row for each label, or for each inner node of the tree

    @classmethod
    def open(cls, path: str | PathLike[str]) -> ModelFile:
        """Map a model file into memory; InputError unless it is a complete fastText model with labels."""
        try:
            with open(path, "rb") as file:
                if file.read(4) != struct.pack("<i", MAGIC):
                    raise InputError(f"{path} is not a fastText model; pass the path of one, such as lid.176.bin")
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # It is unmapped once no array needs it.
            model = _walk(str(path), content)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); pass the path of a fastText model") from None
        except _Damage:
            raise _damaged(path) from None
        if model is None:
            raise InputError(f"{path} is a fastText model of word vectors; pass one that was trained on labels")
        return model

    def require(self, sound: bool) -> None:
        """Raise an InputError that says that the file is damaged, unless `sound` is true."""
        if not sound:
            raise _damaged(self.path)

    def load(self) -> None:
        """Bring all pages of the file into memory at once, if the system can; otherwise each causes a fault later."""
        with suppress(OSError):  # Linux before 5.14 and other systems refuse the advice.
            self.content.madvise(_POPULATE)

    def words(self) -> list[Entry]:
        """Return the words of the dictionary."""
        return [self._entry(i) for i in range(self.dictionary.words)]

    def labels(self) -> list[Entry]:
        """Return the labels of the dictionary."""
        return [self._entry(self.dictionary.words + i) for i in range(self.dictionary.labels)]

    def _entry(self, i: int) -> Entry:
        begin, end = self.dictionary.entries[i : i + 2].tolist()
        occurrences, kind = struct.unpack_from("<qb", self.content, end - ENTRY_TAIL + 1)
        return Entry(self.content[begin : end - ENTRY_TAIL], occurrences, kind)

    def kinds(self) -> np.ndarray:
        """Return the kind of each entry of the dictionary, words first: 0 for a word, 1 for a label."""
        return self.bytes[self.dictionary.entries[1:] - 1]

    @property
    def bytes(self) -> np.ndarray:
        """The bytes of the file, uint8, not copied: the file stays mapped as long as the array is used."""
        return np.frombuffer(self.content, np.uint8)


def float_rows(rows: VectorRows) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows of a matrix, float32[row, width], and a factor for each row; no factors if rows have no norms."""
    if not rows.parts:
        return rows.content.view("<f4").reshape(rows.rows, rows.width).astype(np.float32), rows.norms
    codes = rows.content.reshape(rows.rows, rows.parts)
    numbers = np.empty((rows.rows, rows.width), np.float32)
    for begin in range(0, rows.width, rows.part):
        stop = min(begin + rows.part, rows.width)
        table = rows.centroids[CENTROIDS * begin : CENTROIDS * stop].reshape(CENTROIDS, stop - begin)
        numbers[:, begin:stop] = table[codes[:, begin // rows.part]]
    return numbers, rows.norms[rows.norm_codes] if len(rows.norm_codes) else rows.norms


def _damaged(path: str | PathLike[str]) -> InputError:
    return InputError(f"{path} is a fastText model that was cut short or damaged; download it again")


class _Damage(Exception):
    """A model file ends too early, or contradicts itself."""


class _Cursor:
    """A position in a file's bytes that is never moved past their end."""

    def __init__(self, content: mmap.mmap):
        self.bytes = np.frombuffer(content, np.uint8)
        self.position = 0

    def skip(self, size: int) -> np.ndarray:
        """Move past this number of bytes, and return them."""
        begin = self.position
        if size < 0 or begin + size > len(self.bytes):
            raise _Damage
        self.position += size
        return self.bytes[begin : self.position]

    def read(self, layout: str) -> tuple:
        """Return the next values, packed as `struct` describes them, little-endian."""
        return struct.unpack(f"<{layout}", self.skip(struct.calcsize(f"<{layout}")).data)

    def entries(self, count: int) -> np.ndarray:
        """Return where each of the next entries of the dictionary begins, and where the last one ends."""
        if ENTRY_TAIL * count > len(self.bytes) - self.position:
            raise _Damage
        bounds = np.empty(count + 1, np.int64)
        if not fill_entries(self.bytes, self.position, bounds):
            raise _Damage
        self.position = int(bounds[-1])
        return bounds


def _walk(path: str, content: mmap.mmap) -> ModelFile | None:
    """Read a model file from end to end; return the model, or None if it has word vectors and no labels."""
    file = _Cursor(content)
    _, version, width, *others = file.read("ii12id")
    ngrams, loss, kind, buckets, shortest, longest = others[4:10]
    header = Header(version, width, ngrams, loss, kind, buckets, shortest, longest)
    if kind != SUPERVISED:
        return None
    dictionary = _read_dictionary(file)
    has_ngrams = ngrams > 1 or longest > 0  # fastText divides by the number of the buckets of n-grams.
    if loss not in _LOSSES or min(buckets, shortest, longest) < 0 or (has_ngrams and not buckets):
        raise _Damage
    if max(ngrams, shortest, longest) > MAX_NGRAM:
        raise _Damage
    (quantised,) = file.read("?")
    inputs = _read_quantised(file) if quantised else _read_dense(file)
    (quantised_output,) = file.read("?")
    outputs = _read_quantised(file) if quantised and quantised_output else _read_dense(file)
    rows = dictionary.words + (buckets if dictionary.kept < 0 else dictionary.kept)
    if inputs.rows < rows or inputs.width != width or (outputs.rows, outputs.width) != (dictionary.labels, width):
        raise _Damage
    return ModelFile(path, content, header, dictionary, inputs, outputs)


def _read_dictionary(file: _Cursor) -> Dictionary:
    size, words, labels, _, kept = file.read("iiiqq")
    if words < 0 or labels < 1 or size != words + labels:
        raise _Damage
    entries = file.entries(size)
    buckets, ranks = file.skip(8 * max(kept, 0)).view("<i4").reshape(-1, 2).T
    if ((ranks < 0) | (ranks >= kept)).any():
        raise _Damage
    return Dictionary(words, labels, kept, entries, buckets, ranks)


def _read_dense(file: _Cursor) -> VectorRows:
    rows, columns = file.read("qq")
    nothing = np.empty(0, np.float32)
    return VectorRows(rows, columns, file.skip(4 * rows * columns), 0, 1, nothing, file.skip(0), nothing)


def _read_quantised(file: _Cursor) -> VectorRows:
    with_norms, rows, columns, size = file.read("?qqi")
    codes = file.skip(size)
    parts, part, centroids = _read_quantiser(file, columns)
    if size != rows * parts:
        raise _Damage
    norm_codes = file.skip(rows if with_norms else 0)
    norms = _read_quantiser(file, 1)[2] if with_norms else np.empty(0, np.float32)
    return VectorRows(rows, columns, codes, parts, part, centroids, norm_codes, norms)


def _read_quantiser(file: _Cursor, columns: int) -> tuple[int, int, np.ndarray]:
    """Return how many parts a row has, how many numbers each part but the last has, and the centroids of all parts."""
    dimension, parts, size, last = file.read("iiii")
    if dimension != columns or size < 1 or not 1 <= last <= size or (parts - 1) * size + last != dimension:
        raise _Damage
    return parts, size, file.skip(4 * CENTROIDS * dimension).view("<f4").astype(np.float32)


# lid.176.ftz has n-grams of 2 to 4 characters, and none of words.
_HEADER = Header(
    version=_MODEL_VERSION,
    width=LANES,
    word_ngrams=1,
    loss=HIERARCHICAL_SOFTMAX,
    kind=SUPERVISED,
    buckets=NGRAM_BUCKETS,
    shortest_ngram=2,
    longest_ngram=4,
)


@dataclass(frozen=True)
class ModelArrays:
    """A model: its words in the order of their rows, its labels, and the arrays that the kernels read."""

    words: list[bytes]
    labels: list[bytes]
    rows: np.ndarray  # float32 [rows, 16]: the rows of the words, then the rows of the kept buckets, in their order
    kept: np.ndarray  # int64: bit b & 63 of kept[b >> 6] tells whether bucket b is kept
    before: np.ndarray  # int32: before[b >> 6] is the row of the first kept bucket in kept[b >> 6]
    children: np.ndarray  # int64 [2 labels - 1, 2]: left and right of each node of the tree; its root is the last node
    weights: np.ndarray  # float32 [2 labels - 1, 16]: the weights that decide at each inner node; leaves have zeros


def read_arrays(model: ModelFile) -> ModelArrays | None:
    """Return the arrays of a model of lid.176.ftz's shape; None if the model has another shape."""
    dictionary, inputs = model.dictionary, model.inputs
    if model.header != _HEADER or not (inputs.parts and len(inputs.norms)) or model.outputs.parts:
        return None
    words = model.words()
    labels = model.labels()
    order = np.argsort(dictionary.buckets)
    buckets, ranks = dictionary.buckets[order], dictionary.ranks[order]
    if not (_are_plain_words(words) and _are_plain_labels(labels) and _are_distinct(buckets, NGRAM_BUCKETS)):
        return None
    if inputs.rows != len(words) + len(buckets) or inputs.rows > _MAX_ROWS or len(np.unique(ranks)) < len(ranks):
        return None
    rows = _aligned(inputs.rows)
    weights = _aligned(2 * len(labels) - 1)
    numbers, norms = float_rows(inputs)
    with np.errstate(over="ignore", invalid="ignore"):  # A damaged file is left for fastText to refuse.
        rows[:] = norms[:, None] * numbers
    weights[: len(labels)] = 0
    weights[len(labels) :] = float_rows(model.outputs)[0][:-1]
    if not ((np.abs(rows) < _MAX_NUMBER).all() and (np.abs(weights) < _MAX_NUMBER).all()):
        return None
    rows[len(words) :] = rows[len(words) :][ranks]
    kept, before = _bitmap(buckets, NGRAM_BUCKETS, len(words))
    children = _huffman_tree([label.occurrences for label in labels])
    return ModelArrays(_names(words), _names(labels), rows, kept, before, children, weights)


def _are_plain_words(words: Sequence[Entry]) -> bool:
    """Return whether the end of sentence comes first, and all entries are distinct words of at most MAX_WORD_BYTES."""
    names = _names(words)
    return (
        names[:1] == [_END]
        and len(set(names)) == len(names)
        and max(map(len, names)) <= MAX_WORD_BYTES
        and not any(word.kind for word in words)
    )


def _are_plain_labels(labels: Sequence[Entry]) -> bool:
    """Return whether there are at least two labels, all begin with `__label__`, and their counts are in range."""
    return 2 <= len(labels) <= _MAX_LABELS and all(
        label.name.startswith(_LABEL) and label.kind == 1 and 0 <= label.occurrences < _NO_NODE_YET // len(labels)
        for label in labels
    )


def _names(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.name for entry in entries]


def _are_distinct(buckets: np.ndarray, count: int) -> bool:
    """Return whether the sorted `buckets` are distinct, from 0 to count - 1."""
    return len(buckets) == 0 or bool(buckets[0] >= 0 and buckets[-1] < count and (np.diff(buckets) > 0).all())


def _aligned(count: int) -> np.ndarray:
    """Return an uninitialised array, float32[count, LANES], in which each row fills one line of the cache."""
    memory = np.empty(count * _CACHE_LINE_BYTES + _CACHE_LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE_BYTES
    return memory[start : start + count * _CACHE_LINE_BYTES].view(np.float32).reshape(count, LANES)


def _bitmap(buckets: np.ndarray, count: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `kept` and `before` of ModelArrays, if `buckets` of `count` are kept; the first has row `first`."""
    bits = np.zeros(-(-count // 64) * 64, np.uint8)
    bits[buckets] = 1
    ends = np.cumsum(bits.reshape(-1, 64).sum(axis=1, dtype=np.int32), dtype=np.int32)
    before = np.concatenate([[0], ends[:-1]]).astype(np.int32) + np.int32(first)
    return np.packbits(bits, bitorder="little").view(np.int64), before


def _huffman_tree(counts: list[int]) -> np.ndarray:
    """Return the children of each node of fastText's Huffman tree, int64[node, 2]; leaves come first, and have -1.

    The rarest leaf that is left is the next child only if it is rarer than the first inner node that is left.
    """
    leaf = len(counts) - 1
    node = len(counts)
    counts = counts + [_NO_NODE_YET] * (len(counts) - 1)
    children = np.full((len(counts), 2), -1, np.int64)
    for parent in range(node, len(counts)):
        for side in range(2):
            if leaf >= 0 and counts[leaf] < counts[node]:
                children[parent, side] = leaf
                leaf -= 1
            else:
                children[parent, side] = node
                node += 1
        counts[parent] = sum(counts[child] for child in children[parent])
    return children


def model_words(model: ModelFile) -> DictionaryWords | None:
    """Return the dictionary and buckets of a model; None if only fastText itself can read them."""
    header, dictionary = model.header, model.dictionary
    count = dictionary.words
    pruned = dictionary.kept >= 0
    order = np.argsort(dictionary.buckets)
    buckets = dictionary.buckets[order]
    if header.version != _MODEL_VERSION or header.word_ngrams < 1 or (pruned and header.buckets > _MAX_KEPT_BUCKETS):
        return None
    kinds = np.repeat([0, 1], [count, dictionary.labels])
    model.require(np.array_equal(model.kinds(), kinds) and _are_distinct(buckets, header.buckets))
    kept, before = _bitmap(buckets, header.buckets if pruned else 0, 0)
    slots = np.full(1 << (2 * len(dictionary.entries)).bit_length(), -1, np.int32)
    index_entries(model.bytes, dictionary.entries, slots)
    end, end_hash = entry_number(model.bytes, dictionary.entries, slots, np.frombuffer(_END, np.uint8))
    return DictionaryWords(
        content=model.bytes,
        entries=dictionary.entries,
        slots=slots,
        word_count=count,
        end=end if end < count else -1,
        end_hash=end_hash,
        buckets=max(header.buckets, 1),
        shortest=header.shortest_ngram,
        longest=header.longest_ngram,
        word_ngrams=header.word_ngrams,
        pruned=pruned,
        kept=kept,
        before=before,
        ranks=dictionary.ranks[order],
    )


def read_output(model: ModelFile) -> OutputMatrix | None:
    """Return the arrays that map a text's vector to its label; None if only fastText itself can find the label."""
    weights, scales = float_rows(model.outputs)
    labels = len(weights)
    loss = model.header.loss
    tree = _tree(model) if loss == TREE else Tree(np.empty((0, 2), np.int64), 0, waiting(0))
    if tree is None or not 2 <= labels <= _MAX_LABELS:
        return None
    model.require(bool((np.abs(weights) < _MAX_NUMBER).all()))
    with np.errstate(invalid="ignore"):
        lengths = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=1))
        longest = float((lengths * np.abs(scales) if len(scales) else lengths).max())
    blocks = np.zeros((-(-labels // LABEL_BLOCK) * LABEL_BLOCK, weights.shape[1]), np.float32)
    blocks[:labels] = weights
    blocks = np.ascontiguousarray(blocks.reshape(-1, LABEL_BLOCK, weights.shape[1]).transpose(0, 2, 1))
    return OutputMatrix(loss, labels - 1 if loss == TREE else labels, blocks, scales, longest, tree)


def _tree(model: ModelFile) -> Tree | None:
    counts = [label.occurrences for label in model.labels()]
    if len(counts) > _MAX_LABELS:
        return None
    model.require(all(0 <= count < _NO_NODE_YET // len(counts) for count in counts))
    children = _huffman_tree(counts)
    levels = np.zeros(len(children), np.int64)
    for node in range(len(children) - 1, len(counts) - 1, -1):  # Parents come after their children.
        levels[children[node]] = levels[node] + 1
    return Tree(children, int(levels.max()), waiting(len(children))) if levels.max() <= MAX_TREE_LEVELS else None


def waiting(nodes: int) -> tuple[np.ndarray, ...]:
    """Return scratch memory for a search in a tree of `nodes` nodes, as `kernels.fasttext.losses` takes it."""
    return tuple(np.empty(nodes, dtype) for dtype in ("i8", "f8", "f4", "f4"))
