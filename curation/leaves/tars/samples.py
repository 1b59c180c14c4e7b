"""Find tars and pictures at paths, map tars into memory, and find uid, URL, text and bytes of each image in a tar.

Tars are img2dataset's, or others in WebDataset's form, in which the files of a sample share one key. A sample's uid is
the one in its json, else the MD5 of the URL in its json, else NAME_OF_TAR/KEY. The uid of a picture in a folder is its
path relative to the folder that was named. Only headers and json members are read: `tarfile` of the standard library
gives the same results and takes ten times as long; the tests compare the two.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import md5
from itertools import groupby
from operator import itemgetter
from os import PathLike
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

import orjson
import pyarrow as pa

from curation.inputs.files import Input
from curation.leaves.tars.headers import DamagedTar, Member, members
from curation.leaves.tars.pictures import MOST_BYTES
from runtime.errors import InputError, require_several
from runtime.kernel_caches import cache_folder
from runtime.redaction import hidden
from runtime.storage import listing
from runtime.storage.listing import ListedFile, Version, name_of

TAR, PICTURE = "tar", "picture"

# One row per image of a tar, in the order of the tar. The image's bytes are tar[offset:offset + size].
SAMPLES = pa.schema(
    [
        pa.field("uid", pa.string()),  # null if no json states a uid or URL
        pa.field("key", pa.string()),  # the common part of the names of a sample's files
        pa.field("image", pa.string()),  # extension of the image: jpg
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64()),
    ]
)
# Names in the schema metadata of SAMPLES: the fault of a damaged tar; the number of keys without a picture; the first.
FAULT, WITHOUT, FIRST = b"fault", b"without", b"first"
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2")  # the first in a sample counts
MOST_JSON, MOST_TEXT = 16 << 20, 1 << 16  # the most bytes of a json that is read, and the bytes read of a text
Identity = tuple[str | None, str | None]


@dataclass(frozen=True)
class Source(Input):
    """An input file: a tar (`uid` is None), or a picture in a folder with its uid."""

    uid: str | None = None


class Picture(NamedTuple):
    """A picture: uid, URL if known, and the bytes of its file; `data` is None if these are more than MOST_BYTES."""

    uid: str
    url: str | None
    data: bytes | None


def find(paths: Iterable[str | PathLike[str]]) -> list[Source]:
    """Return the tars and pictures at files, folders, globs and URLs, each once, sorted by path.

    InputError for a path without tars and pictures, or no paths.
    """
    require_several("inputs", paths)
    found = {source.path: source for path in paths for source in _found(str(path))}
    if not found:
        raise InputError("no input was given; give img2dataset's output folder, tars, or a folder of pictures")
    return [found[path] for path in sorted(found)]


def read(source: Source, pass_over: Callable[[str], object] = lambda key: None) -> Iterator[Picture]:
    """Yield the pictures of a source; `pass_over` is called with each key of a tar that has files but no picture.

    DamagedTar at a tar's first damage; InputError if the source has changed since it was listed.
    """
    if source.format == PICTURE:
        with _listed(source).open() as file:
            data = file.read(MOST_BYTES + 1)
        yield Picture(source.uid or source.path, None, data if len(data) <= MOST_BYTES else None)
        return
    with opened(source) as tar:
        for key, files in by_key(members(tar)):
            name = image_of(files)
            if name is None:
                pass_over(key)
            else:
                yield _picture(Path(source.path).stem, key, files, files[name], tar)


def tars_at(given: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Input]:
    """Return all tars at paths, globs and URLs, and directly in folders, each once, sorted by path.

    InputError if there is no tar.
    """
    paths = _several(given)
    found = {tar.path: tar for path in paths for tar in _tars_of(path)}
    if not found:
        raise InputError(
            f"no tars at {', '.join(map(hidden, paths)) or 'no path at all'}; give paths, folders, globs or URLs"
        )
    return [found[path] for path in sorted(found)]


def local_tars_at(given: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Input]:
    """Return all tars at local paths, folders and globs, as `tars_at` does; InputError for a URL."""
    paths = _several(given)
    for path in paths:
        if "://" in path:
            raise InputError(f"tars are at {hidden(path)}; give local files: images are read from the middle of them")
    return tars_at(paths)


def tar_name(tar: Input) -> str:
    """Return the file name of a tar, without folder and query.

    >>> tar_name(Input("s3://bucket/images/00001.tar", "tar", 0))
    '00001.tar'
    """
    return (tar.path.partition("?")[0] if "://" in tar.path else tar.path).rpartition("/")[2]


@contextmanager
def opened(tar: Input) -> Iterator[mmap.mmap]:
    """Yield a tar mapped into memory; a tar at a URL is first copied to this machine.

    InputError if the tar has changed since it was listed; DamagedTar if it is empty.
    """
    with _local(_listed(tar)) as file, mapped(file) as data:
        yield data


def _several(given: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[str]:
    return [str(given)] if isinstance(given, str | PathLike) else [*map(str, given)]


def _tars_of(path: str) -> list[Input]:
    with listing.looking_up(path):
        found = listing.expand(path, deep=False)
    files = found.files if found else []
    if found and found.folders:
        files = [file for file in files if name_of(file[0]).endswith(f".{TAR}")]
    return [
        Input(name, TAR, version.size or 0, version.modified, etag=version.etag, file_size=version.size)
        for name, version in files
    ]


def _listed(source: Input) -> ListedFile:
    return ListedFile(source.path, Version(source.file_size, source.modified, source.etag))


def _found(path: str) -> list[Source]:
    with listing.looking_up(path):
        found = listing.expand(path)
    if found is None:
        raise InputError(f"{path} does not exist; give tars, pictures, a folder of them, a glob or a URL")
    known = [_source(name, version, path, found) for name, version in found.files if _kind(name)]
    if not known:
        raise InputError(f"{path} holds neither tars nor pictures ({', '.join(IMAGES)}); give img2dataset's output")
    return known


def _source(name: str, version: Version, path: str, found: listing.Found) -> Source:
    kind, size = _kind(name), version.size or 0
    uid = _below(name, found) if kind == PICTURE else None
    return Source(name, kind, size, version.modified, etag=version.etag, file_size=version.size, uid=uid)


def _below(name: str, found: listing.Found) -> str:
    """Return the path of a picture relative to the listed folder, or else its file name."""
    folders = [folder.rstrip("/") + "/" for folder in found.folders]
    outer = min((folder for folder in folders if name.startswith(folder)), key=len, default="")
    return name.removeprefix(outer) if outer else name.rpartition("/")[2]


def _kind(name: str) -> str:
    ending = name_of(name).rpartition(".")[2]
    return TAR if ending == "tar" else PICTURE if ending in IMAGES else ""


@contextmanager
def _local(file: ListedFile) -> Iterator[BinaryIO]:
    """Yield an opened file; of a file at a URL, a temporary copy on this machine."""
    with file.open() as opened:
        if "://" not in file.path:
            yield opened
            return
        with TemporaryFile(dir=cache_folder()) as copy:
            shutil.copyfileobj(opened, copy, 8 << 20)
            copy.flush()
            yield copy


def _picture(tar: str, key: str, files: dict[str, Member], image: Member, data: mmap.mmap) -> Picture:
    uid, url = identity(files, data)
    content = data[image.offset : image.offset + image.size] if image.size <= MOST_BYTES else None
    return Picture(uid or readable(f"{tar}/{key}"), url, content)


def samples(path: Path) -> pa.RecordBatch:
    """Return the rows of SAMPLES of one local tar; InputError if it cannot be opened. See `samples_in`."""
    return samples_in(_opened(path))


def samples_in(opened: AbstractContextManager[mmap.mmap]) -> pa.RecordBatch:
    """Return the rows of SAMPLES of one tar, given a context manager that maps it into memory.

    Keys with files but no image are left out; `passed_over` counts them. Of a damaged tar the rows are the samples
    before the damage; `fault_of` returns its fault.
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
    """Return the fault of the tar from which these rows of SAMPLES are, or None if the tar is whole."""
    fault = (found.schema.metadata or {}).get(FAULT)
    return None if fault is None else fault.decode()


def passed_over(found: pa.RecordBatch) -> tuple[int, str]:
    """Return how many keys of the tar of these rows of SAMPLES have files but no picture, and the first such key."""
    stated = found.schema.metadata or {}
    return int(stated.get(WITHOUT, b"0")), stated.get(FIRST, b"").decode()


def texts(path: Path) -> list[bytes | None]:
    """Return the first MOST_TEXT bytes of the `txt` file of each sample of a local tar, None for a sample without."""
    found: list[bytes | None] = []
    with suppress(DamagedTar), _opened(path) as data:
        for _, files in by_key(members(data)):
            if image_of(files):
                text = files.get("txt")
                found.append(data[text.offset : text.offset + min(text.size, MOST_TEXT)] if text else None)
    return found


@contextmanager
def mapped(file: BinaryIO) -> Iterator[mmap.mmap]:
    """Yield an opened tar mapped into memory; DamagedTar if it is empty."""
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
    """Yield each key with its members by lower-case extension; as in webdataset, only adjacent members are grouped."""
    named = ((*parted, member) for member in found if (parted := _parted(member.name)))
    for key, group in groupby(named, itemgetter(0)):
        yield key, {extension.lower(): member for _, extension, member in group}


def _parted(name: str) -> tuple[str, str] | None:
    r"""Return the key and the extension of a member's name, or None if it has none, as webdataset splits names.

    The split is that of the pattern `((?:.*/|)[^.]+)[.]([^/]*)`, but in linear time.

    >>> _parted("a.b/c.alt.txt"), _parted("a/.jpg"), _parted("a.jpg/b")
    (('a.b/c', 'alt.txt'), ('a/', 'jpg'), None)
    """
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    if not dot or not (stem or (slash and "." not in folder.rpartition("/")[2])):
        return None
    return folder + slash + stem, extension


def image_of(files: dict[str, Member]) -> str | None:
    """Return the extension of the image among the files of a key (members by extension), or None if there is none."""
    return next((extension for extension in IMAGES if extension in files), None)


def identity(files: dict[str, Member], data: bytes | mmap.mmap) -> Identity:
    """Return the uid and the URL in a sample's json, each None if missing; the uid may be the MD5 of the URL.

    `files` are the sample's members by extension, `data` the bytes of the tar.
    """
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
    r"""Return a key as valid Unicode: bytes that are not UTF-8 become escapes such as \xff.

    >>> print(readable(b"a\xff".decode("utf-8", "surrogateescape")))
    a\xff
    """
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _sample(key: str, files: dict[str, Member], data: bytes | mmap.mmap) -> tuple | None:
    """Return a row of SAMPLES for the files of one key, or None if there is no image."""
    image = image_of(files)
    if image is None:
        return None
    uid, _ = identity(files, data)
    return uid, readable(key), image, files[image].offset, files[image].size
