"""Refuse an output folder that overlaps an input."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from glob import has_magic
from os import PathLike

from runtime.errors import InputError
from runtime.redaction import hidden

WRITTEN = ("00000.parquet", "00000.tar", "run.json")
ANY_DEPTH = "**"
SAME_SYSTEM = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "wasbs": "wasb"}
Real = Callable[[str], str]


def require_apart(
    output: str | PathLike[str], inputs: Iterable[str | PathLike[str]], except_in: Sequence[str] = ()
) -> None:
    """Raise an InputError if the output folder or URL is in an input folder or glob, or if an input is in the output.

    Otherwise a later run could read, or remove, files that it should not. Symbolic links are followed. An input glob is
    refused if it matches the output folder, or names of files that the run writes into it (WRITTEN).

    `except_in` names folders in `output` in which inputs may be.
    """
    real = cache(os.path.realpath)
    to, output_names = hidden(str(output)), _Names.of(str(output), real, has_wildcards=False).fixed
    for path in dict.fromkeys(map(str, inputs)):
        names = _Names.of(path, real)
        if names.fixed[: len(output_names)] == output_names:  # The input is the output folder, or is in it.
            below = (names.fixed + names.pattern)[len(output_names) :]
            if not below or below[0] not in except_in:
                where = "is in" if below else "is"
                raise InputError(f"input {hidden(path)} {where} the output folder {to}; specify another output folder")
        elif names.match_in(output_names):
            raise InputError(
                f"output {to} is in the input {hidden(path)}, so a later run would read the output of this run; "
                "specify an output folder outside of the input"
            )


@dataclass(frozen=True)
class _Names:
    """The names in a path: `fixed` has the file system and the names before the first wildcard, `pattern` the rest."""

    fixed: list[str]
    pattern: list[str]

    @classmethod
    def of(cls, path: str, real: Real, has_wildcards: bool = True) -> _Names:
        """Return the names in a path or URL; `real` resolves symbolic links of local paths.

        A local path that exists is taken literally: its names have no wildcards.
        """
        link = (
            hidden(path).rpartition("::")[2] if "://" in path else path
        )  # in zip://a::s3://b/c.zip it is s3://b/c.zip
        system, mark, rest = link.partition("://")
        if mark and system != "file":
            names = [name for name in rest.split("/") if name]
            first = _first_wildcard(names) if has_wildcards else len(names)
            return cls([SAME_SYSTEM.get(system, system), *names[:first]], names[first:])
        local = os.path.abspath(os.path.expanduser(rest if mark else link))
        names = local.split("/")
        first = _first_wildcard(names) if has_wildcards and not os.path.lexists(local) else len(names)
        return cls(["file", *_followed("/".join(names[:first]) or "/", real)], names[first:])

    def match_in(self, folder: list[str]) -> bool:
        """Say whether this path or glob contains `folder` (names of a path), or may match files of a run in it."""
        if folder[: len(self.fixed)] != self.fixed:
            return False
        rest, pattern = folder[len(self.fixed) :], self.pattern
        if ANY_DEPTH in pattern:
            depth = pattern.index(ANY_DEPTH)
            return _match(pattern[:depth], rest) and any(fnmatchcase(name, pattern[-1]) for name in (*rest, *WRITTEN))
        is_below = len(pattern) > len(rest)
        return _match(pattern, rest) and (not is_below or any(fnmatchcase(name, pattern[-1]) for name in WRITTEN))


def _first_wildcard(names: list[str]) -> int:
    return next((number for number, name in enumerate(names) if has_magic(name)), len(names))


def _match(pattern: list[str], names: list[str]) -> bool:
    return all(fnmatchcase(name, part) for name, part in zip(names, pattern, strict=False))


def _followed(path: str, real: Real) -> list[str]:
    """Return the names in a path after `real` has resolved its symbolic links; `real` caches resolved folders."""
    folder, name = os.path.split(path)
    followed = real(path) if os.path.islink(path) or not name else os.path.join(real(folder), name)
    return [part for part in followed.split("/") if part]
