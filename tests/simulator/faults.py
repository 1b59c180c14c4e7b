"""Each kind of fault that comes at an operation: what it does to processes, to the disk or store, or to the clock."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.simulator.processes import Aside, Fault, Process

if TYPE_CHECKING:
    from tests.simulator.machine import Machine

SECRET = "53cr37"
URL = f"https://me:{SECRET}@sim.example/out?X-Amz-Signature={SECRET}"
LATE = 400  # operations within which late work goes on, room comes back, or a flipped bit is as it was
WINDOW = 25  # operations, at most, of what a command does after it has looked whether the folder is still its own
_TURN = 60  # operations of one of two commands until the other goes on, at most
_JUMP = 40 * 24 * 3600  # seconds


def _end(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """All processes of a command end."""
    process.driver.is_alive = process.is_alive = False


def _power(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """All processes of all commands end, and what is not synced may be lost."""
    machine.trouble.power = fault.share or 1e-9
    for driver in machine.drivers:
        driver.is_lost, driver.is_alive = True, False


def _lost(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """A worker ends."""
    process.is_alive = False


def _error(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """The operation fails."""
    if machine.is_remote:
        raise OSError(errno.EIO, f"no answer from {URL}")
    raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def _full(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """The disk is full until the command is over."""
    machine.trouble.is_full = True


def _tight(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """The disk is full now and then, for a while."""
    machine.trouble.tight = machine.operations + round(fault.share * LATE)


def _stale(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """The next listing lacks what other processes renamed, or put into a store, just now."""
    machine.trouble.lag = 1 + round(fault.share * 4)


def _unseen(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """A file that another process has renamed is not found, once."""
    machine.trouble.is_unseen = True


def _blink(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """A bit of the next file that is read is another one, for a while."""
    machine.is_flipped = True  # what was read may be a checksum that is recorded
    machine.trouble.flip = fault.share, Random(fault.share).randrange(LATE)


def _gone(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """A worker ends, and its machine is lost with all that was on its disk."""
    process.is_alive = False
    machine.lose_host(process.host)


def _clock(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """The clock jumps, by days back or forth: what machines keep seems old, or from tomorrow."""
    machine.age((fault.share - 0.5) * _JUMP)


def _second(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """Another command runs, from its begin to its end."""
    driver = process.driver
    machine.is_between = machine.is_remote and driver.operations - driver.looked < WINDOW
    process.driver.second(None)


def _beside(machine: Machine, fault: Fault, process: Process, path: str) -> None:
    """Another command begins, and both go on in turns."""
    machine.is_between = machine.is_remote
    chance, second = Random(fault.share), process.driver.second
    aside = Aside(chance, _TURN)
    aside.start(lambda: second(aside), round(LATE ** chance.random()))
    machine.asides.append(aside)


KINDS: dict[str, Callable[[Machine, Fault, Process, str], None]] = {
    "end": _end,
    "power": _power,
    "lost": _lost,
    "error": _error,
    "full": _full,
    "tight": _tight,
    "stale": _stale,
    "unseen": _unseen,
    "blink": _blink,
    "gone": _gone,
    "clock": _clock,
    "second": _second,
    "beside": _beside,
}
