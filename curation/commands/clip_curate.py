"""The command `clip-curate`: curate pairs into a manifest.

The defaults of flags come from the config classes.
"""

import sys
from argparse import Namespace, _ActionsContainer
from collections.abc import Sequence
from typing import Any

from curation.commands.flags import add_exclude, add_language_rules
from curation.config import CurationConfig
from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.dialects import DIALECTS
from curation.report import warnings
from curation.report.page import summary
from curation.run.pipeline import curate
from curation.run.preview import preview, preview_text
from curation.run.request import Options
from curation.run.results import Results
from metadata.entries import Entries, read_lists
from runtime.arguments import Parser, absolute_path, add_fields, add_flags, helps, made
from runtime.console import FAILED, command
from runtime.engine import engine_for
from runtime.packages import load_own
from runtime.progress import ConsoleProgress
from runtime.terminal import print_result, say

NAME = "clip-curate"
FLAGS = "clip_curation.curate_flags"  # Modules that add flags to this command use this hook.
IDENTITY = {
    "--unique-images": "do not group rows by image, which is faster. The inputs must have one row for each image",
    "--model FILE": "file of the fastText model that identifies languages (default: lid.176.ftz)",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-curate, or preview it with --dry-run; bad input ends in one sentence and exit status 2.

    A run that keeps nothing writes all its files, and ends with status 1 unless --allow-empty is given.
    """
    args = parse_curate(argv)
    with command(NAME):
        if args.dry_run:
            request = called(args)
            del request["engine"]
            foreseen = preview(**request)
            print_result(preview_text(foreseen), numbers=foreseen.numbers())
            return
        results = run(args)
        why = None if args.allow_empty else warnings.nothing_kept(results.facts)
        shown = summary(results.facts | {"warnings": [line for line in results.facts["warnings"] if line != why]})
        paths = f"manifest: {results.path / 'curated'}\nreport:   {results.path / 'report.html'}"
        print_result(f"{shown}\n\n{paths}", numbers=results.facts["rows"])
        if why:
            say(f"{NAME}: {why} (with --allow-empty this is not a failure)", "error")
            sys.exit(FAILED)


def run(args: Namespace) -> Results:
    """Curate with the arguments of a command line; return the results."""
    return curate(**called(args))


def called(args: Namespace) -> dict[str, Any]:
    """Return the arguments for `curate` or `preview` that a command line sets."""
    return {
        "inputs": args.input,
        "output": args.output,
        "metadata": metadata_of(args),
        "config": made(CurationConfig, args),
        "options": options_of(args),
        "engine": engine_for(args, "curate"),
        "progress": ConsoleProgress(),
    }


def metadata_of(args: Namespace) -> Entries | str | None:
    """Return the entries, or the folder of metadata, that a command line names; None for starter metadata."""
    return Entries.build(read_lists(args.entries)) if args.entries else args.metadata


def options_of(args: Namespace) -> Options:
    """Return the Options that a command line sets."""
    values = vars(args) | {"columns": made(TableOptions, args)}
    for flags in load_own(FLAGS).values():
        values |= flags.options(args)
    return made(Options, Namespace(**values))


def parse_curate(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-curate; return the values."""
    return parser().parse_args(argv)


def parser() -> Parser:
    """Return the parser of clip-curate."""
    parser = Parser.of(NAME, __package__)
    _add_main(parser)
    _add_inputs(parser.add_argument_group("what is read"))
    written = parser.add_argument_group("what is written")
    add_fields(written, CurationConfig, helps(__package__, "written"))
    add_flags(written, helps(__package__, "empty"), action="store_true")
    add_fields(parser.add_argument_group("how much is kept"), CurationConfig, helps(__package__, "drawn"))
    matching = parser.add_argument_group("how texts are matched")
    add_fields(matching, CurationConfig, helps(__package__, "matching"))
    add_language_rules(matching)
    for flags in load_own(FLAGS).values():
        flags.add(parser)
    parser.add_engine()
    parser.take_defaults(Options)
    parser.take_defaults(CurationConfig)
    return parser


def _add_main(parser: Parser) -> None:
    """Add the flags that most runs need."""
    add_flags(parser, helps(__package__, "input"), nargs="+", required=True)
    entries = parser.add_mutually_exclusive_group()
    add_flags(entries, helps(__package__, "metadata"))
    add_flags(entries, helps(__package__, "entries"), nargs="+")
    add_fields(parser, TableOptions, helps(__package__, "columns"))
    add_flags(parser, helps(__package__, "output"), required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    add_fields(parser.add_mutually_exclusive_group(), CurationConfig, helps(__package__, "size"))
    add_exclude(parser, default=[])
    add_flags(parser, helps(__package__, "preview"), action="store_true")


def _add_inputs(group: _ActionsContainer) -> None:
    add_fields(group, CurationConfig, helps(__package__, "samples"))
    add_flags(group, helps(__package__, "dialect"), choices=DIALECTS)
    add_fields(group, TableOptions, helps(__package__, "inputs"))
    add_fields(group, Options, IDENTITY)
