"""Refuse the data files of Delta, Iceberg and Hudi tables: they also hold deleted and replaced rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from runtime.errors import InputError
from runtime.storage.listing import Found, names_in

# Of each kind of table: the folder in it that makes it one, and the names of files in that.
MARKS = {
    "Delta": ("_delta_log", r"[^/]+"),
    "Iceberg": ("metadata", r"(v\d+|\d+-[0-9a-f-]{36})(\.gz)?\.metadata\.json(\.gz)?"),
    "Hudi": (".hoodie", r"hoodie\.properties"),
}
_PATTERNS = {kind: re.compile(f"(?P<table>.+)/{re.escape(folder)}/{name}") for kind, (folder, name) in MARKS.items()}
KindOf = Callable[[str], str | None]  # the kind of table that a folder is
_WITHOUT_FOLDERS = ("http://", "https://")  # a server may answer anything for a folder that it does not have


def require_no_table(found: Found, kind_of: KindOf) -> None:
    """Refuse files in a table, whether files, a glob, a folder of tables or a part of one was given.

    `kind_of` is `kind_of_table`, which remembers what it found.
    """
    tables = {table: kind for path in [*found.paths, *found.hidden] for table, kind in _marked(path)}
    listed = tuple(f"{folder.rstrip('/')}/" for folder in found.folders)
    for file in found.paths:
        for folder in _parents(file):
            kind = tables.get(folder)
            if kind is None and not f"{folder}/".startswith(listed):
                kind = kind_of(folder)
            if kind is not None:
                raise InputError(
                    f"{folder} is a table of {kind}: its files also hold rows that it has deleted or replaced; read it "
                    "as a table, with --input table:NAME if Spark's catalog has it, or with curation.dataframes and "
                    f"spark.read.format('{kind.lower()}').load('{folder}')"
                )


def _marked(path: str) -> Iterator[tuple[str, str]]:
    """Yield the folder of a table and its kind if a path is that of a file that makes it one."""
    for kind, pattern in _PATTERNS.items():
        found = pattern.fullmatch(path)
        if found:
            yield found["table"], kind


def kind_of_table(folder: str) -> str | None:
    """Return the kind of table that a folder is, looked up in it."""
    if folder.startswith(_WITHOUT_FOLDERS) or "::" in folder:
        return None
    paths = (f"{folder}/{mark}/{name}" for mark, _ in MARKS.values() for name in names_in(f"{folder}/{mark}"))
    return next((kind for path in paths for _, kind in _marked(path)), None)


def _parents(path: str) -> Iterator[str]:
    """Yield the folders that a file is in, the nearest first; of a URL none above its host or bucket."""
    root = path.find("://") + 3 if "://" in path else 0
    end = path.rfind("/")
    while end > root:
        yield path[:end]
        end = path.rfind("/", 0, end)
