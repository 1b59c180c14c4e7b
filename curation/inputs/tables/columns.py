"""Find the columns of a table that hold URL, text, uid, language and page URL, by name or by number."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from curation.inputs.tables.dialects import DIALECTS
from runtime.errors import InputError

RECOGNISED = {  # in this order, and in any case
    "url": ("url", "URL", "image_url"),
    "text": ("text", "TEXT", "caption", "alt"),
    "uid": ("uid",),
    "language": ("language",),
    "page_url": ("page_url",),
}
REQUIRED = ("url", "text")
FLAG = "--{}-column (a number from 0 if it is a CSV or TSV without header)"  # how a user names a column of a file
NONE = "none"  # as a column: there is none, whatever the table has
FIELD = "{}_column of TableOptions"  # and one of a DataFrame


@dataclass(frozen=True)
class TableOptions:
    """The columns that hold the pairs: names, or for CSV and TSV without header numbers from 0; None: usual names."""

    url_column: str | int | None = None
    text_column: str | int | None = None
    uid_column: str | None = None  # `none`: an image is known by its URL
    dialect: str | None = None  # of CSV and TSV, one of DIALECTS; None: what the first rows of each file show

    def __post_init__(self) -> None:
        for name in ("url_column", "text_column"):
            value = getattr(self, name)
            if isinstance(value, str) and value.isascii() and value.isdigit():  # as it comes from a command line
                object.__setattr__(self, name, int(value))
        if self.dialect is not None and self.dialect not in DIALECTS:
            raise InputError(f"dialect is {self.dialect!r}; expected one of {', '.join(DIALECTS)}")
        if isinstance(self.url_column, int) != isinstance(self.text_column, int):
            raise InputError(
                f"--url-column is {self.url_column} and --text-column is {self.text_column}: either both are numbers,"
                " for files without header, or neither is"
            )

    @property
    def numbers(self) -> dict[str, int] | None:
        """The number of each required column, where columns are given by number, so that files have no header."""
        if isinstance(self.url_column, int) and isinstance(self.text_column, int):
            return {"url": self.url_column, "text": self.text_column}
        return None

    def column(self, field: str) -> str | int | None:
        """Return the column that was given for `field`, if it is url, text or uid."""
        return {"url": self.url_column, "text": self.text_column, "uid": self.uid_column}.get(field)


@dataclass(frozen=True)
class Glance:
    """Facts from a first look at a file, besides that it has its columns."""

    piece_bytes: list[int] = field(default_factory=list)  # of each piece of a file that is split
    dialect: str | None = None  # of CSV and TSV


def named_columns(names: Sequence[str], options: TableOptions, path: str, naming: str = FLAG) -> dict[str, str]:
    """Return the name of the column for each field of candidates that a table has; refuse one without url or text.

    `naming` is how the refusal tells a user to name a column.
    """
    if options.numbers:
        raise InputError(
            f"{path} names its columns ({', '.join(names)}): --url-column and --text-column must be names, not numbers"
        )
    columns = {field: _column(field, names, options, path, naming) for field in RECOGNISED}
    required = REQUIRED if options.uid_column in (None, NONE) else (*REQUIRED, "uid")
    lacking = next((field for field in required if columns[field] is None), None)
    if lacking:
        raise InputError(
            f"{path} has no column {' or '.join(_wanted(lacking, options))} for the {lacking}; it has "
            f"{', '.join(names) or 'none'}: name the right one with {naming.format(lacking)}"
        )
    return {field: name for field, name in columns.items() if name is not None}


def recognised(field: str, names: Sequence[str], path: str, remedy: str = "leave out the others") -> str | None:
    """Return the column with the first name, in any case, that RECOGNISED has for a field and a table has, too.

    Several that differ in case only are refused.

    >>> recognised("url", ["Image_URL", "Url", "text"], "a table"), recognised("uid", ["text"], "a table")
    ('Url', None)
    """
    alike = ([name for name in names if name.lower() == known.lower()] for known in RECOGNISED[field])
    return _one(next(filter(None, alike), []), path, remedy)


def _column(field: str, names: Sequence[str], options: TableOptions, path: str, naming: str) -> str | None:
    if options.column(field) is not None:
        return _one([name for name in names if name in _wanted(field, options)], path, "")
    if field not in REQUIRED:
        return recognised(field, names, path)
    return recognised(field, names, path, f"name the one that is meant with {naming.format(field)}")


def _one(found: list[str], path: str, remedy: str) -> str | None:
    if len(set(found)) > 1:
        raise InputError(f"{path} has the columns {' and '.join(dict.fromkeys(found))}, alike but for case: {remedy}")
    if len(found) > 1:
        raise InputError(f"{path} has {len(found)} columns named {found[0]}; expected one")
    return found[0] if found else None


def _wanted(field: str, options: TableOptions) -> tuple[str, ...]:
    given = options.column(field)
    if field == "uid" and given == NONE:
        return ()
    return RECOGNISED[field] if given is None else (str(given),)
