"""The flags of clip-curate that ask something of images or texts."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from curation.leaves.gate.plan import GateOptions
from curation.leaves.gate.policies import RULES
from runtime.arguments import Parser, add_fields, made

MOST = {
    "--status FOLDER": "what img2dataset wrote when it downloaded matched/: count and sample the images that exist",
    "--policy RULE": "remove what rules name, some of them with a number; `recommended` stands for those with a star: "
    + ", ".join(f"{rule.form}{'*' * rule.is_recommended}" for rule in RULES.values()),
    "--robots FILE": "robots.txt, tdmrep.json and ai.txt of hosts, as robotstxt WARC files of Common Crawl or a table "
    "with host and text: images get the signals that the hosts of their URL and pages state, which rules remove",
    "--keep EXPRESSION": "keep the images for which this holds, in Spark SQL over the columns of --images and "
    '--status, as "least(width, height) >= 200 AND clip_score > 0.28"',
}
GATE = {
    "--only LIST": "count and sample only what these files name: uids or URLs, one a line (also .gz, .zst), or "
    "Parquet, CSV, TSV with a column uid or url",
    "--robots-agents NAME": "agents whose rules in robots.txt count, or files with one a line (default: those in "
    "curation/leaves/gate/robots_agents.txt, such as GPTBot, CCBot and Google-Extended)",
    "--decontaminate TABLE": "remove the images of evaluation sets: tables of their pictures, as clip-hash writes "
    "them, are compared by URL, and with the sha256 and phash in --images or --status",
    "--decontaminate-within K": "bits in which the pHash of an evaluation set's picture may differ",
    "--decontaminate-cosine C": "also remove images whose embedding has this cosine or more with one of an evaluation "
    "set, as 0.9: by the column embedding in both tables (default: not compared)",
    "--decontaminate-texts FILE": "remove texts that are prompts or captions of evaluation sets: one a line, or in a "
    "column text or caption",
    "--same-image COLUMN[:K]": "one image of a picture stays, with the texts of all copies: those with the same value "
    "in a column of --images or --status, as sha256, or with hashes that differ in K bits at most, as phash:4",
    "--same-meaning TABLE": "remove semantic copies with their texts: the folder or the table that clip-cluster "
    "--same-meaning wrote says for which image each goes",
    "--captions TABLE": "captions of images, with --match-captions: Parquet files with uid (or url), caption and "
    "perhaps score",
    "--match-captions": "balance an image by its caption: the caption's language and entries take the place of the alt "
    "texts'; an image without a caption keeps its alt texts",
    "--keep-removed SHARE": "write the texts of this share of the images that all of this removes to gate_removed/, "
    "and show in the report texts of each rule, and the entries that lose most of theirs",
}


def add(parser: Parser) -> None:
    """Add the flags of the gate to a parser: the most common ones first, the others under their own heading."""
    parser.add_argument(
        "--images",
        nargs="+",
        action="append",
        metavar="PATH",
        help="a table of images, by uid or url: Parquet files or folders of scores; give it again for another",
    )
    add_fields(parser, GateOptions, MOST)
    group = parser.add_argument_group("which images stay")
    add_fields(group, GateOptions, GATE)
    group.add_argument(
        "--gate-step",
        dest="steps",
        nargs="+",
        metavar="NAME[=VALUE]",
        help="steps of the gate that other installed packages bring, as docs/how-to/extending.md says; they come last",
    )
    parser.take_defaults(GateOptions)


def options(args: Namespace) -> dict[str, Any]:
    """Return the field `gate` of `Options`: the GateOptions that the flags give."""
    return {"gate": made(GateOptions, args)}
