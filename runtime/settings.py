"""Read fields of configs from command lines: how texts state them, and settings, which are fields without a flag.

`--set NAME=VALUE` sets such a field. To argparse each setting is a hidden flag `--set NAME`, so its values are read,
checked and stored like the values of flags.
"""

import argparse
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args, get_origin, get_type_hints

from runtime.errors import FLAGS
from runtime.messages import nearest_names

SET = "--set"
PREFIX = f"{SET} "  # of the name of a setting, in its hidden flag
COMMAND_LINE = "command_line"  # the field that the parser fills itself
HIDDEN = argparse.SUPPRESS
MOST_NEAR = 3  # names that the answer to an unknown one suggests


def joined(words: Iterable[str]) -> list[str]:
    """Return the words of a command line, in which each `--set` and the setting after it are one word with a space.

    >>> joined(["--set", "max_texts=3", "--set=matcher=trie", "--seed", "4"])
    ['--set max_texts=3', '--set matcher=trie', '--seed', '4']
    """
    remaining = iter(words)
    together: list[str] = []
    for word in remaining:
        option, _, setting = word.partition("=")
        if word == SET:
            setting = next(remaining, "")
        together.append(f"{PREFIX}{setting}" if option == SET and setting else word)
    return together


def parted(words: Iterable[str]) -> list[str]:
    """Return words as they were before `joined`, with `--set` and each setting as two words."""
    apart: list[str] = []
    for word in words:
        apart += word.split(" ", 1) if word.startswith(PREFIX) else [word]
    return apart


def how_given(kind: Any) -> dict[str, Any] | None:
    """Return how argparse reads a field of type `kind`, as arguments of `add_argument`; None if no text can state it.

    >>> how_given(int | None), how_given(Sequence[str])["nargs"], how_given(Literal["a", "b"])["choices"]
    ({'type': <class 'int'>, 'choices': None, 'nargs': None}, '+', ('a', 'b'))
    """
    alternatives = get_args(kind) or (kind,)  # A kind such as `int | None` has alternatives.
    origins = {get_origin(alternative) for alternative in (kind, *alternatives)}
    if dict in origins:
        return {"type": dict, "nargs": "+", "action": "numbers"}
    words = alternatives[0] if get_origin(kind) is Sequence else kind
    choices = get_args(words) if get_origin(words) is Literal else None
    several = Sequence in origins
    plain = [simple for simple in (bool, str, int, float) if simple in alternatives]
    if not (plain or choices or several):
        return None
    return {"type": plain[0] if plain else str, "choices": choices, "nargs": "+" if several else None}


def add(parser: argparse.ArgumentParser, config: type, defaults: Mapping[str, Any]) -> dict[str, type]:
    """Add the fields of a config that have no flag and that a text can state to a parser; return them by name.

    `defaults` are the values of all fields.
    """
    taken = {action.dest for action in parser._actions} | {*FLAGS, COMMAND_LINE}
    hints = get_type_hints(config)
    added: dict[str, type] = {}
    for name in defaults:
        options = None if name in taken else how_given(hints[name])
        if options:
            parser.add_argument(f"{PREFIX}{name}", dest=name, default=defaults[name], help=HIDDEN, **options)
            added[name] = config
    return added


def help_of(parser: argparse.ArgumentParser, names: Iterable[str]) -> str:
    """Return the help of `--set`, with the names of all settings and their defaults."""
    values = [_with_value(name, parser.get_default(name)) for name in names]
    shown = f"set a parameter that has no flag. Repeat {SET} to set several. The parameters and their defaults are "
    return shown + ", ".join(values)


def _with_value(name: str, value: Any) -> str:
    """Return how a user sets a value, or only the name of a value that is not set."""
    return name if value in (None, [], {}) else f"{name}={str(value).lower() if isinstance(value, bool) else value}"


def is_without_value(word: str) -> bool:
    """Return whether a joined word is a setting without value."""
    return word.startswith(PREFIX) and "=" not in word


def refusal(parser: argparse.ArgumentParser, names: Sequence[str], setting: str) -> str:
    """Return the sentence that refuses a setting: one without value, of a flag's name, or none of `names`."""
    spelled = setting.partition("=")[0]
    name = spelled.replace("-", "_")
    flag = FLAGS.get(name) or f"--{name.replace('_', '-')}"
    if not names:
        return f"{parser.prog} has no settings; leave {SET} out"
    if "=" not in setting:
        example = name if name in names else names[0]
        return f"argument {SET}: got {setting!r}, but expected NAME=VALUE; write {SET} {example}=VALUE"
    if flag in parser._option_string_actions:
        return f"{name} has its own flag; use {flag} instead of {SET}"
    near = nearest_names(name, names, MOST_NEAR)
    advice = f"did you mean {' or '.join(near)}?" if near else f"the settings are {', '.join(names)}"
    return f"{PREFIX}{spelled}: {parser.prog} has no setting of this name; {advice}"


def integer(text: str) -> int:
    """Return the integer that a person has written; ArgumentTypeError for any other text.

    >>> integer("20000"), integer("20,000"), integer("20_000"), integer("1e4"), integer("1.5e6"), integer("-1")
    (20000, 20000, 20000, 10000, 1500000, -1)
    """
    if re.fullmatch(r"[+-]?(\d+(_\d+)*|\d{1,3}(,\d{3})+)", text.strip()):
        return int(text.replace(",", ""))
    value = Decimal(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?[eE]\+?\d{1,2}", text.strip()) else None
    if value is None or value != value.to_integral_value():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer; write one such as 20000, 20,000 or 2e4")
    return int(value)


def written_number(text: str) -> float:
    """Return the number that a person has written, perhaps in percent; ArgumentTypeError for any other text.

    >>> written_number("0.5"), written_number("1%"), written_number("1e-3"), written_number("-5")
    (0.5, 0.01, 0.001, -5.0)
    """
    stated, percent, rest = text.strip().partition("%")
    try:
        value = math.nan if rest else float(Decimal(stated.strip()) / (100 if percent else 1))
    except InvalidOperation:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; write one such as 0.01 or 1%")
    return value


def boolean(text: str) -> bool:
    """Return whether a text is `true`; ArgumentTypeError unless it is `true` or `false`."""
    if text.strip().lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false; write true or false")
    return text.strip().lower() == "true"


def named_number(text: str) -> tuple[str, float]:
    """Return the name and the number in a text such as da=0.6; ArgumentTypeError for another text."""
    name, equals, number = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not a name and a number; write both, such as da=0.6")
    return name, written_number(number)
