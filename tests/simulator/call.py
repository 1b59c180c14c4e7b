"""One command as a driver runs it, and others that begin while it is at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from runtime import shipping
from runtime.console import sentence_for
from runtime.redaction import redacted
from runtime.storage import own_files
from runtime.storage.locks import Held
from tests.simulator.disk import Disk
from tests.simulator.engine import OF_TASKS, Engine, Session
from tests.simulator.faults import KINDS, SECRET
from tests.simulator.kind import Command, Kind
from tests.simulator.processes import Aside, Driver, Ended, Fault

ENDED = "ended"
TAKEN_OVER = "another run has taken over"  # in an object store, where a second command is not kept out


@dataclass
class Call:
    """A call of a command, and how it and those beside it ended: with None, or with a sentence."""

    disk: Disk
    kind: Kind
    inputs: Path
    second: Command  # the options of a second one
    ends: list[tuple[Command, str | None]] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)  # what must not be

    def run(
        self, command: Command, chance: Random, faults: Sequence[Fault] = (), aside: Aside | None = None
    ) -> str | None:
        """Run a command; return how it ended."""

        def second(beside: Aside | None) -> None:
            options = {"overwrite": self.second.overwrite, "is_other": self.second.is_other}
            try:
                self.run(replace(command, **options), Random(chance.random()), (), beside)
            except Held:
                pass  # it would wait for the command in whose midst it is, which here cannot go on before it has ended
            except Exception as error:
                self.broken.append(error)

        of_tasks = {fault.at: fault for fault in faults if fault.kind in OF_TASKS}
        driver = Driver([fault for fault in faults if fault.kind in KINDS], chance, second, aside)
        for cached in (shipping._opened, own_files._compare, *self.kind.caches):
            cached.cache_clear()  # a session has workers of its own
        session = Session(Engine(self.disk, driver, of_tasks, command.cores, command.tries, command.hosts))
        with self.disk.command(driver):
            said = self._said(session, command)
            self.ends.append((command, said))
        assert SECRET not in (said or ""), "a secret is said"
        return said

    @property
    def last(self) -> tuple[Command, str | None]:
        """The last command that was not kept out by another one, and how it ended."""
        if self.disk.is_flipped:  # a token may be what is damaged
            return self.ends[-1]
        return next((end for end in reversed(self.ends) if not self._is_kept_out(end[1])), self.ends[-1])

    def require_orderly(self) -> None:
        """Require that commands beside each other, without other faults, do their work or say why not."""
        for command, said in () if self.disk.is_remote else self.ends:  # there one may find what the other takes away
            is_refused = self.kind.refuses_finished or "overwrite" in (said or "")
            assert said is None or is_refused or self._is_kept_out(said), f"beside another command, {command}: {said}"

    def _is_kept_out(self, said: str | None) -> bool:
        return len(self.ends) > 1 and any(each in (said or "") for each in (self.kind.busy, TAKEN_OVER))

    def _said(self, session: Session, command: Command) -> str | None:
        try:
            self.kind.call(session, self.inputs, command, self.disk.output)
        except Ended:
            return ENDED
        except Exception as error:
            found = sentence_for(error)
            if found is None:
                raise
            return redacted(found[0])  # as a terminal shows it
        return None
