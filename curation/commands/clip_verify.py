"""The command `clip-verify`: check that what a command wrote is undamaged, without Spark."""

from argparse import Namespace
from collections.abc import Sequence

from curation.run.verify import verify
from runtime.arguments import Parser, absolute
from runtime.console import command
from runtime.terminal import say

NAME = "clip-verify"


def main(argv: Sequence[str] | None = None) -> None:
    """Print that all files of a folder are as they were written; otherwise name the faults and exit with status 2."""
    args = parse(argv)
    with command(NAME):
        say(verify(args.run))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Parse the command line of clip-verify; return the values."""
    parser = Parser(
        NAME,
        "Check that the files of a folder that one of the commands has finished are as they were written, and name "
        "those that are damaged, missing or not of the folder.",
        ("curated", "exported", "s3://bucket/curated"),
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        type=absolute,
        help="output folder of clip-curate, clip-metadata, clip-export, clip-remove, clip-hash, clip-score, "
        "clip-cluster or clip-align, or an index of the online loader; or its URL",
    )
    return parser.parse_args(argv)
