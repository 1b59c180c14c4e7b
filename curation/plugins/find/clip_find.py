"""The command clip-find: look into a finished run, and write the rows that are found."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from curation.plugins.find.entry_lookup import NothingFound
from curation.plugins.find.figures import find_figures
from curation.plugins.find.printed import facts_of, text_of
from curation.plugins.find.searching import Search
from curation.plugins.find.selecting import ROWS, require_new_file, write_found_rows, write_selection
from curation.run.results import Results
from runtime import terminal
from runtime.argument_types import require_integer
from runtime.arguments import Parser, add_flags, helps
from runtime.console import FAILED, command
from runtime.engine import Engine, engine_for
from runtime.engine.local import Local
from runtime.errors import InputError
from runtime.progress import ConsoleProgress, Progress
from runtime.storage.paths import absolute
from runtime.terminal import print_result
from runtime.wording import counted

NAME = "clip-find"
NOTHING = "nothing in the run meets the conditions of the search"
MAX_ROWS_HERE = 5_000_000  # One process can search so many rows in the time that other processes take to start.


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
    _require_sense(args, search)
    file = require_new_file(args.rows) if args.rows else None
    source = Results.open(absolute(args.run))
    progress = ConsoleProgress()
    engine = _engine(args, source)
    sentences = []
    if search.is_of_images and not (args.output or file):
        _print_paths(engine, source, search, args.json, progress)
        return
    if search.described:
        facts = _facts(engine, source, search, progress)
        sentences.append(json.dumps(facts) if args.json else text_of(facts))
    if args.output:
        sentences.append(write_selection(engine, source, search, args.output, args.matched, progress))
    if file:
        with progress.stage("write rows"):
            rows = write_found_rows(source, search, file, args.matched, args.limit or ROWS)
        sentences.append(f"wrote {counted(rows, 'row')} to {file}")
    if args.json:
        print_result(sentences[0])
        return
    print_result("\n\n".join(sentences))


def _engine(args: Namespace, source: Results) -> Engine:
    """Return the engine of a command line; for a run with few rows, this process, unless --cores is given."""
    engine = engine_for(args, "find")
    rows = source.counted[1] + source.facts["rows"]["kept"]
    is_small = engine.is_local and args.cores is None and rows <= MAX_ROWS_HERE
    return Local(1) if is_small else engine


def _print_paths(engine: Engine, source: Results, search: Search, as_json: bool, progress: Progress) -> None:
    """Print the path through the run of each image that a search names; NothingFound if nothing has a row of any."""
    from curation.plugins.find.why import paths  # Most searches need no step of a run, whose import takes a second.

    engine.start(progress)
    with progress.stage("follow the images through the run"):
        explained = paths(source, search.url, search.uid, engine)
    facts = {"asked": search.described, "paths": [path.facts for path in explained]}
    print_result(json.dumps(facts) if as_json else "\n\n\n".join(map(str, explained)))
    if not any(path.is_found for path in explained):
        raise NothingFound("neither the run nor an input that can be read has a row about the image")


def _facts(engine: Engine, source: Results, search: Search, progress: Progress) -> dict[str, Any]:
    """Return the facts about what a search finds, which are printed; NothingFound if there is nothing."""
    engine.start(progress)
    with progress.stage("search the run"):
        figures = find_figures(engine, source, search)
    if not figures.images and not figures.kept:
        raise NothingFound(NOTHING)
    return facts_of(figures)


def _require_sense(args: Namespace, search: Search) -> None:
    """Raise an InputError if flags are missing that others need."""
    if not (search.described or args.rows or args.output):
        raise InputError("no condition is given; pass --entry, --language, --domain, --url, --uid or --text")
    if args.json and not search.described:
        raise InputError("--json prints the figures of a search; pass --entry or another condition with it")
    if args.matched and not (args.rows or args.output):
        raise InputError("--matched says which rows are written; pass --output or --rows with it")
    if args.limit is not None:
        if not args.rows:
            raise InputError("--limit is the largest number of rows in a file; pass --rows with it")
        require_integer("--limit", args.limit, 1)


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
