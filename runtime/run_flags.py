"""Add and apply the flags that all commands share, which say how a command runs.

They set what a command writes to the terminal, where its tasks run, and the memory of Spark. One flag prints a shell's
completion script.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from runtime import terminal
from runtime.argument_types import MOST_CORES
from runtime.errors import InputError
from runtime.packages import require_packages

SHELLS = ("bash", "zsh")
_OF_FILES = {"DIR": "DIRECTORY"} | dict.fromkeys(("PATH", "FILE", "FOLDER", "LIST", "RUN", "TABLE"), "FILE")
_SUBMIT, _SHELL = "PYSPARK_SUBMIT_ARGS", "pyspark-shell"  # the variable with Spark's arguments, and its last word


def add(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the flags that every command has to a parser; return the group that shows them in the help."""
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--log-format",
        choices=terminal.FORMATS,
        default=terminal.FORMATS[0],
        help="format of messages: text, or lines of JSON with time, level, step, message and numbers (default: text)",
    )
    group.add_argument(
        "--quiet",
        action="store_true",
        help="write only warnings, errors and the result",
    )
    hidden = argparse.SUPPRESS
    parser.add_argument("--print-completion", action=_Completion, choices=SHELLS, dest=hidden, help=hidden)
    return group


def apply_format(arguments: Sequence[str]) -> None:
    """Apply --log-format and --quiet before a command line is parsed, so that parsing errors are shown accordingly."""
    asked = [f"{flag}={value}" for flag, value in zip(arguments, arguments[1:], strict=False)]
    terminal.write_as("json" if "--log-format=json" in (*arguments, *asked) else "text", "--quiet" in arguments)


def apply(values: argparse.Namespace, refuse: Callable[[str], object]) -> None:
    """Apply the shared flags to this process; `refuse` is called with a sentence about a flag that cannot be used."""
    terminal.write_as(values.log_format, values.quiet)
    cores, master, memory = (getattr(values, name, None) for name in ("cores", "master", "memory"))
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        for flag, value, instead in (("--memory", memory, "--driver-memory"), ("--master", master, "--master")):
            if value is not None:
                refuse(f"{flag} is only for a Spark that this command starts; pass {instead} to spark-submit instead")
    inputs = getattr(values, "input", None) or ()
    if memory is not None and not (master or any(str(path).startswith("table:") for path in inputs)):
        refuse("--memory is only for Spark, which this command does not start; leave it out, or pass --master")
    if cores is not None and (master or "PYSPARK_GATEWAY_PORT" in os.environ):
        refuse(
            "--cores is only for processes of this machine; for Spark, pass --master local[N] or spark-submit's "
            "--executor-cores"
        )
    if master is None and cores is not None:
        master = f"local[{cores}]"
    others = os.environ.get(_SUBMIT, "").removesuffix(_SHELL)
    settings = {"--driver-memory": memory, "--master": master}
    added = "".join(f" {flag} {value}" for flag, value in settings.items() if value is not None)
    if added:
        os.environ[_SUBMIT] = f"{others}{added} {_SHELL}".strip()  # If an argument is given twice, the last counts.


def cores(text: str) -> int:
    """Return the number of processes that a text states, from 1 to MOST_CORES; ArgumentTypeError for other texts."""
    if not re.fullmatch(r"\d{1,5}", text.strip()) or not 1 <= int(text) <= MOST_CORES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of processes from 1 to {MOST_CORES:,}; write a number such as 8"
        )
    return int(text)


def master(text: str) -> str:
    """Return the address of a master of Spark; ArgumentTypeError for other text."""
    if not re.fullmatch(r"local(\[.+\])?|local-cluster\[.+\]|yarn|[a-z0-9]+://.+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the address of a Spark master; write one such as spark://host:7077 or local[*]"
        )
    return text


def memory(text: str) -> str:
    """Return a size of memory as Java takes it, such as 8g; ArgumentTypeError for other text, or a size below 512m.

    Spark refuses less than 450 MB.
    """
    match = re.fullmatch(r"(\d+)([mgt])b?", text.strip().lower())
    if not match or int(match[1]) << {"m": 0, "g": 10, "t": 20}[match[2]] < 512:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size of memory of at least 512m; write one such as 8g or 1500m"
        )
    return match[1] + match[2]


class _Completion(argparse.Action):
    """Prints a shell's completion script as soon as the flag is parsed, even if required flags are missing."""

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
