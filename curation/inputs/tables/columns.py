"""Find the columns of a table that hold URL, text, uid, language and page URL, by name or by number."""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import InputError

RECOGNISED = {
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

    def __post_init__(self) -> None:
        for name in ("url_column", "text_column"):
            value = getattr(self, name)
            if isinstance(value, str) and value.isascii() and value.isdigit():  # as it comes from a command line
                object.__setattr__(self, name, int(value))
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


def named_columns(names: Sequence[str], options: TableOptions, path: str, naming: str = FLAG) -> dict[str, str]:
    """Return the name of the column for each field of candidates that a table has; refuse one without url or text.

    `naming` is how the refusal tells a user to name a column.
    """
    if options.numbers:
        raise InputError(
            f"{path} names its columns ({', '.join(names)}): --url-column and --text-column must be names, not numbers"
        )
    columns = {field: _column(field, names, options, path) for field in RECOGNISED}
    required = REQUIRED if options.uid_column in (None, NONE) else (*REQUIRED, "uid")
    lacking = next((field for field in required if columns[field] is None), None)
    if lacking:
        raise InputError(
            f"{path} has no column {' or '.join(_wanted(lacking, options))} for the {lacking}; it has "
            f"{', '.join(names) or 'none'}: name the right one with {naming.format(lacking)}"
        )
    return {field: name for field, name in columns.items() if name is not None}


def _column(field: str, names: Sequence[str], options: TableOptions, path: str) -> str | None:
    found = [name for name in _wanted(field, options) if name in names]
    if found and names.count(found[0]) > 1:
        raise InputError(f"{path} has {names.count(found[0])} columns named {found[0]}; expected one")
    return found[0] if found else None


def _wanted(field: str, options: TableOptions) -> tuple[str, ...]:
    given = options.column(field)
    if field == "uid" and given == NONE:
        return ()
    return RECOGNISED[field] if given is None else (str(given),)
