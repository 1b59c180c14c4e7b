"""Name the agents whose rules in robots.txt count: those of robots_agents.txt, or a user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from runtime.errors import InputError

_NAME = re.compile(r"\*|[A-Za-z0-9_.-]+")


def robots_agents(given: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the agents that are given by name or in files, one a line; without any, those of robots_agents.txt.

    >>> robots_agents(["GPTBot"]), robots_agents()[:2]
    (('GPTBot',), ('CCBot', 'GPTBot'))
    """
    if not given:
        return tuple(_names(files("curation.gate").joinpath("robots_agents.txt").read_text("utf-8")))
    names = [name for each in given for name in _names_in(each)]
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no agent, and no file of agents; expected names of letters, digits, dots, - and _, such "
                "as GPTBot, or a file with one a line"
            )
    return tuple(dict.fromkeys(names))


def _names_in(given: str) -> list[str]:
    path = Path(given)
    if not path.is_file():
        return [given]
    try:
        names = _names(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the agents in {given} cannot be read ({error}); expected text in UTF-8") from None
    if not names:
        raise InputError(f"{given} names no agent; expected one a line")
    return names


def _names(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
