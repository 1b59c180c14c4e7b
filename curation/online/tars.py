"""Find the samples of a WebDataset tar and where their images begin, from the headers and the json members alone.

`tarfile` of the standard library gives the same answers and takes ten times as long; the tests compare the two.
"""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa

from runtime.errors import InputError

# One row per image of a tar, in the order of the tar. The image's bytes are tar[offset:offset + size].
SAMPLES = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("key", pa.string()),  # what the member names of a sample have in common
        pa.field("image", pa.string()),  # extension of the image: jpg
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64()),
    ]
)
IMAGES = ("jpg", "jpeg", "png", "webp")
TAR_BLOCK = 512  # bytes: tar pads headers and files to whole blocks
_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)  # key and extension, cut where webdataset cuts
_PAX_PATH = re.compile(rb"\d+ path=([^\n]*)\n")
_FILE = (b"0", b"\0")


class Member(NamedTuple):
    """One file of a tar, its bytes at tar[offset:offset + size]."""

    name: str
    offset: int
    size: int


def samples(path: Path) -> pa.RecordBatch:
    """Return the SAMPLES of one tar; files without an image beside them are left out."""
    with _mapped(path) as data:
        rows = [row for key, files in by_key(members(data)) if (row := _sample(key, files, data))]
    columns = list(zip(*rows, strict=True)) or [()] * len(SAMPLES)
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns, SAMPLES.types)), schema=SAMPLES)


def texts(path: Path) -> list[bytes | None]:
    """Return the `txt` of each of the samples of one tar, None where it has none."""
    with _mapped(path) as data:
        found = [files.get("txt") for _, files in by_key(members(data)) if image_of(files)]
        return [data[text.offset : text.offset + text.size] if text else None for text in found]


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """Map a tar into memory; what is wrong with it is said with its path."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise InputError(f"{path} cannot be read as a tar ({error}); download it again or leave it out") from None


def members(data: bytes | mmap.mmap) -> Iterator[Member]:
    """Yield the files of a tar, given as its bytes."""
    position, long_name = 0, None
    while position < len(data) and data[position]:  # a block of zeros ends a tar
        header = data[position : position + TAR_BLOCK]
        if header[257:262] != b"ustar":
            raise InputError("is no uncompressed tar; give tars as img2dataset writes them")
        kind, size, offset = header[156:157], _number(header[124:136]), position + TAR_BLOCK
        position = offset + -(-size // TAR_BLOCK) * TAR_BLOCK
        if offset + size > len(data):
            raise InputError(f"is cut: it ends inside of {_name(header)!r}; download it again or leave it out")
        if kind in _FILE:
            yield Member(long_name or _name(header), offset, size)
        # A long name has a header of its own, before that of its member.
        long_name = _long_name(kind, data[offset : offset + size]) if kind in (b"x", b"L") else None


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's form of sizes from 8 GiB on
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.rstrip(b"\0 ") or b"0", 8)
    except ValueError:
        raise InputError(f"has a damaged header (size {field!r}); download it again or leave it out") from None


def _name(header: bytes) -> str:
    name, prefix = header[:100].rstrip(b"\0"), header[345:500].rstrip(b"\0")
    path = prefix + b"/" + name if prefix and header[262:263] == b"\0" else name  # GNU has no prefix
    return path.decode("utf-8", "surrogateescape")


def _long_name(kind: bytes, content: bytes) -> str | None:
    if kind == b"L":
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
    path = _PAX_PATH.search(content)
    return path[1].decode("utf-8", "surrogateescape") if path else None


def by_key(found: Iterator[Member]) -> Iterator[tuple[str, dict[str, Member]]]:
    """Yield each key with its members by extension; like webdataset, join only members that are neighbours."""
    named = ((match[1], match[2].lower(), member) for member in found if (match := _NAME.fullmatch(member.name)))
    for key, group in groupby(named, itemgetter(0)):
        yield key, {extension: member for _, extension, member in group}


def image_of(files: dict[str, Member]) -> str | None:
    """Return the extension of the image among the files of a key, or None."""
    return next((extension for extension in IMAGES if extension in files), None)


def _sample(key: str, files: dict[str, Member], data: bytes | mmap.mmap) -> tuple | None:
    """Return a row of SAMPLES, or None without an image."""
    image = image_of(files)
    if image is None:
        return None
    if "json" not in files:
        raise InputError(f"has no {key}.json beside the image, so no uid; give tars as img2dataset writes them")
    _, offset, size = files["json"]
    return _uid(key, data[offset : offset + size]), key, image, files[image].offset, files[image].size


def _uid(key: str, content: bytes) -> str:
    """Return the uid that a sample's json states, or else that of its URL."""
    try:
        stated = orjson.loads(content)
        return str(stated["uid"]) if stated.get("uid") else md5(stated["url"].encode()).hexdigest()
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"states in {key}.json neither uid nor url ({error!r}); download with --save_additional_columns '[\"uid\"]'"
        ) from None
