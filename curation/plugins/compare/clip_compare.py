"""The command `clip-compare`: compare two runs or manifests, print the comparison, and write it as a page."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from os import PathLike
from typing import Any

from curation.plugins.compare.comparing import compare
from curation.plugins.compare.differences import facts_of
from curation.plugins.compare.manifests import Manifest, require_two
from curation.plugins.compare.new_rows import write_new_rows
from curation.plugins.compare.shown import comparison_page, comparison_text
from runtime.arguments import Parser, add_flags, helps
from runtime.console import command
from runtime.engine import Engine, engine_for
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Wanted, making
from runtime.packages import versions
from runtime.progress import ConsoleProgress, Progress
from runtime.storage.json_files import content_of, write_json
from runtime.storage.paths import absolute, as_path, read_bytes
from runtime.storage.whole import write_text
from runtime.terminal import print_result

NAME = "clip-compare"
COMPARISON = Kind("a comparison", NAME)
PAGE, JSON = "compare.html", "compare.json"


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-compare; bad input ends in one sentence and exit status 2."""
    args = parse(argv)
    with command(NAME):
        facts, sentences = run(args)
        printed = json.dumps(facts) if args.json else "\n\n".join([comparison_text(facts), *sentences])
        print_result(printed)


def run(args: Namespace) -> tuple[dict[str, Any], list[str]]:
    """Compare as a parsed command line says; return the content of compare.json, and sentences about the outputs."""
    require_two(args.one, args.other)
    one = Manifest.open(args.one)
    other = Manifest.open(args.other)
    engine = engine_for(args, "compare")
    progress = ConsoleProgress()
    wanted = Wanted(COMPARISON, _description(one, other), [one.path, other.path])
    if args.output:
        wanted.require_usable(absolute(args.output))  # This error should come before the long comparison.
    sentences = []
    if args.new:
        sentences.append(write_new_rows(engine, one, other, args.new, progress))
    if not args.output:
        return facts_of(compare(one, other, engine, progress)), sentences
    facts = _write(engine, one, other, args.output, wanted, progress)
    return facts, [*sentences, f"page: {as_path(args.output) / PAGE}"]


def _write(
    engine: Engine, one: Manifest, other: Manifest, to: str | PathLike[str], wanted: Wanted, progress: Progress
) -> dict[str, Any]:
    """Write the comparison to a folder, as a page and as JSON; return the content of the JSON file."""
    try:
        with making(engine, to, wanted, progress) as folder:
            facts = facts_of(compare(one, other, folder.engine, progress))
            write_json(folder.path / JSON, facts)
            write_text(folder.path / PAGE, comparison_page(facts))
    except AlreadyComplete as done:
        progress.note(str(done))
        return content_of(read_bytes(as_path(to) / JSON))
    return facts


def _description(one: Manifest, other: Manifest) -> dict[str, Any]:
    return {"one": one.content, "other": other.content, "versions": versions()}


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-compare; return the values."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "sides"))
    add_flags(parser, helps(__package__, "output"))
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    parser.add_engine()
    return parser.parse_args(argv)
