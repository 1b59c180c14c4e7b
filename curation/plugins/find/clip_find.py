"""The command clip-find: look into a finished run, and write the rows that are found."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence

from curation.plugins.find.entry_lookup import NothingFound
from curation.plugins.find.figures import find_figures
from curation.plugins.find.printed import facts_of, text_of
from curation.plugins.find.searching import Search
from curation.run.results import Results
from runtime import terminal
from runtime.arguments import Parser, add_flags, helps
from runtime.console import FAILED, command
from runtime.engine import engine_for
from runtime.errors import InputError
from runtime.progress import ConsoleProgress
from runtime.terminal import print_result

NAME = "clip-find"
NOTHING = "nothing in the run meets the search"


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-find; the exit status is 1 if nothing is found, and 2 for bad input, with one sentence."""
    args = parse(argv)
    with command(NAME):
        try:
            run(args)
        except NothingFound as error:
            terminal.say(f"{NAME}: {error}", "error")
            sys.exit(FAILED)


def run(args: Namespace) -> None:
    """Search as a parsed command line says; print what is found."""
    search = Search(args.entry, args.language, args.domain, args.url, args.uid, args.text)
    if not search.described:
        raise InputError(
            "no condition is given; give at least one of --entry, --language, --domain, --url, --uid, --text"
        )
    source = Results.open(args.run)
    progress = ConsoleProgress()
    engine = engine_for(args, "find")
    with progress.stage("search the run"):
        figures = find_figures(engine, source, search)
    if not figures.images and not figures.kept:
        raise NothingFound(NOTHING)
    facts = facts_of(figures)
    print_result(json.dumps(facts) if args.json else text_of(facts))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-find; return the values."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "run"))
    add_flags(parser, helps(__package__, "conditions"), nargs="+", default=[])
    add_flags(parser, helps(__package__, "pattern"))
    add_flags(parser, helps(__package__, "output"))
    rows = parser.add_argument_group("rows, and figures for programs")
    add_flags(rows, helps(__package__, "switches"), action="store_true")
    add_flags(rows, helps(__package__, "rows"))
    add_flags(rows, helps(__package__, "limit"), type=int)
    parser.add_engine()
    return parser.parse_args(argv)
