"""Read a fastText model file: walk its layout once from end to end, without loading the vectors.

fastText does not notice a truncated file: it hangs, crashes or returns nonsense. So the walk checks that each part ends
inside the file and that the parts agree; a file that fails is refused.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple

import numpy as np

from curation.kernels.fasttext.dictionary import TAIL, find_entries
from curation.kernels.fasttext.rows import CENTROIDS, Rows
from runtime.errors import InputError

_POPULATE = 22  # MADV_POPULATE_READ, which mmap has no name for
MAGIC = 793712314
HIERARCHICAL_SOFTMAX, SUPERVISED = 1, 3
MOST_NGRAM = 64  # characters, or words: models have 2 to 6; time grows with the square
_LOSSES = (HIERARCHICAL_SOFTMAX, 2, 3, 4)  # negative sampling, softmax, one against all


class Entry(NamedTuple):
    """A word or a label of the dictionary."""

    name: bytes
    occurrences: int
    kind: int  # 0: a word, 1: a label

    @property
    def text(self) -> str:
        """The name; what of it is no UTF-8 is replaced."""
        return self.name.decode("utf-8", "replace")


@dataclass(frozen=True)
class Header:
    """The numbers with which a model was trained."""

    version: int
    width: int  # numbers in a row
    word_ngrams: int
    loss: int
    kind: int  # SUPERVISED models know labels; the others are word vectors
    buckets: int  # into which n-grams are hashed
    shortest_ngram: int
    longest_ngram: int


@dataclass(frozen=True)
class Dictionary:
    """Words, labels, and the buckets that pruning kept."""

    words: int
    labels: int
    kept: int  # -1: the model was not pruned
    entries: np.ndarray  # int64: where each entry begins, words first, and where the last one ends
    buckets: np.ndarray  # int32: those that are kept
    ranks: np.ndarray  # int32: of the row of each, behind those of the words


@dataclass(frozen=True)
class ModelFile:
    """A whole model with labels: the position of each part in the file's bytes, and the numbers in the file."""

    path: str
    content: mmap.mmap
    header: Header
    dictionary: Dictionary
    inputs: Rows  # one for each word and for each bucket that is kept
    outputs: Rows  # one for each label, or for each inner node of the tree

    @classmethod
    def open(cls, path: str | PathLike[str]) -> ModelFile:
        """Return the parts of a model file, mapped; refuse a file that is not a whole fastText model with labels."""
        try:
            with open(path, "rb") as file:
                if file.read(4) != struct.pack("<i", MAGIC):
                    raise InputError(f"{path} is no fastText model; give the path of one, such as lid.176.bin")
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # unmapped once no array needs it
            model = _walk(str(path), content)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a fastText model") from None
        except _Damage:
            raise _damaged(path) from None
        if model is None:
            raise InputError(f"{path} is a fastText model of word vectors; give one that was trained on labels")
        return model

    def require(self, sound: bool) -> None:
        """Refuse the model as damaged unless it is sound."""
        if not sound:
            raise _damaged(self.path)

    def load(self) -> None:
        """Bring all pages of the file into memory at once, where the system can: else each costs a fault later."""
        with suppress(OSError):  # Linux before 5.14, and other systems
            self.content.madvise(_POPULATE)

    def words(self) -> list[Entry]:
        """Return the words."""
        return [self._entry(i) for i in range(self.dictionary.words)]

    def labels(self) -> list[Entry]:
        """Return the labels."""
        return [self._entry(self.dictionary.words + i) for i in range(self.dictionary.labels)]

    def _entry(self, i: int) -> Entry:
        begin, end = self.dictionary.entries[i : i + 2].tolist()
        return Entry(self.content[begin : end - TAIL], *struct.unpack_from("<qb", self.content, end - TAIL + 1))

    def kinds(self) -> np.ndarray:
        """Return the kind of each entry, words first."""
        return self.bytes[self.dictionary.entries[1:] - 1]

    @property
    def bytes(self) -> np.ndarray:
        """The bytes of the file, uint8, not copied: it stays open as long as they are used."""
        return np.frombuffer(self.content, np.uint8)


def decoded(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all rows, float32, and the factor of each row; no factors where rows have no norms."""
    if not rows.parts:
        return rows.content.view("<f4").reshape(rows.rows, rows.width).astype(np.float32), rows.norms
    codes, numbers = rows.content.reshape(rows.rows, rows.parts), np.empty((rows.rows, rows.width), np.float32)
    for begin in range(0, rows.width, rows.part):
        stop = min(begin + rows.part, rows.width)
        table = rows.centroids[CENTROIDS * begin : CENTROIDS * stop].reshape(CENTROIDS, stop - begin)
        numbers[:, begin:stop] = table[codes[:, begin // rows.part]]
    return numbers, rows.norms[rows.norm_codes] if len(rows.norm_codes) else rows.norms


def _damaged(path: str | PathLike[str]) -> InputError:
    return InputError(f"{path} is a fastText model that was cut short or damaged; download it again")


class _Damage(Exception):
    """The file ends too early, or contradicts itself."""


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
        if TAIL * count > len(self.bytes) - self.position:
            raise _Damage
        found = np.empty(count + 1, np.int64)
        if not find_entries(self.bytes, self.position, found):
            raise _Damage
        self.position = int(found[-1])
        return found


def _walk(path: str, content: mmap.mmap) -> ModelFile | None:
    """Return the parts of a model with labels; None for word vectors."""
    file = _Cursor(content)
    _, version, width, *others = file.read("ii12id")
    ngrams, loss, kind, buckets, shortest, longest = others[4:10]
    header = Header(version, width, ngrams, loss, kind, buckets, shortest, longest)
    if kind != SUPERVISED:
        return None
    dictionary = _read_dictionary(file)
    has_ngrams = ngrams > 1 or longest > 0  # fastText divides by the number of their buckets
    if loss not in _LOSSES or min(buckets, shortest, longest) < 0 or (has_ngrams and not buckets):
        raise _Damage
    if max(ngrams, shortest, longest) > MOST_NGRAM:
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


def _read_dense(file: _Cursor) -> Rows:
    rows, columns = file.read("qq")
    nothing = np.empty(0, np.float32)
    return Rows(rows, columns, file.skip(4 * rows * columns), 0, 1, nothing, file.skip(0), nothing)


def _read_quantised(file: _Cursor) -> Rows:
    with_norms, rows, columns, size = file.read("?qqi")
    codes = file.skip(size)
    parts, part, centroids = _read_quantiser(file, columns)
    if size != rows * parts:
        raise _Damage
    norm_codes = file.skip(rows if with_norms else 0)
    norms = _read_quantiser(file, 1)[2] if with_norms else np.empty(0, np.float32)
    return Rows(rows, columns, codes, parts, part, centroids, norm_codes, norms)


def _read_quantiser(file: _Cursor, columns: int) -> tuple[int, int, np.ndarray]:
    """Return the number of parts, the numbers in each but the last, and the centroids of all parts."""
    dimension, parts, size, last = file.read("iiii")
    if dimension != columns or size < 1 or not 1 <= last <= size or (parts - 1) * size + last != dimension:
        raise _Damage
    return parts, size, file.skip(4 * CENTROIDS * dimension).view("<f4").astype(np.float32)
