"""List damaged tars, and refuse a run in which too many are damaged.

A damaged tar is read up to its damage. `damaged` gives the fault of each damaged tar, by path.
"""

from __future__ import annotations

from collections.abc import Mapping

from curation.config import CurationConfig
from runtime.errors import InputError
from runtime.terminal import WARNING, in_one_line

TALLY = "damage."  # before what is wrong with the tar of a task: the name of a tally
MOST = CurationConfig.max_bad_files  # share of the tars of a run
SHOWN = 3  # tars that are named


class DamagedTar(InputError):
    """A tar cannot be read to its end; the message says what is wrong with it, without its path."""


def require_sound(damaged: Mapping[str, str], tars: int, most: float = 0.0) -> None:
    """Refuse tars of which more than this share is damaged.

    >>> require_sound({"0.tar": "is cut; download it again", "2.tar": "is empty"}, tars=9)
    Traceback (most recent call last):
    runtime.errors.InputError: 2 of 9 tars are damaged: 0.tar is cut; download it again, 2.tar is empty
    """
    if len(damaged) > most * tars:
        number = f"{len(damaged):,} of {tars:,} tars are damaged: " if len(damaged) > 1 else ""
        raise InputError(number + ", ".join(_named(damaged)))


def told(damaged: Mapping[str, str], tars: int) -> list[str]:
    """Return the warning that says which tars were read up to their damage, as a line; none where all are whole.

    >>> told({"0.tar": "is cut", "2.tar": "is empty"}, tars=9)
    ['warning: damaged tars: 2 of 9, read up to the damage: 0.tar is cut, 2.tar is empty']
    """
    if not damaged:
        return []
    which = in_one_line(", ".join(_named(damaged)))
    return [f"{WARNING}damaged tars: {len(damaged):,} of {tars:,}, read up to the damage: {which}"]


def _named(damaged: Mapping[str, str]) -> list[str]:
    named = [f"{path} {fault}" for path, fault in damaged.items()]
    more = [f"and {len(named) - SHOWN:,} more"] if len(named) > SHOWN else []
    return named[:SHOWN] + more
