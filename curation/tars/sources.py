"""Find the tars and pictures that paths name, map tars into memory, and read uid, URL and bytes of each picture.

Tars are img2dataset's, or any in WebDataset's form, in which the files of a sample share one key. A sample's uid is the
one in its json, else the MD5 of the URL in its json, else NAME_OF_TAR/KEY. The uid of a picture in a folder is its path
relative to the folder that was named.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

from curation.inputs.files import Input
from curation.tars.headers import Member, members
from curation.tars.pictures import MOST_BYTES
from curation.tars.samples import IMAGES, by_key, identity, image_of, mapped, readable
from runtime.caches import cache_folder
from runtime.errors import InputError, require_several
from runtime.redaction import hidden
from runtime.storage import listing
from runtime.storage.listing import ListedFile, name_of
from runtime.storage.versions import Version

TAR, PICTURE = "tar", "picture"


@dataclass(frozen=True)
class Source(Input):
    """A tar, or a picture with its uid."""

    uid: str | None = None


class Picture(NamedTuple):
    """A picture's file; `data` is None where it is larger than is read."""

    uid: str
    url: str | None
    data: bytes | None


def find(paths: Iterable[str | PathLike[str]]) -> list[Source]:
    """Return the tars and pictures that files, folders, globs and URLs name, by path; refuse what names none."""
    require_several("inputs", paths)
    found = {source.path: source for path in paths for source in _found(str(path))}
    if not found:
        raise InputError("no input was given; give img2dataset's output folder, tars, or a folder of pictures")
    return [found[path] for path in sorted(found)]


def read(source: Source, pass_over: Callable[[str], object] = lambda key: None) -> Iterator[Picture]:
    """Yield the pictures of a source; `pass_over` is called with each key of a tar that has files but no picture.

    DamagedTar where a tar's damage begins, InputError if the source has changed.
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
    """Return all tars that paths, folders, globs and URLs name, by path and each once; of folders those directly in it.

    InputError where there is none.
    """
    paths = _several(given)
    found = {tar.path: tar for path in paths for tar in _tars_of(path)}
    if not found:
        raise InputError(
            f"no tars at {', '.join(map(hidden, paths)) or 'no path at all'}; give paths, folders, globs or URLs"
        )
    return [found[path] for path in sorted(found)]


def local_tars_at(given: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Input]:
    """Return all tars that paths, folders and globs name; a URL is refused."""
    paths = _several(given)
    for path in paths:
        if "://" in path:
            raise InputError(f"tars are at {hidden(path)}; give local files: images are read from the middle of them")
    return tars_at(paths)


def tar_name(tar: Input) -> str:
    """Return the name of a tar's file.

    >>> tar_name(Input("s3://bucket/images/00001.tar", "tar", 0))
    '00001.tar'
    """
    return (tar.path.partition("?")[0] if "://" in tar.path else tar.path).rpartition("/")[2]


@contextmanager
def opened(tar: Input) -> Iterator[mmap.mmap]:
    """Map a tar into memory; one at a URL is copied to this machine first. InputError if it has changed."""
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
    """Return the path of a picture below the folder that was listed, or its name."""
    folders = [folder.rstrip("/") + "/" for folder in found.folders]
    outer = min((folder for folder in folders if name.startswith(folder)), key=len, default="")
    return name.removeprefix(outer) if outer else name.rpartition("/")[2]


def _kind(name: str) -> str:
    ending = name_of(name).rpartition(".")[2]
    return TAR if ending == "tar" else PICTURE if ending in IMAGES else ""


@contextmanager
def _local(file: ListedFile) -> Iterator[BinaryIO]:
    """Open a file, one at a URL as a copy on a disk of this machine."""
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
