"""Between Arrow and NumPy: the buffers of strings, list arrays from ids, folders of arrays that are memory-mapped."""

import json
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib as zlib  # its checksums take a tenth of the time

from runtime.errors import InputError
from runtime.storage.paths import whole


def string_array(values, what: str) -> pa.Array:
    """Return strings, given as a sequence or an Arrow array, as one array of type large_string.

    `what` names them in the sentence that refuses anything else; nulls pass.
    """
    if isinstance(values, str | bytes):
        raise InputError(f"{what} must be a sequence of strings; got one, {values[:40]!r}: put it into a list")
    try:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if not isinstance(values, pa.Array):
            values = pa.array(values, pa.large_string())
    except (pa.ArrowInvalid, TypeError, UnicodeEncodeError) as error:
        raise InputError(f"{what} must be strings of valid Unicode; {error}") from None
    if not (pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        if not (pa.types.is_string(values.type) or pa.types.is_string_view(values.type)):
            raise InputError(f"{what} must be strings; got an array of {values.type}: cast it first")
    return values.cast(pa.large_string())


def string_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets (int64) and UTF-8 bytes (uint8) of a string array; a null reads as an empty string."""
    array = array.cast(pa.large_string())
    if array.null_count:
        array = array.fill_null("")
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, array.offset * 8)
    return ends, np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; without a copy where it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def list_array(offsets: np.ndarray, ids: np.ndarray, like: pa.Array) -> pa.Array:
    """Return list<int32> with ids[offsets[k]:offsets[k + 1]] in row k, null where `like` is null."""
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(f"{offsets[-1]:,} matches in one batch are too many for one Arrow array: pass smaller batches")
    mask = pc.is_null(like) if like.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids, pa.int32()), mask=mask)


def save_array(path: Path, array: np.ndarray) -> Path:
    """Write one array as .npy, whole under its name; return the path for workers to map."""
    with whole(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return path


def save_arrays(directory: Path, name: str, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as .npy files and then `name`, a JSON file of the header with the checksums of all."""
    directory.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for key, array in arrays.items():
        np.save(directory / f"{key}.npy", array, allow_pickle=False)
        checksums[key] = _checksum_of(directory / f"{key}.npy")
    header = header | {"arrays": checksums}
    partial = directory / f"{name}.partial"
    partial.write_text(json.dumps(header | {"checksum": _checksum(header)}, indent=1), encoding="utf-8")
    partial.replace(directory / name)


def open_arrays(directory: Path, name: str, version: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Return header and arrays, mapped into memory; a folder of another version or with other bytes is refused."""
    try:
        header = json.loads((directory / name).read_text(encoding="utf-8"))
        if header.get("version") != version:
            raise InputError(
                f"{directory} holds version {header.get('version')}; this program reads {version}: build it again"
            )
        if header.pop("checksum") != _checksum(header):
            raise InputError(f"{directory / name} is damaged (its checksum differs): build it again")
        arrays = {key: _mapped(directory / f"{key}.npy", checksum) for key, checksum in header["arrays"].items()}
    except (OSError, ValueError, KeyError, AttributeError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{directory} holds no readable {name} with its arrays ({error}): build it again") from None
    return header, arrays


def _mapped(path: Path, checksum: int) -> np.ndarray:
    """Return a saved array; nothing in its file is believed before the checksum of all of it."""
    if _checksum_of(path) != checksum:
        raise InputError(f"{path} is damaged (its checksum differs): build it again")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _checksum_of(path: Path) -> int:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return zlib.crc32(content)


def _checksum(header: dict) -> int:
    return zlib.crc32(json.dumps(header, sort_keys=True).encode())
