"""Find the samples of a WebDataset tar and the positions of their images, from headers and json members alone.

`tarfile` of the standard library gives the same answers and takes ten times as long; the tests compare the two.
"""

import mmap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import md5
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa

from curation.tars.damage import DamagedTar
from curation.tars.headers import Member, members
from runtime.errors import InputError

# One row per image of a tar, in the order of the tar. The image's bytes are tar[offset:offset + size].
SAMPLES = pa.schema(
    [
        pa.field("uid", pa.string()),  # null where no json states it
        pa.field("key", pa.string()),  # what the member names of a sample have in common
        pa.field("image", pa.string()),  # extension of the image: jpg
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64()),
    ]
)
# In the metadata of SAMPLES: what is wrong with a damaged tar; how many keys have no picture, and the first of them.
FAULT, WITHOUT, FIRST = b"fault", b"without", b"first"
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2")  # the first that a sample has
MOST_JSON, MOST_TEXT = 16 << 20, 1 << 16  # bytes that are read of a json and of a text
Identity = tuple[str | None, str | None]


def samples(path: Path) -> pa.RecordBatch:
    """Return the SAMPLES of one local tar."""
    return samples_in(_opened(path))


def samples_in(opened: AbstractContextManager[mmap.mmap]) -> pa.RecordBatch:
    """Return the SAMPLES of one tar; files without an image beside them are left out, and counted by `passed_over`.

    Of a damaged tar they are those before the damage, and `fault_of` says what is wrong with it.
    """
    rows: list[tuple] = []
    without: list[str] = []
    stated: dict[bytes, bytes] = {}
    try:
        with opened as data:
            for key, files in by_key(members(data)):
                if row := _sample(key, files, data):
                    rows.append(row)
                else:
                    without.append(readable(key))
    except DamagedTar as damage:
        stated[FAULT] = str(damage).encode()
    if without:
        stated |= {WITHOUT: b"%d" % len(without), FIRST: without[0].encode()}
    columns = list(zip(*rows, strict=True)) or [()] * len(SAMPLES)
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns, SAMPLES.types)), schema=SAMPLES.with_metadata(stated))


def fault_of(found: pa.RecordBatch) -> str | None:
    """Return the fault of the tar that these SAMPLES come from, None if it is whole."""
    fault = (found.schema.metadata or {}).get(FAULT)
    return None if fault is None else fault.decode()


def passed_over(found: pa.RecordBatch) -> tuple[int, str]:
    """Return how many keys of the tar of these SAMPLES have files but no picture, and the first of them."""
    stated = found.schema.metadata or {}
    return int(stated.get(WITHOUT, b"0")), stated.get(FIRST, b"").decode()


def texts(path: Path) -> list[bytes | None]:
    """Return the beginning of the `txt` of each of the samples of one tar, None where it has none."""
    found: list[bytes | None] = []
    with suppress(DamagedTar), _opened(path) as data:
        for _, files in by_key(members(data)):
            if image_of(files):
                text = files.get("txt")
                found.append(data[text.offset : text.offset + min(text.size, MOST_TEXT)] if text else None)
    return found


@contextmanager
def mapped(file: BinaryIO) -> Iterator[mmap.mmap]:
    """Map an opened tar into memory."""
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise DamagedTar("is empty; download it again or leave it out") from None
    with data:
        yield data


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    try:
        with path.open("rb") as file, mapped(file) as data:
            yield data
    except OSError as error:
        raise InputError(f"{path} cannot be read as a tar ({error}); download it again or leave it out") from None


def by_key(found: Iterator[Member]) -> Iterator[tuple[str, dict[str, Member]]]:
    """Yield each key with its members by extension; like webdataset, join only members that are neighbours."""
    named = ((*parted, member) for member in found if (parted := _parted(member.name)))
    for key, group in groupby(named, itemgetter(0)):
        yield key, {extension.lower(): member for _, extension, member in group}


def _parted(name: str) -> tuple[str, str] | None:
    r"""Return key and extension, cut where webdataset cuts: as `((?:.*/|)[^.]+)[.]([^/]*)` in linear time.

    >>> _parted("a.b/c.alt.txt"), _parted("a/.jpg"), _parted("a.jpg/b")
    (('a.b/c', 'alt.txt'), ('a/', 'jpg'), None)
    """
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    if not dot or not (stem or (slash and "." not in folder.rpartition("/")[2])):
        return None
    return folder + slash + stem, extension


def image_of(files: dict[str, Member]) -> str | None:
    """Return the extension of the image among the files of a key, or None."""
    return next((extension for extension in IMAGES if extension in files), None)


def identity(files: dict[str, Member], data: bytes | mmap.mmap) -> Identity:
    """Return the uid and the URL that a sample's json states, None each where it does not; a URL gives a uid."""
    json = files.get("json")
    if json is None or json.size > MOST_JSON:
        return None, None
    try:
        stated = orjson.loads(data[json.offset : json.offset + json.size])
    except ValueError:
        return None, None
    if not isinstance(stated, dict):
        return None, None
    url = stated.get("url") if isinstance(stated.get("url"), str) else None
    uid = stated.get("uid") or (md5(url.encode()).hexdigest() if url else None)
    return None if uid is None else str(uid), url


def readable(key: str) -> str:
    r"""Return a key as text: bytes of it that are no UTF-8 are shown by their numbers.

    >>> print(readable(b"a\xff".decode("utf-8", "surrogateescape")))
    a\xff
    """
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _sample(key: str, files: dict[str, Member], data: bytes | mmap.mmap) -> tuple | None:
    """Return a row of SAMPLES, or None without an image."""
    image = image_of(files)
    if image is None:
        return None
    uid, _ = identity(files, data)
    return uid, readable(key), image, files[image].offset, files[image].size
