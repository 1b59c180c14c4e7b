"""Claim an output folder for one run; refuse one that is not writable, or that contains an input or is inside one.

Otherwise a later run could read, or remove, files that are not its own. Symbolic links are followed. An input glob is
refused if it matches the folder, or matches names such as the run writes into it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from glob import has_magic
from os import PathLike
from pathlib import Path

from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.locks import Owner, owned
from runtime.storage.paths import as_path, is_url, reachable
from runtime.storage.whole import Parts

READ_ONLY = ("http", "https", "memory", "data")  # the last two are not what other processes see
WRITTEN = ("00000.parquet", "00000.tar", "run.json")
ANY_DEPTH = "**"
SAME_SYSTEM = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "wasbs": "wasb"}
Real = Callable[[str], str]


@contextmanager
def usable(output: str | PathLike[str]) -> Iterator[Path]:
    """Return the path of an output folder; refuse a file, and a URL at which nothing can be written."""
    path = as_path(output)
    if is_url(path):
        if path.protocol in READ_ONLY or not path.path.strip("/"):
            raise InputError(
                f"output {path} cannot be written to; give a local folder, or one such as s3://bucket/name"
            )
    elif os.path.exists(path) and not path.is_dir():
        raise InputError(f"output {path} is a file; give a folder")
    try:
        with reachable(path):
            yield path
    except FileNotFoundError as error:
        if not is_url(path):
            raise
        raise InputError(f"output {path} cannot be made ({error}); make the bucket first") from error


@dataclass(frozen=True)
class Claimed(Parts):
    """The parts of a folder that one run has claimed."""

    owner: Owner


@contextmanager
def claimed(output: str | PathLike[str], require: Callable[[Path], object], wait: bool = False) -> Iterator[Claimed]:
    """Claim an output folder for this run alone; `require` refuses one that holds something else.

    Where another run has a local folder, that is refused, or waited for.
    """
    with usable(output) as folder:
        require(folder)  # before anything of ours is in it
        with owned(folder, wait) as owner:
            require(folder)
            yield Claimed(folder, owner.work, owner)


def require_apart(
    output: str | PathLike[str], inputs: Iterable[str | PathLike[str]], except_in: Sequence[str] = ()
) -> None:
    """Refuse an output folder or URL that is in an input folder or glob, or that an input is in.

    `except_in` names folders in `output` in which inputs may be.
    """
    real = cache(os.path.realpath)
    to, own = hidden(str(output)), _Names.of(str(output), real, has_wildcards=False).fixed
    for path in dict.fromkeys(map(str, inputs)):
        names = _Names.of(path, real)
        if names.begin_with(own):
            below = (names.fixed + names.pattern)[len(own) :]
            if not below or below[0] not in except_in:
                where = "is in" if below else "is"
                raise InputError(f"input {hidden(path)} {where} the output folder {to}; give another output folder")
        elif names.match_in(own):
            raise InputError(
                f"output {to} is in the input {hidden(path)}, and a later run would read what this one writes; give "
                "an output folder that is not in it"
            )


@dataclass(frozen=True)
class _Names:
    """The file system, folders and file that a path names: those it states, and from its first wildcard on patterns."""

    fixed: list[str]
    pattern: list[str]

    @classmethod
    def of(cls, path: str, real: Real, has_wildcards: bool = True) -> _Names:
        """Return the names of a path or URL; a local one that exists has no wildcards."""
        link = hidden(path).rpartition("::")[2] if "://" in path else path  # of zip://member::s3://bucket/archive.zip
        system, mark, rest = link.partition("://")
        if mark and system != "file":
            names = [name for name in rest.split("/") if name]
            first = _first_wildcard(names) if has_wildcards else len(names)
            return cls([SAME_SYSTEM.get(system, system), *names[:first]], names[first:])
        local = os.path.abspath(os.path.expanduser(rest if mark else link))
        names = local.split("/")
        first = _first_wildcard(names) if has_wildcards and not os.path.lexists(local) else len(names)
        return cls(["file", *_followed("/".join(names[:first]) or "/", real)], names[first:])

    def begin_with(self, own: list[str]) -> bool:
        """Say whether what is named is a folder or in it."""
        return self.fixed[: len(own)] == own

    def match_in(self, own: list[str]) -> bool:
        """Say whether what is named holds a folder, or may match what is written there."""
        if own[: len(self.fixed)] != self.fixed:
            return False
        rest, pattern = own[len(self.fixed) :], self.pattern
        if ANY_DEPTH in pattern:
            depth = pattern.index(ANY_DEPTH)
            return _match(pattern[:depth], rest) and any(fnmatchcase(name, pattern[-1]) for name in (*rest, *WRITTEN))
        is_below = len(pattern) > len(rest)
        return _match(pattern, rest) and (not is_below or any(fnmatchcase(name, pattern[-1]) for name in WRITTEN))


def _first_wildcard(names: list[str]) -> int:
    return next((number for number, name in enumerate(names) if has_magic(name)), len(names))


def _match(pattern: list[str], names: list[str]) -> bool:
    return all(fnmatchcase(name, each) for name, each in zip(names, pattern, strict=False))


def _followed(path: str, real: Real) -> list[str]:
    """Return the folders and the name of a path behind all symbolic links; those of many files are looked up once."""
    folder, name = os.path.split(path)
    followed = real(path) if os.path.islink(path) or not name else os.path.join(real(folder), name)
    return [each for each in followed.split("/") if each]
