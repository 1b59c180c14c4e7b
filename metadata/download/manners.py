"""The terms on which servers are asked: connections, tries, waits, and the name that they are given."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import requests

from runtime.errors import ParameterError
from runtime.parameters import require_integer
from runtime.version import PROJECT, __version__

MOST_JOBS = 3  # Wikimedia's limit of connections per address


class Clock:
    """Time and chance as they are; tests have another."""

    now = staticmethod(time.time)
    jitter = staticmethod(random.random)  # must differ between machines, and decides nothing about data

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return after `seconds`, or at once when `stop` is set."""
        stop.wait(seconds)


@dataclass(frozen=True)
class Manners:
    """The terms on which servers are asked; Wikimedia wants a contact (URL or e-mail address) in the User-Agent."""

    jobs: int = 2  # files at a time
    contact: str = ""
    tries: int = 8  # in a row that bring nothing: about two minutes of waits
    timeout: tuple[float, float] = (10.0, 60.0)  # seconds to connect, and without a byte
    longest_wait: float = 3600.0  # seconds; a server that asks for more ends the file's turn
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise ParameterError(f"is {self.jobs}; servers allow 1 to {MOST_JOBS} connections", "jobs")
        require_integer("tries", self.tries, minimum=1)
        if not (self.contact.isascii() and self.contact.isprintable()):
            raise ParameterError(f"is {self.contact!r}; give a URL or an e-mail address in ASCII", "contact")

    @property
    def user_agent(self) -> str:
        """The header that names the project and its user to servers."""
        about = "; ".join(filter(None, ("build_metadata", self.contact)))
        return f"{PROJECT}/{__version__} ({about}) requests/{requests.__version__}"
