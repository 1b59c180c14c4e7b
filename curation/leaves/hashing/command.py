"""The command `clip-hash`: write a table with the size and the hashes of each picture."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from curation.leaves.hashing.pipeline import Hashes, hash_images
from curation.leaves.tars.headers import told
from curation.leaves.tars.pictures import OK
from curation.report.languages import counted
from runtime.arguments import Parser
from runtime.console import command
from runtime.engine import engine_for
from runtime.progress import ConsoleProgress
from runtime.terminal import say

NAME = "clip-hash"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        say(summary(run(args)))


def run(args: Namespace) -> Hashes:
    """Hash pictures by the values of a command line, and return the folder of hashes."""
    return hash_images(
        engine_for(args, "hash"),
        args.input,
        args.output,
        pdq=args.pdq,
        overwrite=args.overwrite,
        progress=ConsoleProgress(),
    )


def summary(hashes: Hashes) -> str:
    """Return the lines that the command prints at the end: counts by status, damaged tars and the output folder."""
    broken = {status: number for status, number in hashes.statuses.items() if status != OK}
    reasons = ", ".join(f"{number:,} {status}" for status, number in broken.items()) or "none"
    first = f"{counted(hashes.statuses.get(OK, 0), 'picture')} hashed; without a hash: {reasons}"
    return "\n".join([first, *told(hashes.damaged, hashes.tars), f"hashes: {hashes.path}"])


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line `argv` (None: the process's own)."""
    parser = Parser(
        NAME,
        "Write size, SHA-256 and perceptual hash of each picture: of the tars that img2dataset wrote, or of a folder "
        "of pictures, such as an evaluation set. Broken pictures are counted by reason, and damaged tars are read up "
        "to their damage.",
    )
    parser.add_input("tars or pictures: files, folders with all below them, globs or URLs")
    parser.add_output(
        "folder of the hashes, which all machines share, or a URL; what is in it for the same inputs stays"
    )
    parser.add_argument("--pdq", action="store_true", help="PDQ hashes of 256 bits, too (pip install pdqhash)")
    parser.add_argument("--overwrite", action="store_true", help="replace other hashes in the output folder")
    parser.add_engine()
    return parser.parse_args(argv)
