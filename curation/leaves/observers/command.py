"""The command `clip-align`: count the texts of a finished run that name classes of evaluation sets."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from curation.leaves.observers.alignment import JSON, Figures, align, read_classes, table, write
from curation.leaves.observers.flags import add_classes
from curation.report.facts import versions
from curation.run.ledger import digest_of
from curation.run.making import Derivation, deriving
from curation.run.results import Results
from runtime.arguments import Parser
from runtime.console import command
from runtime.engine import engine_for
from runtime.progress import ConsoleProgress
from runtime.terminal import say

NAME = "clip-align"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command(NAME):
        say(table(run(args)))


def run(args: Namespace) -> Figures:
    """Return the figures of each language for a parsed command line; write the figures if --output is given."""
    source, classes, progress = Results.open(args.run), read_classes(args.classes, args.templates), ConsoleProgress()
    engine = engine_for(args, "align")
    if args.output is None:
        engine.start(progress)
        return align(engine, source, classes, progress)
    description = {"run": digest_of(source.facts), "classes": repr(classes), "versions": versions()}
    with deriving(engine, args.output, Derivation(description, JSON, [source.path]), progress) as folder:
        found = align(folder.engine, source, classes, progress)
        write(found, folder.path)
    return found


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the parsed command line; `argv` is sys.argv[1:] by default."""
    parser = Parser(
        NAME,
        "Count the texts of a finished run that name the classes of an evaluation set, in the pool that was balanced "
        "and in the manifest, and say how far the counts are from equal: the Kullback-Leibler divergence, in nats.",
    )
    parser.add_argument("run", metavar="RUN", help="output folder of clip-curate, or its URL")
    add_classes(parser, required=True)
    parser.add_argument("--output", metavar="DIR", help="a new folder, or a URL, for alignment.json and alignment.svg")
    parser.add_engine()
    return parser.parse_args(argv)
