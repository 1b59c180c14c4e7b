"""The command `clip-verify`: check that files that a command wrote are undamaged, without Spark."""

from argparse import Namespace
from collections.abc import Sequence

from runtime.arguments import Parser, absolute_path, add_flags, helps
from runtime.console import command
from runtime.errors import InputError
from runtime.folders.verify import verify
from runtime.terminal import print_result

NAME = "clip-verify"


def main(argv: Sequence[str] | None = None) -> None:
    """Print that all files of each folder are as they were written; otherwise name the faults and exit with status 2.

    All folders are checked, also after one with faults.
    """
    args = parse(argv)
    with command(NAME):
        faults = list[str]()
        for folder in args.folders:
            try:
                print_result(verify(folder))
            except InputError as fault:
                faults.append(str(fault))
        if faults:
            raise InputError("; ".join(faults))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-verify; return the values."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "verified"), nargs="+", type=absolute_path)
    return parser.parse_args(argv)
