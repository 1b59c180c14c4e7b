"""Takes what lists name out of a finished manifest. Needs no Spark.

python jobs/remove.py --from DIR --exclude LIST... --output NEW_FOLDER
"""

from __future__ import annotations

import argparse

import arguments  # noqa: F401  says what to do where the packages are missing
from console import one_line_errors, say

from curation.exclusion import Exclusion
from curation.removal import remove


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with one_line_errors("remove"):
        say(remove(args.source, Exclusion.read(args.exclude), args.output))


def parse(argv=None) -> argparse.Namespace:
    """Return the values of the command line."""
    parser = argparse.ArgumentParser(
        prog="remove.py",
        description="Write a finished manifest once more, without the images that lists name by uid, URL, domain, "
        "page or regular expression, and a list of what went. Nothing is sampled again.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="DIR", help="output folder of curate.py")
    parser.add_argument(
        "--exclude",
        nargs="+",
        required=True,
        metavar="LIST",
        help="files of uids, URLs, domains, page:DOMAIN or regex:PATTERN, one a line (also .gz, .zst), or "
        "Parquet, CSV, TSV with a column uid or url",
    )
    parser.add_argument("--output", required=True, metavar="NEW_FOLDER", help="a new or empty folder")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
