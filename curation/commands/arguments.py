"""Flags of clip-curate and their help; their defaults are those of the config."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from collections.abc import Sequence
from typing import Any

from curation.commands.gate_arguments import add_gate, add_images
from curation.commands.scores import Scores
from curation.config import EVIDENCE, FATES, MATCHERS, PAGE_LANGUAGE, THRESHOLDS, CurationConfig
from curation.inputs.tables.dialects import DIALECTS
from metadata.rules.text import RULES
from runtime.arguments import Parser, absolute


def parse_curate(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line of clip-curate."""
    parser = Parser(
        "Keep the balanced fraction of image-text pairs: match metadata entries in each text, count, "
        "derive a threshold per language, sample, and write the curated manifest.",
    )
    _add_main(parser)
    _add_inputs(parser.add_argument_group("what is read"))
    add_gate(parser.add_argument_group("which images stay"))
    _add_outputs(parser.add_argument_group("what is written"))
    _add_amounts(parser.add_argument_group("how much is kept"))
    _add_rules(parser.add_argument_group("how texts are matched"))
    _add_ablations(parser.add_argument_group("ablations of the papers (docs/ablations.md)"))
    parser.take_defaults(CurationConfig)
    return parser.parse_args(argv)


def _add_main(parser: Parser) -> None:
    """Add the flags that most runs need."""
    parser.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="PATH",
        help="WAT, WARC, Parquet, JSON lines, CSV or TSV: files, folders, globs or URLs; or a crawl of Common Crawl, "
        "as commoncrawl:CC-MAIN-2024-10; or a table of Spark's catalog, as table:db.pairs",
    )
    entries = parser.add_mutually_exclusive_group(required=True)
    entries.add_argument(
        "--metadata", metavar="DIR", help="metadata of all languages, as clip-metadata writes it; or its URL"
    )
    entries.add_argument(
        "--entries",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="lists of entries, as they are: a JSON array or one per line",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=absolute,
        metavar="DIR",
        help="folder of the results, which all machines share, or s3://bucket/name or the like; matched/ in it is used "
        "again for the same inputs",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace another run in the output folder")
    parser.add_argument(
        "--url-column",
        metavar="NAME",
        help="column of image URLs, where it is not recognised; a number, from 0, in a file without header",
    )
    parser.add_argument("--text-column", metavar="NAME", help="column of texts, likewise")
    _add_size(parser)
    add_exclude(parser, default=[])
    add_images(parser)


def _add_size(parser: Parser) -> None:
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--english-threshold",
        type=int,
        metavar="T",
        help="t of English: the matches from which on an entry is frequent; each other language gets the t at which "
        "rare entries hold the same share of its matches as in English",
    )
    amount.add_argument(
        "--target-size",
        type=int,
        metavar="N",
        help="images to keep: take the smallest English t that is expected to give them",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="another seed keeps other pairs")


def _add_inputs(group: _ActionsContainer) -> None:
    group.add_argument("--sample-files", type=int, metavar="N", help="read N files of the input, chosen by the seed")
    group.add_argument(
        "--dialect",
        choices=DIALECTS,
        metavar="NAME",
        help="how CSV and TSV are written, instead of what the first rows of each show: comma, tab or semicolon, and "
        "-quoted (fields may stand in quotes), -escaped (with backslashes before quotes in them, as Spark writes) or "
        "-plain (quotes mean nothing), such as tab-plain",
    )
    group.add_argument(
        "--uid-column",
        metavar="NAME",
        help="column of what names each image; none: its URL names it, even beside a column uid",
    )
    group.add_argument(
        "--unique-images",
        action="store_true",
        help="the inputs state each image once: nothing is brought together by image, which is faster",
    )
    group.add_argument("--model", metavar="FILE", help="fastText language identification model (default: lid.176.ftz)")
    group.add_argument("--max-text-length", type=int, metavar="N", help="characters of a text; longer ones are cut")
    for what in ("files", "records"):
        group.add_argument(
            f"--max-bad-{what}", type=float, metavar="SHARE", help=f"stop where a larger share of the {what} is damaged"
        )
    group.add_argument(
        "--max-shared-uids",
        type=float,
        metavar="SHARE",
        help="stop where more of the uids are given to several URLs, or to rows of --images or --status that differ",
    )


def add_exclude(group: _ActionsContainer, **options: Any) -> None:
    """Add --exclude, which curate and remove share."""
    group.add_argument(
        "--exclude",
        nargs="+",
        metavar="LIST",
        help="leave out what these files name: uids, URLs, domains, page:DOMAIN or regex:PATTERN, one a line (also "
        ".gz, .zst), or Parquet, CSV, TSV with a column uid or url",
        **options,
    )


def _add_outputs(group: _ActionsContainer) -> None:
    add_classes(group, default=[])
    group.add_argument("--rows-per-file", type=int, metavar="N", help="matched images for each curated file")


def add_classes(group: _ActionsContainer, **options: Any) -> None:
    """Add --classes and --templates, which curate and align share."""
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="names of an evaluation set's classes, to see how balancing changes their counts (docs/alignment.md): a "
        "JSON array or object, or a class a line, where | stands between names of one class",
        **options,
    )
    group.add_argument(
        "--templates",
        nargs="+",
        default=[],
        metavar="LANGUAGE=FILE",
        help="one a line, with {} for the name; a class is named where one of them is in the text (default: the name)",
    )


def _add_amounts(group: _ActionsContainer) -> None:
    group.add_argument(
        "--tail-share",
        type=float,
        metavar="P",
        help="tail share of all languages but English, instead of the one that English has at its t",
    )


def _add_rules(group: _ActionsContainer) -> None:
    group.add_argument(
        "--rules",
        choices=RULES,
        help="what is a match: symbols of normalised text, or padded substrings as in Meta CLIP's reference",
    )
    group.add_argument("--matcher", choices=MATCHERS, help="the engine; both give the same matches")
    group.add_argument(
        "--evidence",
        choices=EVIDENCE,
        help="what a text needs to be matched: any entry, or one with two letters (or one character of a script "
        "without spaces): numbers and single letters alone are no proof",
    )
    group.add_argument(
        "--page-language",
        choices=PAGE_LANGUAGE,
        help="whether a text of a WARC page whose language is doubtful gets the one that `lang` states",
    )
    group.add_argument("--max-texts", type=int, metavar="N", help="texts of one image at most, chosen by hash")
    add_language_rules(group)


def add_language_rules(group: _ActionsContainer) -> None:
    """Add the flags that decide when a text counts as in the language of its label."""
    group.add_argument(
        "--min-language-score",
        action=Scores,
        nargs="+",
        metavar="S",
        help="texts whose language is less certain belong to `other`: a score for all languages, or for one as da=0.6",
    )
    group.add_argument(
        "--no-language",
        choices=FATES,
        help="what becomes of texts without letters, names of files, addresses and HTML, which are in no language",
    )
    group.add_argument(
        "--wrong-script",
        choices=FATES,
        help="what becomes of a text whose letters are all of scripts that the language of its label is not written in",
    )


def _add_ablations(group: _ActionsContainer) -> None:
    group.add_argument(
        "--metadata-of", metavar="LANGUAGE", help="match texts of every language against the entries of this one"
    )
    group.add_argument(
        "--merge-languages", action="store_true", help="match every text against one list of all entries"
    )
    group.add_argument(
        "--threshold-per-language",
        choices=THRESHOLDS,
        help="threshold of each language but English: its own, from its tail share, or the same as that of English",
    )
    group.add_argument(
        "--no-balance", dest="balance", action="store_false", help="keep every image that has a match: all rates are 1"
    )
