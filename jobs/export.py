"""From a finished run to the forms that other programs read. Needs no Spark.

python jobs/export.py --from DIR --to FOLDER --format huggingface
"""

from __future__ import annotations

import argparse
import os
from dataclasses import fields

import arguments  # noqa: F401  says what to do where the packages are missing

from curation.export.card import About
from curation.export.forms import FORMS, export
from runtime.console import command
from runtime.errors import InputError
from runtime.terminal import say


def main(argv=None) -> None:
    """Run the job on a command line; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command("export"):
        said = {field.name: getattr(args, field.name) for field in fields(About)}
        if args.format != "huggingface" and any(said.values()):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name, value in said.items() if value)
            raise InputError(f"{flags} would be said on a dataset card; --format {args.format} writes none")
        say(export(args.source, args.to, args.format, About(**said), args.workers, args.overwrite))


def parse(argv=None) -> argparse.Namespace:
    """Return the values of the command line."""
    parser = argparse.ArgumentParser(
        prog="export.py",
        description="Write a finished run of curate for other programs: DataComp's file of uids; a folder for Hugging "
        "Face with data, card and Croissant; counts, probabilities and texts for a loader that balances as it reads.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="DIR", help="output folder of curate.py")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument("--format", required=True, choices=tuple(FORMS), help="what is written")
    parser.add_argument("--overwrite", action="store_true", help="replace all that is in --to")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes that write texts, for metaclip (default: %(default)s)",
    )
    _add_about(parser.add_argument_group("what the card says, for huggingface; left out where it is not given"))
    return parser.parse_args(argv)


def _add_about(group) -> None:
    group.add_argument("--name", help="of the dataset (default: that of --from)")
    group.add_argument("--license", metavar="ID", help="of the manifest, such as cc-by-4.0")
    group.add_argument("--dataset-version", metavar="VERSION", help="such as 1.0.0")
    group.add_argument("--date", metavar="YYYY-MM-DD", help="of publication")
    group.add_argument("--cite", metavar="TEXT", help="how to cite it")


if __name__ == "__main__":
    main()
