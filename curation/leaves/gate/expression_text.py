"""Scan the text of a condition before Spark parses it: its length, its depth, and the columns that it names.

If the tokens alone do not show which names are columns, no names are returned, and Spark's parser decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.errors import InputError

MOST_CHARACTERS = 20_000  # a list of 3,000 numbers
MOST_SIGNS = 400  # Spark's stack, of 1 MB, overflows at twice as many, as in NOT NOT NOT …, and seldom at 500
MOST_DEPTH = 100  # nested brackets; the parser's stack overflows at 400
NOT_OF_ONE = (
    "is not of one image alone; leave out aggregates, windows, subqueries, chance, and what another run has otherwise: "
    "the time of day, the user, the version"
)
_TOKENS = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>[rR]'[^']*'|[rR]"[^"]*"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<number>\d\w*(?:\.\d\w*)?)
    |(?P<word>\w+)
    |(?P<sign><=>|->|=>|::|<=|>=|<>|!=|==|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN, _CLOSE = {"(", "[", "{", "CASE"}, {")", "]", "}", "END"}
_KEYWORDS = set("AND OR NOT IS NULL TRUE FALSE IN BETWEEN LIKE ILIKE RLIKE REGEXP DIV CASE WHEN THEN ELSE END".split())
_SIGNS = set("( ) [ ] , . + - * / % = == != <> < <= > >= <=> || & | ^ ~ !".split())
# Words that Spark reads as values of the run or as parts of its syntax, unless a column has the name.
_OF_A_RUN = set(
    "CURRENT_CATALOG CURRENT_DATABASE CURRENT_DATE CURRENT_PATH CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP "
    "CURRENT_TIMEZONE CURRENT_USER LOCALTIME LOCALTIMESTAMP SESSION_USER USER".split()
)
_OF_SPARK = _OF_A_RUN | set(
    "UNKNOWN DATEADD DATE_ADD DATEDIFF DATE_DIFF TIMESTAMPADD TIMESTAMPDIFF SELECT FROM VALUES TABLE WITH".split()
)
_WHEN = re.compile(r"""[rR]?['"]\s*(?:now|today|tomorrow|yesterday)\b""", re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """One of the conditions that AND joins in an expression: its text, its columns, and its title for people."""

    text: str
    columns: tuple[str, ...]
    title: str | None = None  # shown instead of the text
    sql: str | None = None  # what is evaluated instead of the text

    @property
    def evaluated(self) -> str:
        """The SQL that Spark evaluates."""
        return self.sql or self.text

    @property
    def shown(self) -> str:
        """The text that a person reads."""
        return self.title or self.text


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    @property
    def is_keyword(self) -> bool:
        return self.kind == "word" and self.text.upper() in _KEYWORDS

    @property
    def name(self) -> str | None:
        """The name that the token may be, of a column or of something else; None for any other token."""
        if self.kind == "quoted":
            return self.text[1:-1].replace("``", "`")
        return self.text if self.kind == "word" and not self.is_keyword else None


_END = _Token("end", "")


def require_short(expression: str) -> None:
    """Refuse an expression so long or deep that Spark's parser would be very slow, or overflow its stack."""
    signs = depth = deepest = 0
    for token in _tokens(expression) if len(expression) <= MOST_CHARACTERS else ():
        signs += token.kind not in ("number", "string") and token.text not in ("(", ")", ",")
        depth += (token.text.upper() in _OPEN) - (token.text.upper() in _CLOSE)
        deepest = max(deepest, depth)
    for number, most, what in (
        (len(expression), MOST_CHARACTERS, "characters"),
        (signs, MOST_SIGNS, "words and signs, besides numbers, strings, commas and brackets"),
        (deepest, MOST_DEPTH, "brackets, or CASEs, within one another"),
    ):
        if number > most:
            raise InputError(
                f"--keep {expression[:40]!r}… has {number:,} {what}; at most {most:,} are read. Write `x IN (…)` for "
                "many ORs, and give lists of images by --only"
            )


def require_no_day_of_the_run(expression: str) -> None:
    """Refuse times such as timestamp'now', which Spark's parser replaces by the time of parsing."""
    tokens = _tokens(expression)
    for before, token in zip(tokens, tokens[1:], strict=False):
        if before.kind == "word" and before.text.upper().startswith(("DATE", "TIME")) and _is_day_of_the_run(token):
            raise InputError(f"{before.text} {token.text} of --keep {NOT_OF_ONE}")


def names_in(expression: str, known: Sequence[str]) -> list[str]:
    """Return the names of the columns in an expression; [] if only Spark can say whether each name is a column.

    `known` are the columns of tables; a word of Spark's that is one of them is read as a column.

    >>> names_in("`a b` >= 2 AND (nsfw.score < 0.4 OR least(width, height) IS NULL)", [])
    ['a b', 'nsfw', 'width', 'height']
    >>> names_in("cast(width AS double) > 1", []), names_in("current_date > day", ["day"])
    ([], [])
    """
    tokens = _tokens(expression)
    columns = {name.upper() for name in known}
    if any(token.kind == "sign" and token.text not in _SIGNS for token in tokens):
        return []
    found = []
    for before, token, after in zip([_END, *tokens], tokens, [*tokens[1:], _END], strict=False):
        name = token.name
        if name is None:
            continue
        is_of_spark = token.kind == "word" and name.upper() in _OF_SPARK - columns
        is_of_function = before.text == "." and after.text == "("
        if is_of_spark or is_of_function or _is_beside(before, ")]") or _is_beside(after, ""):
            return []
        if before.text != "." and after.text != "(":
            found.append(name)
    return found


def names_a_day_of_the_run(expression: str) -> bool:
    """Return whether an expression has a string, such as 'today', that Spark may read as a time of the run."""
    return any(map(_is_day_of_the_run, _tokens(expression)))


def beginnings(expression: str) -> list[int]:
    """Return the offset of each token in an expression, but for white space and comments."""
    return [each.start() for each in _TOKENS.finditer(expression) if each.lastgroup != "space"]


def require_columns(names: Sequence[str], tables: Mapping[str, Sequence[str]]) -> None:
    """Refuse names of columns that are in no table, in several tables, or in one table in several spellings.

    `tables` has the columns of each table by the name of the table.
    """
    for column in names:
        owners = {name: [each for each in own if each.lower() == column.lower()] for name, own in tables.items()}
        owners = {name: own for name, own in owners.items() if own}
        if len(owners) > 1:
            raise InputError(f"column {column} of --keep is in several tables ({' and '.join(owners)}); rename one")
        for name, own in owners.items():
            if len(own) > 1:
                raise InputError(
                    f"column {column} of --keep may be {' or '.join(own)} of {name}, which Spark SQL does not tell "
                    "apart; rename one"
                )
        if not owners and column.upper() in _OF_A_RUN:
            raise InputError(f"{column} of --keep {NOT_OF_ONE}")
        if not owners:
            known = "; ".join(f"{name} has {', '.join(columns)}" for name, columns in tables.items())
            raise InputError(f"column {column} of --keep is in no table of images: {known}")


def _tokens(expression: str) -> list[_Token]:
    found = (_Token(str(each.lastgroup), each.group()) for each in _TOKENS.finditer(expression))
    return [token for token in found if token.kind != "space"]


def _is_day_of_the_run(token: _Token) -> bool:
    return token.kind == "string" and _WHEN.match(token.text) is not None


def _is_beside(token: _Token, brackets: str) -> bool:
    """Return whether a token next to a name shows that the name is no column.

    Such tokens are names, strings, numbers and any of the `brackets`.
    """
    return token.name is not None or token.kind in ("string", "number") or token.text in [*brackets]
