"""Make a failing schedule simpler as long as it fails, and print it as Python that replays it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace

from tests.simulator.kind import Command
from tests.simulator.processes import Fault
from tests.simulator.schedule import Schedule

PLAIN = {"inputs": 1, "cores": 1, "tries": 1, "bucket_rows": 1 << 18, "hosts": 0, "overwrite": False, "is_other": False}


def shortest(schedule: Schedule, failure: Callable[[Schedule], str]) -> tuple[Schedule, str]:
    """Return the simplest schedule found that still fails, and how it fails, given how a schedule does."""
    how = failure(schedule)
    while found := next(((each, said) for each in _simpler(schedule) if (said := failure(each))), None):
        schedule, how = found
    return schedule, how


def as_python(schedule: Schedule) -> str:
    """Return the call that replays a schedule in `test_simulator`."""
    commands = "".join(f"{_shown(each)}, " for each in schedule.commands)
    faults = "".join(f"{_shown(each)}, " for each in schedule.faults)
    head = f"{schedule.seed}, KINDS[{schedule.kind.name!r}], {schedule.is_remote}"
    return f"simulator.run(Schedule({head}, ({commands}), ({faults}), {_shown(schedule.second)}))"


def _shown(value: Command | Fault) -> str:
    is_default = {each.name for each in fields(value) if getattr(value, each.name) == each.default}
    stated = ((each.name, getattr(value, each.name)) for each in fields(value) if each.name not in is_default)
    return f"{type(value).__name__}({', '.join(f'{name}={own!r}' for name, own in stated)})"


def _simpler(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules with one thing less, or one that is plainer."""
    for fault in schedule.faults:
        yield replace(schedule, faults=tuple(each for each in schedule.faults if each is not fault))
    for number in range(len(schedule.commands) - 1):
        yield _without(schedule, number)
    if schedule.is_remote and False in schedule.kind.places:
        yield replace(schedule, is_remote=False)
    if schedule.second != Command():
        yield replace(schedule, second=Command())
    for number, command in enumerate(schedule.commands):
        for plainer in _plainer(command):
            commands = (*schedule.commands[:number], plainer, *schedule.commands[number + 1 :])
            if sorted(each.inputs for each in commands) == [each.inputs for each in commands]:  # they are only added
                yield replace(schedule, commands=commands)


def _without(schedule: Schedule, number: int) -> Schedule:
    """Return a schedule without a command and its faults."""
    commands = (*schedule.commands[:number], *schedule.commands[number + 1 :])
    others = (each for each in schedule.faults if each.command != number)
    faults = tuple(replace(each, command=each.command - (each.command > number)) for each in others)
    return replace(schedule, commands=commands, faults=faults)


def _plainer(command: Command) -> Iterator[Command]:
    for name, value in PLAIN.items():
        if getattr(command, name) != value:
            yield replace(command, **{name: value})
