"""Flags of clip-curate for the gate: the fields of GateOptions."""

from __future__ import annotations

from argparse import _ActionsContainer

from curation.gate.plan import GateOptions
from curation.gate.policies import RULES


def add_images(parser: _ActionsContainer) -> None:
    """Add --images and --keep, which more runs need than the other flags of the gate."""
    parser.add_argument(
        "--images",
        nargs="+",
        action="append",
        default=[],
        metavar="PATH",
        help="a table of images, by uid or url: Parquet files or folders of scores; give it again for another table",
    )
    parser.add_argument(
        "--keep",
        metavar="EXPRESSION",
        help="keep the images for which this holds, in Spark SQL over the columns of --images and --status, as "
        '"least(width, height) >= 200 AND clip_score > 0.28"',
    )


def add_gate(group: _ActionsContainer) -> None:
    """Add the other flags of the gate to a group."""
    group.add_argument(
        "--status",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="what img2dataset wrote when it downloaded matched/: count and sample the images that exist",
    )
    group.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="LIST",
        help="count and sample only what these files name: uids or URLs, one a line (also .gz, .zst), or Parquet, CSV, "
        "TSV with a column uid or url",
    )
    group.add_argument(
        "--policy",
        nargs="+",
        default=[],
        metavar="RULE",
        help="remove what rules name, some of them with a number; `recommended` stands for those with a star: "
        + ", ".join(f"{rule.form}{'*' * rule.is_recommended}" for rule in RULES.values()),
    )
    group.add_argument(
        "--decontaminate",
        nargs="+",
        default=[],
        metavar="TABLE",
        help="remove the images of evaluation sets: tables of their pictures, as clip-hash writes them, are compared "
        "by URL, and with the sha256 and phash in --images or --status",
    )
    group.add_argument(
        "--decontaminate-within",
        type=int,
        default=GateOptions.decontaminate_within,
        metavar="K",
        help="bits in which the pHash of an evaluation set's picture may differ (default: %(default)s)",
    )
    group.add_argument(
        "--decontaminate-texts",
        nargs="+",
        default=[],
        metavar="FILE",
        help="remove texts that are prompts or captions of evaluation sets: one a line, or in a column text or caption",
    )
    group.add_argument(
        "--same-image",
        metavar="COLUMN[:K]",
        help="one image of a picture stays, with the texts of all copies: those with the same value in a column of "
        "--images or --status, as sha256, or with hashes that differ in K bits at most, as phash:4",
    )
    group.add_argument(
        "--captions",
        nargs="+",
        default=[],
        metavar="TABLE",
        help="captions of images, with --match-captions: Parquet files with uid (or url), caption and perhaps score",
    )
    group.add_argument(
        "--match-captions",
        action="store_true",
        help="balance an image by its caption: the caption's language and entries take the place of the alt texts'; an "
        "image without a caption keeps its alt texts",
    )
    group.add_argument(
        "--gate-step",
        dest="steps",
        nargs="+",
        default=[],
        metavar="NAME[=VALUE]",
        help="steps of the gate that other installed packages bring, as docs/extending.md says; they come last",
    )
