"""The layout of a fastText model file, walked from end to end without loading it.

fastText does not notice a file that was cut short: it hangs, dies, or answers nonsense, depending on where.
"""

import mmap
import struct
from os import PathLike

import numpy as np

from runtime.errors import InputError

MAGIC = 793712314
_LOSSES = (1, 2, 3, 4)  # hierarchical softmax, negative sampling, softmax, one against all
_SUPERVISED = 3  # models of this kind know labels; the others are word vectors


def require_classifier(path: str | PathLike) -> None:
    """Refuse a file that is not a whole fastText model with labels."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != struct.pack("<i", MAGIC):
                raise InputError(f"{path} is no fastText model; give the path of one, such as lid.176.bin")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if not _is_classifier(_Cursor(content)):
                    raise InputError(f"{path} is a fastText model of word vectors; give one that was trained on labels")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a fastText model") from None
    except _Damage:
        raise InputError(f"{path} is a fastText model that was cut short or damaged; download it again") from None


class _Damage(Exception):
    """The file ends too early, or contradicts itself."""


class _Cursor:
    """A position in a file's bytes that is never moved past their end."""

    def __init__(self, content: mmap.mmap):
        self.content = content
        self.position = 0

    def skip(self, size: int) -> None:
        if size < 0 or self.position + size > len(self.content):
            raise _Damage
        self.position += size

    def read(self, layout: str) -> tuple:
        start = self.position
        self.skip(struct.calcsize(f"<{layout}"))
        return struct.unpack_from(f"<{layout}", self.content, start)

    def skip_string(self) -> None:
        end = self.content.find(b"\0", self.position)
        self.skip(end + 1 - self.position)  # negative, so refused, where no string ends


def _is_classifier(file: _Cursor) -> bool:
    _, _, dimension, *others, _ = file.read("ii12id")
    ngrams, loss, kind, buckets, shortest, longest, _ = others[4:]
    if kind != _SUPERVISED:
        return False
    words, labels, pruned = _skip_dictionary(file)
    has_ngrams = ngrams > 1 or longest > 0  # fastText divides by the number of their buckets
    if loss not in _LOSSES or min(buckets, shortest, longest) < 0 or (has_ngrams and not buckets):
        raise _Damage
    rows = words + (buckets if pruned < 0 else pruned)
    (quantised,) = file.read("?")
    inputs = _skip_quantised(file) if quantised else _skip_dense(file)
    (quantised_output,) = file.read("?")
    outputs = _skip_quantised(file) if quantised and quantised_output else _skip_dense(file)
    if inputs[0] < rows or inputs[1] != dimension or outputs != (labels, dimension):
        raise _Damage
    return True


def _skip_dictionary(file: _Cursor) -> tuple[int, int, int]:
    """Return the numbers of words, of labels, and of buckets that were kept, -1 where nothing was pruned."""
    size, words, labels, _, pruned = file.read("iiiqq")
    if words < 0 or labels < 1 or size != words + labels:
        raise _Damage
    for _ in range(size):
        file.skip_string()
        file.skip(9)  # its count and its type
    begin = file.position
    file.skip(8 * max(pruned, 0))
    ranks = np.frombuffer(file.content[begin : file.position], "<i4")[1::2]  # behind the bucket of each
    if ((ranks < 0) | (ranks >= pruned)).any():
        raise _Damage
    return words, labels, pruned


def _skip_dense(file: _Cursor) -> tuple[int, int]:
    """Return the numbers of rows and of columns."""
    rows, columns = file.read("qq")
    file.skip(4 * rows * columns)
    return rows, columns


def _skip_quantised(file: _Cursor) -> tuple[int, int]:
    """Return the numbers of rows and of columns."""
    with_norms, rows, columns, codes = file.read("?qqi")
    file.skip(codes)
    if codes != rows * _skip_quantiser(file, columns):
        raise _Damage
    if with_norms:
        file.skip(rows)
        _skip_quantiser(file, 1)
    return rows, columns


def _skip_quantiser(file: _Cursor, columns: int) -> int:
    """Return the number of parts into which a row of so many columns is cut."""
    dimension, parts, size, last = file.read("iiii")
    if dimension != columns or size < 1 or not 1 <= last <= size or (parts - 1) * size + last != dimension:
        raise _Damage
    file.skip(4 * 256 * dimension)
    return parts
