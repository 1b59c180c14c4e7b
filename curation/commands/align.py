"""The command `clip-align`: count the texts of a finished run that name classes of evaluation sets, without Spark."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext

from curation.commands.curate_flags import add_classes
from curation.observers.alignment import align, table, write
from curation.observers.classes import read_classes
from curation.run.finished import open_local
from runtime.arguments import Parser
from runtime.console import command
from runtime.storage.output_folders import new_folder
from runtime.terminal import say


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command("align"):
        run, classes = open_local(args.run), read_classes(args.classes, args.templates)
        with new_folder(args.output, [run.path]) if args.output else nullcontext() as folder:
            found = align(run, classes)
            if folder:
                write(found, folder)
        say(table(found))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line."""
    parser = Parser(
        "Count the texts of a finished run that name the classes of an evaluation set, in the pool that was balanced "
        "and in the manifest, and say how far the counts are from equal: the Kullback-Leibler divergence, in nats.",
    )
    parser.add_argument("run", metavar="RUN", help="output folder of clip-curate")
    add_classes(parser, required=True)
    parser.add_argument("--output", metavar="DIR", help="write alignment.json and alignment.svg to a new folder")
    return parser.parse_args(argv)
