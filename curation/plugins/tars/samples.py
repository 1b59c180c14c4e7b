"""Find tars and pictures at paths, map tars into memory, and find uid, URL, text and bytes of each image in a tar.

Tars come from img2dataset, or have WebDataset's format, in which the files of a sample share one key. A sample's uid is
the uid in its json, or else the MD5 of the URL in its json, or else NAME_OF_TAR/KEY. The uid of a picture in a folder
is its path relative to the folder that was named. Only headers and json members are read: `tarfile` of the standard
library gives the same results and takes ten times as long; the tests compare the two.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from io import BytesIO
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Generic, NamedTuple, TypeVar

import numpy as np
import orjson
import pyarrow as pa

from curation.plugins.tars.headers import DamagedTar, TarMember, regular_files
from runtime.argument_types import require_inputs
from runtime.errors import InputError
from runtime.folders.folder import Made
from runtime.folders.stamps import Input
from runtime.kernel_caches import scratch_folder
from runtime.progress import advance
from runtime.redaction import hidden
from runtime.storage import listing
from runtime.storage.listing import ListedFile, Version, each_once, name_of
from runtime.storage.parquet import part_writer
from runtime.tallies import TaskResult

if TYPE_CHECKING:
    from PIL import Image


TAR, PICTURE = "tar", "picture"
STATUS = "status"  # the name of the tally of rows by their status
ROW_GROUP = 50_000  # the rows of a row group in tables of hashes and scores

# One row per image of a tar, in the order of the tar. The image's bytes are tar[offset:offset + size].
SAMPLES = pa.schema(
    [
        pa.field("uid", pa.string()),  # The uid is null if no json states a uid or URL.
        pa.field("key", pa.string()),  # the common part of the names of a sample's files
        pa.field("image", pa.string()),  # the extension of the image, such as jpg
        pa.field("offset", pa.int64()),
        pa.field("size", pa.int64()),
    ]
)
# The schema metadata of SAMPLES state, by these names, the fault of a damaged tar, the number of keys without a
# picture, and the first such key.
FAULT, WITHOUT, FIRST = b"fault", b"without", b"first"
# The extensions of images. If a sample has several, the extension that comes first here is used.
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "jp2")
MOST_JSON = 16 << 20  # A json with more bytes is not read.
MOST_TEXT = 1 << 16  # No more bytes of a text are read.
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


def find(paths: Sequence[str | PathLike[str]]) -> list[Source]:
    """Return the tars and pictures at files, folders, globs and URLs, each once, sorted by path.

    InputError for a path without tars and pictures, or no paths.
    """
    require_inputs(paths)
    source_by_path = each_once(map(str, paths), _sources)
    return [source_by_path[path] for path in sorted(source_by_path)]


def read(source: Source, pass_over: Callable[[str], object] = lambda key: None) -> Iterator[Picture]:
    """Yield the pictures of a source; `pass_over` is called with each key of a tar that has files but no picture.

    DamagedTar at a tar's first damage; InputError if the source has changed since it was listed.
    """
    if source.format == PICTURE:
        with _listed(source).open() as file:
            data = file.read(MOST_BYTES + 1)
        yield Picture(source.uid or source.path, None, data if len(data) <= MOST_BYTES else None)
        return
    with opened_tar(source) as tar:
        for key, files in by_key(regular_files(tar)):
            if name := image_of(files):
                uid, url = identity(files, tar)
                content = files[name].content(tar) if files[name].size <= MOST_BYTES else None
                yield Picture(uid or readable_key(f"{Path(source.path).stem}/{key}"), url, content)
            else:
                pass_over(key)


def tars_at(locations: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Input]:
    """Return all tars at paths, globs and URLs, and directly in folders, each once, sorted by path.

    InputError if there is no tar.
    """
    paths = _several(locations)
    tar_by_path = {tar.path: tar for tar in chain.from_iterable(map(_tars_of, paths))}
    if not tar_by_path:
        raise InputError(
            f"there are no tars at {', '.join(map(hidden, paths)) or 'no path at all'}; pass paths, folders, globs or "
            "URLs"
        )
    return [tar_by_path[path] for path in sorted(tar_by_path)]


def local_tars_at(locations: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Input]:
    """Return all tars at local paths, folders and globs, as `tars_at` does; InputError for a URL."""
    paths = _several(locations)
    for path in paths:
        if "://" in path:
            raise InputError(f"{hidden(path)} is a URL; pass local tars, because images are read from their middle")
    return tars_at(paths)


def tar_name(tar: Input) -> str:
    """Return the file name of a tar, without folder and query.

    >>> tar_name(Input("s3://bucket/images/00001.tar", "tar", 0))
    '00001.tar'
    """
    return (tar.path.partition("?")[0] if "://" in tar.path else tar.path).rpartition("/")[2]


@contextmanager
def opened_tar(tar: Input) -> Iterator[mmap.mmap]:
    """Yield a tar mapped into memory; a tar at a URL is first copied to this machine.

    InputError if the tar has changed since it was listed; DamagedTar if it is empty.
    """
    with _local(_listed(tar)) as file, mapped(file) as data:
        yield data


def _several(locations: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[str]:
    return [str(locations)] if isinstance(locations, str | PathLike) else [*map(str, locations)]


def _tars_of(path: str) -> list[Input]:
    listed = listing.files_at(path, "tars: files, folders, globs or URLs", deep=False)
    files = listed.files
    if listed.folders:
        files = [file for file in files if name_of(file[0]).endswith(f".{TAR}")]
    return [
        Input(name, TAR, version.size or 0, version.modified, etag=version.etag, file_size=version.size)
        for name, version in files
    ]


def _listed(source: Input) -> ListedFile:
    return ListedFile(source.path, Version(source.file_size, source.modified, source.etag))


def _sources(path: str) -> list[Source]:
    listed = listing.files_at(path, "tars, pictures, a folder of them, a glob or a URL")
    sources = [_source(name, version, listed) for name, version in listed.files if _kind(name)]
    if not sources:
        raise InputError(f"{path} holds neither tars nor pictures ({', '.join(IMAGES)}); pass a folder that has some")
    return sources


def _source(name: str, version: Version, listed: listing.ListedFiles) -> Source:
    kind = _kind(name)
    size = version.size or 0
    uid = _below(name, listed) if kind == PICTURE else None
    return Source(name, kind, size, version.modified, etag=version.etag, file_size=version.size, uid=uid)


def _below(name: str, listed: listing.ListedFiles) -> str:
    """Return the path of a picture relative to the outermost listed folder that has it, or else its file name."""
    folders = [folder.rstrip("/") + "/" for folder in listed.folders]
    outer = min((folder for folder in folders if name.startswith(folder)), key=len, default="")
    return name.removeprefix(outer) if outer else name.rpartition("/")[2]


def _kind(name: str) -> str:
    ending = name_of(name).rpartition(".")[2]
    return TAR if ending == "tar" else PICTURE if ending in IMAGES else ""


@contextmanager
def _local(file: ListedFile) -> Iterator[BinaryIO]:
    """Open a file, and yield it; for a file at a URL, yield a temporary copy on this machine."""
    with file.open() as opened:
        if "://" not in file.path:
            yield opened
            return
        with TemporaryFile(dir=scratch_folder()) as copy:
            shutil.copyfileobj(opened, copy, 8 << 20)
            copy.flush()
            yield copy


def tar_rows(path: Path) -> pa.RecordBatch:
    """Return the rows of SAMPLES of one local tar; InputError if it cannot be opened. See `samples_in`."""
    return samples_in(_opened(path))


def samples_in(opened: AbstractContextManager[mmap.mmap]) -> pa.RecordBatch:
    """Return the rows of SAMPLES of one tar, given a context manager that maps it into memory.

    Keys with files but no image are left out; `passed_over` counts them. The rows of a damaged tar are the samples
    before the damage; `fault_of` returns its fault.
    """
    rows: list[tuple] = []
    without: list[str] = []
    stated: dict[bytes, bytes] = {}
    try:
        with opened as data:
            for key, files in by_key(regular_files(data)):
                if image := image_of(files):
                    uid, _ = identity(files, data)
                    rows.append((uid, readable_key(key), image, files[image].offset, files[image].size))
                else:
                    without.append(readable_key(key))
    except DamagedTar as damage:
        stated[FAULT] = str(damage).encode()
    if without:
        stated |= {WITHOUT: b"%d" % len(without), FIRST: without[0].encode()}
    columns = list(zip(*rows, strict=True)) or [()] * len(SAMPLES)
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns, SAMPLES.types)), schema=SAMPLES.with_metadata(stated))


def fault_of(rows: pa.RecordBatch) -> str | None:
    """Return the fault of the tar whose rows of SAMPLES are `rows`; None if the tar is undamaged."""
    fault = (rows.schema.metadata or {}).get(FAULT)
    return None if fault is None else fault.decode()


def passed_over(rows: pa.RecordBatch) -> tuple[int, str]:
    """Return how many keys of a tar have files but no picture, and the first such key, from its rows of SAMPLES."""
    stated = rows.schema.metadata or {}
    return int(stated.get(WITHOUT, b"0")), stated.get(FIRST, b"").decode()


def texts(path: Path) -> list[bytes | None]:
    """Return the first MOST_TEXT bytes of each sample's `txt` file in a local tar, None for a sample without one."""
    contents: list[bytes | None] = []
    with suppress(DamagedTar), _opened(path) as data:
        for _, files in by_key(regular_files(data)):
            if image_of(files):
                contents.append(files["txt"].content(data, MOST_TEXT) if "txt" in files else None)
    return contents


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


def by_key(tar_members: Iterator[TarMember]) -> Iterator[tuple[str, dict[str, TarMember]]]:
    """Yield each key with its members by lower-case extension; as in webdataset, only adjacent members are grouped."""
    for key, group in groupby(_with_keys(tar_members), lambda named: named[0]):
        yield key, {extension.lower(): member for _, extension, member in group}


def _with_keys(tar_members: Iterator[TarMember]) -> Iterator[tuple[str, str, TarMember]]:
    for member in tar_members:
        if parted := _parted(member.name):
            key, extension = parted
            yield key, extension, member


def _parted(name: str) -> tuple[str, str] | None:
    r"""Return the key and the extension of a member's name, or None if it has none, as webdataset splits names.

    The result is the same as with the pattern `((?:.*/|)[^.]+)[.]([^/]*)`, but takes linear time.

    >>> _parted("a.b/c.alt.txt"), _parted("a/.jpg"), _parted("a.jpg/b")
    (('a.b/c', 'alt.txt'), ('a/', 'jpg'), None)
    """
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    if not dot or not (stem or (slash and "." not in folder.rpartition("/")[2])):
        return None
    return folder + slash + stem, extension


def image_of(files: dict[str, TarMember]) -> str | None:
    """Return the extension of the image among the files of a key (members by extension), or None if there is none."""
    return next((extension for extension in IMAGES if extension in files), None)


def identity(files: dict[str, TarMember], data: bytes | mmap.mmap) -> Identity:
    """Return the uid and the URL in a sample's json, each None if missing; the uid may be the MD5 of the URL.

    `files` are the sample's members by extension, `data` the bytes of the tar.
    """
    json = files.get("json")
    if json is None or json.size > MOST_JSON:
        return None, None
    try:
        stated = orjson.loads(json.content(data))
    except ValueError:
        return None, None
    if not isinstance(stated, dict):
        return None, None
    url = stated.get("url") if isinstance(stated.get("url"), str) else None
    uid = stated.get("uid") or (md5(url.encode()).hexdigest() if url else None)
    return None if uid is None else str(uid), url


def readable_key(key: str) -> str:
    r"""Return a key as valid Unicode: bytes that are not UTF-8 become escapes such as \xff.

    >>> print(readable_key(b"a\xff".decode("utf-8", "surrogateescape")))
    a\xff
    """
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


OK = "ok"
NOT_AN_IMAGE, TRUNCATED, DAMAGED, TOO_LARGE = "not_an_image", "truncated", "damaged", "too_large"
MOST_PIXELS = 64_000_000  # A pixel takes 4 to 12 bytes while decoded. This is below the limit of Pillow's warning.
MOST_PIXELS_OF = {"WEBP": 40_000_000, "JPEG2000": 32_000_000}  # In these formats, a pixel takes 15 to 23 bytes.
MOST_SCANNED = 50 * MOST_PIXELS  # the most pixels of a JPEG times its scans, which take 2 to 13 s
LONGEST = 1000  # the largest ratio of the sides; above it, scaling to a square takes too much memory
MOST_BYTES = 256 << 20  # the most bytes of a picture's file
JPEGS = ("JPEG", "MPO")
# These are the formats of pictures on the web. Pillow has other decoders, which nobody fuzzes or which start programs.
FORMATS = (*JPEGS, "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
_SCAN = re.compile(
    rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)"
)  # This finds each scan by marker, length and components.

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Decoded(Generic[Seen]):
    """The result for one picture: `status` is OK, or the reason why it was not decoded.

    `seen` is the caller's result for the decoded picture (None unless OK); width and height are None if unknown.
    """

    status: str
    width: int | None = None
    height: int | None = None
    seen: Seen | None = None


def decoded(data: bytes, see: Callable[[Image.Image], Seen]) -> Decoded[Seen]:
    """Return the size and status of a picture, and `see(image)` if it can be decoded; `data` are its file's bytes.

    Call this within `strict_about_size`. A picture that cannot be decoded raises nothing.
    """
    from PIL import Image, UnidentifiedImageError

    size: tuple[int, int] | tuple[()] = ()
    try:
        with Image.open(BytesIO(data), formats=_formats()) as image:
            size = image.size
            if not _can_be_decoded(image, data):
                return Decoded(TOO_LARGE, *size)
            image.load()
            return Decoded(OK, *size, see(image))
    except UnidentifiedImageError:
        return Decoded(NOT_AN_IMAGE)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        return Decoded(TOO_LARGE, *size)
    except Exception as error:  # Decoders raise whatever a broken file leads them to.
        return Decoded(TRUNCATED if "truncated" in str(error).lower() else DAMAGED, *size)


def _can_be_decoded(image: Image.Image, data: bytes) -> bool:
    pixels = image.width * image.height
    most = MOST_PIXELS_OF.get(image.format or "", MOST_PIXELS)
    if pixels > most or max(image.size) > LONGEST * min(image.size):
        return False
    return image.format not in JPEGS or pixels * sum(1 for _ in _SCAN.finditer(data)) <= MOST_SCANNED


def flattened(image: Image.Image) -> Image.Image:
    """Return a picture on white instead of transparency, with 8 bits per channel."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 0xFFFF) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    coloured = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(coloured, mask=coloured.getchannel("A"))
    return white


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Return the formats in FORMATS that this Pillow can decode; silence console output of Pillow and its libtiff."""
    from PIL import Image

    Image.init()
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # Otherwise Pillow logs faults of files to the console.
    _silence_libtiff()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _silence_libtiff() -> None:
    """Stop the libtiff that Pillow may bring from writing a line to the console for each broken TIFF."""
    import PIL

    package = Path(PIL.__file__).parent
    for folder in (package.parent / "pillow.libs", package / ".dylibs"):  # These are the folders of Linux and of macOS.
        for library in folder.glob("libtiff*"):
            with suppress(OSError, AttributeError):
                loaded = ctypes.CDLL(str(library))
                loaded.TIFFSetErrorHandler(None)
                loaded.TIFFSetWarningHandler(None)


@contextmanager
def strict_about_size() -> Iterator[None]:
    """Turn Pillow's warning of a picture that is too large into an exception in the block; hide its other warnings."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def distinct_tars(locations: Sequence[str | Path]) -> list[Input]:
    """Return the tars at `locations`; InputError if two tars have the same name."""
    tars = tars_at(locations)
    stem, number = Counter(Path(tar_name(tar)).stem for tar in tars).most_common(1)[0]
    if number > 1:
        raise InputError(f"{number} tars are called {stem}.tar; pass the tars of a single download")
    return tars


def write_rows_of(made: Made, rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write `rows`, a row per image, as the Parquet file of a task; tally the rows by their column `status`."""
    path = made.path("", f"{made.name}.parquet")
    with part_writer(path, schema, ROW_GROUP) as writer:
        for batch in rows:
            for status, number in Counter(batch["status"].to_pylist()).items():
                made.result.add(STATUS, number, item=status)
            writer.write(batch)
            advance(rows=batch.num_rows)
    made.wrote("", path.name, writer.checksum)


def statuses(result: TaskResult) -> dict[str, int]:
    """Return the number of rows with each value of the column `status`, given the sum of the results of all tasks."""
    return {status: int(number) for status, number in result.by_item(STATUS).items()}
