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


def add_memory(group: argparse._ArgumentGroup) -> None:
    """Add --memory, of a command that starts Spark."""
    group.add_argument(
        "--memory",
        type=_memory,
        metavar="SIZE",
        help="memory of Spark's Java, such as 8g, which this command starts; Python's workers have their own",
    )


def apply_format(given: Sequence[str]) -> None:
    """Write in the format that a command line asks for already what is wrong with that."""
    asked = [f"{flag}={value}" for flag, value in zip(given, given[1:], strict=False)]
    terminal.write_as("json" if "--log-format=json" in (*given, *asked) else "text")


def apply(values: argparse.Namespace, refuse: Callable[[str], object]) -> None:
    """Let this process run as the values of a command line say."""
    terminal.write_as(values.log_format, values.quiet)
    if getattr(values, "memory", None) is None:
        return
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        refuse("--memory is for a Spark that this command starts; give spark-submit --driver-memory")
    others = os.environ.get(_SUBMIT, "").removesuffix(_SHELL)
    os.environ[_SUBMIT] = f"{others} --driver-memory {values.memory} {_SHELL}".strip()  # of two the last counts


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
