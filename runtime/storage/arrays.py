"""Write NumPy arrays to .npy files and map them into memory again, checked by checksums."""

from pathlib import Path

import numpy as np

from runtime.errors import InputError
from runtime.storage.checked_json import content_of
from runtime.storage.own_files import OwnFile, checksum_of, compared
from runtime.storage.whole import whole, write_json

REMEDY = "build it again"


def save_array(path: Path, array: np.ndarray) -> Path:
    """Write one array as .npy, whole under its name; return the path for workers to map."""
    with whole(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return path


def open_array(path: Path) -> np.ndarray:
    """Return a saved array, mapped into memory, whose file was compared with its checksum."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def save_arrays(directory: Path, name: str, header: dict, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as .npy files and then `name`, a JSON file of the header with the checksums of all."""
    directory.mkdir(parents=True, exist_ok=True)
    checksums = {}
    for key, array in arrays.items():
        np.save(directory / f"{key}.npy", array, allow_pickle=False)
        checksums[key] = checksum_of(directory / f"{key}.npy")
    write_json(directory / name, header | {"arrays": checksums})


def open_arrays(directory: Path, name: str, version: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Return header and arrays, mapped into memory; a folder of another version or with other bytes is refused."""
    try:
        header = content_of((directory / name).read_bytes())
        if header.get("version") != version:
            raise InputError(
                f"{directory} holds version {header.get('version')}; this program reads {version}: {REMEDY}"
            )
        own = {key: OwnFile(directory / f"{key}.npy", str(each), REMEDY) for key, each in header["arrays"].items()}
        arrays = {key: open_array(compared(file)) for key, file in own.items()}
    except (OSError, ValueError, KeyError, AttributeError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{directory} holds no readable {name} with its arrays ({error}): {REMEDY}") from None
    return header, arrays
