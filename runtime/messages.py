"""Words for messages: names that are near to a misspelt one, and values and lists in a readable length."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from runtime.errors import InputError
from runtime.redaction import redacted

# Similarities: --out and --output 0.77, --threshold and --english-threshold 0.73, --starter and --status 0.71.
_NEAR = 0.72
_MOST_SHOWN = 80  # characters of a value in a message
_BINARY = "bytes that are not text"
QUOTED, NAMES = 40, 30  # characters of what a file holds, and names of columns, in a message


def nearest_names(spelled: str, candidates: Iterable[str], most: int = 1) -> list[str]:
    """Return up to `most` names that a misspelt one may stand for, the nearest first; [] if none is near.

    >>> nearest_names("Colum", ["row", "column"]), nearest_names("x", ["row", "column"])
    (['column'], [])
    """
    names = {candidate.lower(): candidate for candidate in candidates}
    name = spelled.lower()
    near = [name] if name in names else get_close_matches(name, names, most, _NEAR)
    return [names[lowered] for lowered in near]


def did_you_mean(spelled: str, candidates: Iterable[str], otherwise: str = "") -> str:
    """Return a question that suggests the name nearest to a misspelt one; `otherwise` if none is near."""
    return next((f"did you mean {name}?" for name in nearest_names(spelled, candidates)), otherwise)


def quoted(text: object) -> str:
    """Return what a file holds, for a message: 40 characters without secrets, with a sign for each unprintable one.

    >>> quoted("PAR1\\x15\\x04"), quoted("word " * 20), quoted("\\xf5\\x90a\\x15\\x04\\x90")
    ('PAR1��', 'word word word word word word word word…', 'bytes that are not text')
    """
    plain = redacted(str(text))
    cut = plain if len(plain) <= QUOTED else f"{plain[: QUOTED - 1].rstrip()}…"
    printable = "".join(character if character.isprintable() else "\ufffd" for character in cut)
    return _BINARY if printable.count("\ufffd") > max(2, len(printable) // 5) else printable


def quoted_names(names: Sequence[object]) -> str:
    """Return the names of columns, or the like, for a message: each as `quoted`, and the number of those after 30.

    >>> quoted_names(["url", "text"]), quoted_names([])
    ('url, text', 'none')
    """
    return listed([*dict.fromkeys(map(quoted, names))], NAMES) or "none"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first `most` names for a message, and the number of others.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def no_column(
    table: str, columns: Sequence[str], names: Sequence[str], remedy: str, others: Collection[str] = ()
) -> InputError:
    """Return the error that a table has none of `columns`, but the columns `names`; it suggests a near name.

    Names of `others`, which are in lower case, mean something else, and are not suggested.

    >>> str(no_column("a.csv", ["txt"], ["url", "text"], "name the right one"))
    'a.csv has no column txt; it has url, text: name the right one; did you mean text?'
    """
    meant = [name for name in names if name.lower() not in others]
    near = next(filter(None, (did_you_mean(column, meant) for column in columns)), None)
    fault = f"{table} has no column {' or '.join(columns)}; it has {quoted_names(names)}: {remedy}"
    return InputError("; ".join(filter(None, [fault, near])))


def shown(value: object) -> str:
    """Return the beginning of a value as Python writes it, without the `.0` of a whole number, which nobody typed.

    >>> shown(20.0), shown(0.5), shown("20")
    ('20', '0.5', "'20'")
    """
    return shortened(repr(value).removesuffix(".0"))


def shortened(text: str) -> str:
    """Return a text, or the beginning of a long one, as of an array."""
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN // 2]}…"
