"""Takes what lists name out of a finished manifest. Needs no Spark.

python jobs/remove.py --from DIR --exclude LIST... --output NEW_FOLDER
"""

from __future__ import annotations

import argparse

from arguments import add_exclude

from curation.exclusion.filter import Exclusion
from curation.export.removal import remove
from runtime.console import command
from runtime.terminal import say


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command("remove"):
        say(remove(args.source, Exclusion.read(args.exclude), args.output))


def parse(argv=None) -> argparse.Namespace:
    """Return the values of the command line."""
    parser = argparse.ArgumentParser(
        prog="remove.py",
        description="Write a finished manifest once more, without the images that lists name by uid, URL, domain, "
        "page or regular expression, and a list of what went. Nothing is sampled again.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="DIR", help="output folder of curate.py")
    add_exclude(parser, required=True)
    parser.add_argument("--output", required=True, metavar="NEW_FOLDER", help="a new or empty folder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
