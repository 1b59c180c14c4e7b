"""The command `clip-remove`: copy a finished manifest without the images that exclusion lists name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from curation.commands.flags import add_exclude
from curation.exclusion import Exclusion
from curation.leaves.export.removal import remove
from runtime.arguments import Parser
from runtime.console import command
from runtime.engine import engine_for
from runtime.progress import ConsoleProgress
from runtime.terminal import say

NAME = "clip-remove"


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-remove; bad input ends in one sentence and exit status 2."""
    args = parse(argv)
    with command(NAME):
        exclusion = Exclusion.without_hashes(args.exclude)
        say(remove(engine_for(args, "remove"), args.run, exclusion, args.output, ConsoleProgress()))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-remove; return the values."""
    parser = Parser(
        NAME,
        "Write a finished manifest once more, without the images that lists name by uid, URL, domain, "
        "page or regular expression, and a list of what was removed. Nothing is sampled again.",
    )
    parser.add_argument("run", metavar="RUN", help="output folder of clip-curate, or its URL")
    add_exclude(parser, required=True)
    parser.add_argument("--output", required=True, metavar="DIR", help="a new or empty folder, or a URL")
    parser.add_engine()
    return parser.parse_args(argv)
