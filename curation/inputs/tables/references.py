"""Names of tables of Spark's catalog among the inputs, as in `table:sales.pairs`."""

from pathlib import Path
from urllib.parse import quote, unquote

from runtime.errors import InputError
from runtime.storage.paths import is_url

PREFIX = "table:"
FOLDER = "tables"  # in the output folder: the copies


def is_table(given: str) -> bool:
    """Say whether an input names a table.

    >>> is_table("table:web.pairs"), is_table("tables/pairs.parquet")
    (True, False)
    """
    return given.startswith(PREFIX)


def table_name(given: str) -> str:
    """Return the name of the table that an input names."""
    name = given.removeprefix(PREFIX).strip()
    if not name:
        raise InputError(f"{given} names no table; expected one of Spark's catalog, such as table:db.pairs")
    return name


def tables_in(output: Path) -> Path:
    """Return the folder for copies of tables in an output folder, as workers are told it."""
    folder = output / FOLDER
    return folder if is_url(folder) else folder.absolute()


def folder_of(table: str) -> str:
    """Return the name of the folder for the copy of a table.

    >>> folder_of("web.`pairs 2024`")
    'web.%60pairs%202024%60'
    """
    return quote(table, safe="")


def input_of(path: str, tables: str) -> str:
    """Return the input that a file belongs to: the table of which it is a copy in the folder `tables`, or the file.

    >>> input_of("/out/tables/web.pairs/00000-1a.parquet", "/out/tables"), input_of("/data/a.parquet", "/out/tables")
    ('table:web.pairs', '/data/a.parquet')
    """
    folder, _, _ = path.rpartition("/")
    parent, _, name = folder.rpartition("/")
    return f"{PREFIX}{unquote(name)}" if parent == tables else path
