"""Write NumPy arrays and Arrow batches to files, and map such files into memory.

A file's checksum is compared before any of its content is used. The offsets in Arrow files are also validated: an
offset outside the mapping would crash the process.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from isal import isal_zlib as zlib

from runtime.errors import InputError
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import content_of, write_json
from runtime.storage.listing import described
from runtime.storage.own_files import OwnFile, compared, refusing
from runtime.storage.paths import names
from runtime.storage.whole import whole

REMEDY = "build it again"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}  # of .npy


def save_array(path: Path, array: np.ndarray) -> Path:
    """Write one array as a .npy file, which gets its name once it is complete; return its path."""
    with whole(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return path


def open_array(file: OwnFile) -> np.ndarray:
    """Return a saved array, mapped into memory; InputError if the file is damaged.

    The checksum is computed over the mapping itself: a disk may return other bytes at the next reading.
    """
    with refusing(file), file.path.open("rb") as opened:
        content = mmap(opened.fileno(), 0, access=ACCESS_READ)
        file.require(content)
        version = np.lib.format.read_magic(content)
        shape, is_fortran, dtype = _HEADERS[version](content)
        values = np.frombuffer(content, dtype, math.prod(shape), content.tell())
        return values.reshape(shape, order="F" if is_fortran else "C")


def save_arrays(directory: Path, name: str, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as .npy files, and then the JSON file `name`: the header with the checksums of all arrays."""
    directory.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for key, array in arrays.items():
        np.save(directory / f"{key}.npy", array, allow_pickle=False)
        checksums[key] = checksum_of(directory / f"{key}.npy")
    write_json(directory / name, header | {"arrays": checksums})


def open_arrays(directory: Path, name: str, version: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the header and the arrays that `save_arrays` wrote, mapped into memory.

    InputError if the version differs or a file is damaged.
    """
    try:
        header = content_of((directory / name).read_bytes())
        if header.get("version") != version:
            raise InputError(
                f"{directory} holds version {header.get('version')}; this program reads {version}: {REMEDY}"
            )
        files = {
            key: OwnFile(directory / f"{key}.npy", str(checksum), REMEDY) for key, checksum in header["arrays"].items()
        }
        arrays = {key: open_array(file) for key, file in files.items()}
    except (OSError, ValueError, KeyError, AttributeError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        if name not in names(directory):
            what = described(directory)
            raise InputError(f"{directory} {what}; pass a folder with {name} and its arrays, or {REMEDY}") from None
        raise InputError(f"{directory} holds no readable {name} with its arrays ({error}): {REMEDY}") from None
    return header, arrays


def open_arrow(file: OwnFile) -> pa.RecordBatchFileReader:
    """Return a reader of the batches of a local Arrow file; InputError if the file is damaged.

    A process compares the file's checksum, and validates its content, once.
    """
    with refusing(file):
        return _mapped(compared(file, _validate))[1]


def _mapped(path: Path) -> tuple[pa.Buffer, pa.RecordBatchFileReader]:
    """Return the bytes of a file, mapped into memory, and a reader of batches, whose columns are slices of them."""
    with pa.memory_map(str(path)) as file:
        content = file.read_buffer()
    return content, pa.ipc.open_file(pa.BufferReader(content))


def _validate(path: Path) -> None:
    """Raise an error if an Arrow file is cut or damaged.

    The bytes of each column must be in the file, each offset in its column, and each text must be UTF-8. PyArrow 26
    finds a column outside the file by itself, and 19 does not.
    """
    content, reader = _mapped(path)
    end = content.address + content.size
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        for buffer in chain.from_iterable(column.buffers() for column in batch.columns):
            if buffer is None or not buffer.size:
                continue
            if buffer.address < content.address or buffer.address + buffer.size > end:
                raise ValueError("a column is outside of it")
        batch.validate(full=True)


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
    """Write batches to an Arrow file; write to a second file the offset at which each batch ends, and its checksum.

    Return the checksum of the second file.
    """
    ends = []
    with whole(path) as partial:
        with partial.open("wb") as sink, pa.ipc.new_file(sink, schema) as file:
            for batch in batches:
                file.write_batch(batch)
                ends.append(sink.tell())
        ends.append(partial.stat().st_size)  # The footer, which states where the batches are, comes last.
        with partial.open("rb") as opened:
            content = memoryview(mmap(opened.fileno(), 0, access=ACCESS_READ))
            sums = [zlib.crc32(content[begin:end]) for begin, end in pairwise([0, *ends])]
    save_array(sums_of(path), np.array([ends, sums]))
    return checksum_of(sums_of(path))


class MappedBatches:
    """The batches of a file of `write_batches`, mapped into memory; a batch's checksum is compared on each access.

    `file` is the Arrow file with the checksum that `write_batches` returned.
    """

    def __init__(self, file: OwnFile):
        self._file = file
        # A copy: a mapped array keeps its file open, and a process may have few open files.
        self._ends, self._sums = open_array(OwnFile(sums_of(file.path), file.checksum, file.remedy)).copy()
        with refusing(file):
            with pa.memory_map(str(file.path)) as opened:
                self._content = opened.read_buffer()
            self._require(len(self))
            self._reader = pa.ipc.open_file(pa.BufferReader(self._content))
        self.schema = self._reader.schema

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> pa.RecordBatch:
        with refusing(self._file):
            self._require(number)
            return self._reader.get_batch(number)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return map(self.__getitem__, range(len(self)))

    def _require(self, number: int) -> None:
        """Refuse the file if the checksum of batch `number` differs.

        The number `len(self)` stands for the bytes after the last batch.
        """
        begin, end = int(self._ends[number - 1]) if number else 0, int(self._ends[number])
        if zlib.crc32(memoryview(self._content)[begin:end]) != self._sums[number]:
            raise self._file.damaged("its checksum differs")


def sums_of(path: Path) -> Path:
    """Return the path of the second file of `write_batches`: the ends and checksums of the batches of `path`."""
    return path.with_suffix(".sums.npy")


def mapped_batch(batches: Iterable[pa.RecordBatch], schema: pa.Schema, work: Path) -> pa.RecordBatch:
    """Return the rows of all batches as one batch, mapped from files in `work`; memory holds one batch at a time.

    Columns must be numbers or large strings, without nulls.
    """
    paths = [_paths(work, number, field.type) for number, field in enumerate(schema)]
    rows = 0
    ends = np.zeros(len(schema), np.int64)
    with ExitStack() as stack:
        files = []
        for column_paths in paths:
            files.append([stack.enter_context(path.open("wb")) for path in column_paths])
        for column_files, field in zip(files, schema, strict=True):
            if pa.types.is_large_string(field.type):
                np.zeros(1, np.int64).tofile(column_files[0])
        for batch in batches:
            rows += batch.num_rows
            for number, column in enumerate(batch.columns):
                ends[number] += _append(column, files[number], int(ends[number]))
    columns = [
        pa.Array.from_buffers(field.type, rows, [None, *map(_buffer, column_paths)])
        for field, column_paths in zip(schema, paths, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _paths(work: Path, number: int, kind: pa.DataType) -> list[Path]:
    """Return the paths of the files that hold the column `number`."""
    parts = ("offsets", "data") if pa.types.is_large_string(kind) else ("data",)
    return [work / f"{number}.{part}" for part in parts]


def _append(column: pa.Array, files: Sequence[BinaryIO], end: int) -> int:
    """Append a column to its files (numbers have one, strings two); return the bytes of its strings, 0 for numbers.

    `end` is the number of bytes of the strings that the files hold already.
    """
    if not pa.types.is_large_string(column.type):
        column.to_numpy().tofile(files[0])
        return 0
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    (bounds[1:] - bounds[0] + end).tofile(files[0])
    size = int(bounds[-1] - bounds[0])
    if size:
        files[1].write(memoryview(data)[int(bounds[0]) : int(bounds[-1])])
    return size


def _buffer(path: Path) -> pa.Buffer:
    """Return the bytes of a file, mapped into memory; an empty file, which cannot be mapped, gives an empty buffer."""
    if not path.stat().st_size:
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()
