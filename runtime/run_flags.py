"""Flags of how a command runs: what it says, the memory of Spark, and completion of its words by shells."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runtime import terminal
from runtime.errors import InputError
from runtime.packages import require_packages

SHELLS = ("bash", "zsh")
_OF_FILES = {"DIR": "DIRECTORY"} | dict.fromkeys(("PATH", "FILE", "FOLDER", "LIST", "RUN", "TABLE"), "FILE")
_SUBMIT, _SHELL = "PYSPARK_SUBMIT_ARGS", "pyspark-shell"  # what Python hands over where it starts Spark, and its end


def add(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the flags of all commands; return their group."""
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--log-format",
        choices=terminal.FORMATS,
        default=terminal.FORMATS[0],
        help="what is written to standard error: text, or for each line of progress and each warning a line of "
        "JSON with time, level, step, message and numbers",
    )
    group.add_argument("--quiet", action="store_true", help="write warnings and errors alone")
    hidden = argparse.SUPPRESS
    parser.add_argument("--print-completion", action=_Completion, choices=SHELLS, dest=hidden, help=hidden)
    return group


def add_engine(group: argparse._ArgumentGroup) -> None:
    """Add the flags of a command whose tasks run on processes of this machine, or on Spark."""
    group.add_argument("--cores", type=_cores, metavar="N", help="processes that work at once (default: one a core)")
    group.add_argument(
        "--master",
        metavar="URL",
        help="run on Spark: as spark://host:7077, or local[*] for a Spark of this machine (default: without Spark, "
        "which starts by itself for what is written in SQL)",
    )
    group.add_argument(
        "--memory", type=_memory, metavar="SIZE", help="memory of Spark's Java, such as 8g, where it starts"
    )


def apply_format(given: Sequence[str]) -> None:
    """Write in the format that a command line asks for already what is wrong with that."""
    asked = [f"{flag}={value}" for flag, value in zip(given, given[1:], strict=False)]
    terminal.write_as("json" if "--log-format=json" in (*given, *asked) else "text", "--quiet" in given)


def apply(values: argparse.Namespace, refuse: Callable[[str], object]) -> None:
    """Let this process run as the values of a command line say."""
    terminal.write_as(values.log_format, values.quiet)
    cores, master, memory = (getattr(values, name, None) for name in ("cores", "master", "memory"))
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        for flag, value, instead in (("--memory", memory, "--driver-memory"), ("--master", master, "--master")):
            if value is not None:
                refuse(f"{flag} is for a Spark that this command starts; give spark-submit {instead}")
    if cores is not None and (master or "PYSPARK_GATEWAY_PORT" in os.environ):
        refuse("--cores is for processes of this machine; give Spark's master as local[N], or --executor-cores")
    if master is None and cores is not None:
        master = f"local[{cores}]"
    others = os.environ.get(_SUBMIT, "").removesuffix(_SHELL)
    given = {"--driver-memory": memory, "--master": master}
    added = "".join(f" {flag} {value}" for flag, value in given.items() if value is not None)
    if added:
        os.environ[_SUBMIT] = f"{others}{added} {_SHELL}".strip()  # of two the last counts


def _cores(text: str) -> int:
    """Return a number of processes."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; write one as 8")
    return int(text)


def _memory(text: str) -> str:
    """Return a size of memory as Java takes it; Spark refuses less than 450 MB."""
    found = re.fullmatch(r"(\d+)([mgt])b?", text.strip().lower())
    if not found or int(found[1]) << {"m": 0, "g": 10, "t": 20}[found[2]] < 512:
        raise argparse.ArgumentTypeError(f"{text!r} is no size of memory; write one as 8g or 1500m, of 512m or more")
    return found[1] + found[2]


class _Completion(argparse.Action):
    """Prints a shell's script of completion as soon as it is met, so that no other flag is required."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        try:
            require_packages(["shtab"])
        except InputError as error:
            parser.error(str(error))
        import shtab

        for action in parser._actions:
            kind = _OF_FILES.get((action.metavar or "").rpartition("=")[2])
            if kind:
                action.complete = getattr(shtab, kind)
        parser._print_message(f"{shtab.complete(parser, values)}\n", sys.stdout)
        parser.exit()
