"""The command `clip-export`: a finished run in the forms that other programs read. Needs no Spark."""

from __future__ import annotations

import os
from argparse import Namespace, _ArgumentGroup
from collections.abc import Sequence
from dataclasses import fields

from curation.commands.arguments import Parser
from curation.export.card import About
from curation.export.experts import ByCluster
from curation.export.forms import FORMS, Given, export
from curation.online.config import CaptionDraw
from runtime.console import command
from runtime.errors import InputError
from runtime.terminal import say


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command("export"):
        about = {field.name: getattr(args, field.name) for field in fields(About)}
        if args.format != "huggingface" and any(about.values()):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name, value in about.items() if value)
            raise InputError(f"{flags} would be said on a dataset card; --format {args.format} writes none")
        clusters = ByCluster(args.clusters, args.expert, args.outsiders, args.seed)
        draw = CaptionDraw(args.caption_ratio, args.seed, args.epoch)
        given = Given(args.tars, args.names, args.captions, draw, clusters)
        say(export(args.run, args.output, args.format, About(**about), args.workers, args.overwrite, given))


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line."""
    parser = Parser(
        "Write a finished run of curate for other programs: DataComp's file of uids; a folder for Hugging "
        "Face with data, card and Croissant; counts, probabilities and texts for a loader that balances as it reads; "
        "tars of the curated pairs.",
    )
    parser.add_argument("run", metavar="RUN", help="output folder of clip-curate")
    parser.add_argument("--format", required=True, choices=tuple(FORMS), help="the form to write")
    parser.add_argument("--output", required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--overwrite", action="store_true", help="replace all that is in --output")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes that write texts, for metaclip, or tars, for webdataset (default: %(default)s)",
    )
    _add_tables(parser)
    names = parser.add_argument_group("other names of languages, for metaclip")
    names.add_argument(
        "--names",
        metavar="FILE",
        help="CSV of language, name and t: what Meta CLIP's loaders call each list of entries and its threshold",
    )
    _add_draws(parser.add_argument_group("what is drawn: captions in place of texts, and outsiders of an expert"))
    _add_about(parser.add_argument_group("the dataset card, for huggingface; what is not given is left out"))
    return parser.parse_args(argv)


def _add_tables(parser: Parser) -> None:
    parser.add_argument(
        "--tars",
        nargs="+",
        default=[],
        metavar="PATH",
        help="tars of img2dataset: for metaclip, write a JSON for each, as Meta CLIP's own loaders read it; for "
        "webdataset, a tar of its curated pairs",
    )
    parser.add_argument(
        "--captions",
        nargs="+",
        default=[],
        metavar="TABLE",
        help="Parquet files with uid, caption and perhaps score and source: columns of huggingface beside the text, "
        "or in place of some texts of webdataset",
    )
    parser.add_argument(
        "--clusters",
        nargs="+",
        default=[],
        metavar="PATH",
        help="folder of clip-cluster, or Parquet files with uid, coarse and perhaps fine: columns of huggingface",
    )
    parser.add_argument(
        "--expert",
        nargs="+",
        type=int,
        default=[],
        metavar="CLUSTER",
        help="write the images of these coarse clusters alone, of --clusters; not for metaclip without tars",
    )


def _add_draws(group: _ArgumentGroup) -> None:
    group.add_argument(
        "--caption-ratio",
        type=float,
        default=CaptionDraw.ratio,
        metavar="SHARE",
        help="of the samples with a caption, those whose txt it is, for webdataset (default: %(default)s)",
    )
    group.add_argument(
        "--epoch",
        type=int,
        default=CaptionDraw.epoch,
        metavar="N",
        help="of the draw of captions, as of the online loader (default: %(default)s)",
    )
    group.add_argument(
        "--outsiders",
        type=float,
        default=ByCluster.outsiders,
        metavar="SHARE",
        help="expected share of images of other clusters than those of --expert, from 0 to 1 (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=CaptionDraw.seed,
        metavar="N",
        help="another seed draws others (default: %(default)s)",
    )


def _add_about(group: _ArgumentGroup) -> None:
    group.add_argument("--dataset-name", metavar="NAME", help="name of the dataset (default: that of RUN)")
    group.add_argument("--license", metavar="ID", help="licence of the manifest, such as cc-by-4.0")
    group.add_argument("--dataset-version", metavar="VERSION", help="such as 1.0.0")
    group.add_argument("--date", metavar="YYYY-MM-DD", help="date of publication")
    group.add_argument("--cite", metavar="TEXT", help="how to cite the dataset")
