"""The command lines: flags, their help, and their defaults, which the configs hold."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields

try:
    from curation.config import MATCHERS, CurationConfig
    from metadata.config import BIGRAM_SCORES, MetadataConfig
    from metadata.download.sources import SOURCES
    from metadata.rules.text import RULES
except ModuleNotFoundError as error:
    print(
        f"{error.name} is not installed in {sys.executable}: activate the environment that holds this project, or "
        "install it there with `pip install .`",
        file=sys.stderr,
    )
    sys.exit(2)


def parse_curate(argv=None) -> argparse.Namespace:
    """Return the values of curate's command line."""
    parser = argparse.ArgumentParser(
        prog="curate.py",
        description="Keep the balanced fraction of image-text pairs: match metadata entries in each text, count, "
        "derive a threshold per language, sample, and write the curated manifest.",
    )
    _add_inputs(parser.add_argument_group("what is read"))
    _add_outputs(parser.add_argument_group("what is written"))
    _add_amounts(parser.add_argument_group("how much is kept"))
    _add_rules(parser.add_argument_group("how texts are matched"))
    return _with_defaults(parser, CurationConfig).parse_args(argv)


def parse_build(argv=None) -> argparse.Namespace:
    """Return the values of build_metadata's command line."""
    parser = argparse.ArgumentParser(
        prog="build_metadata.py",
        description="Build the metadata entries of each language: numbers, the lemmas of its wordnets, and the words, "
        "word pairs and titles of its Wikipedia. A language whose source is missing is built from the others.",
    )
    sources = parser.add_argument_group("sources")
    sources.add_argument(
        "--wordnet",
        nargs="+",
        default=[],
        metavar="PATH",
        help="Princeton dict folders, OMW tab files, WN-LMF, or folders and zips of them",
    )
    sources.add_argument(
        "--wikipedia",
        nargs="+",
        default=[],
        metavar="PATH",
        help="pages-articles dumps, Cirrus dumps or Parquet with title and text: files or folders",
    )
    sources.add_argument(
        "--language", metavar="CODE", help="Wikipedia code of the dumps, where neither path nor dump tells it"
    )
    sources.add_argument(
        "--pageviews", nargs="+", default=[], metavar="PATH", help="hourly or daily page-view files, or folders of them"
    )
    sources.add_argument(
        "--entries", nargs="+", default=[], metavar="LANGUAGE=FILE", help="a list to take instead of these sources"
    )
    _add_downloads(parser.add_argument_group("downloads"))
    parser.add_argument("--languages", nargs="+", metavar="CODE", help="the languages to build (default: all found)")
    parser.add_argument(
        "--rules", choices=RULES, default=RULES[0], help="how entries will be matched (default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=absolute,
        metavar="DIR",
        help="folder of the metadata, shared by all machines; what is counted is kept",
    )
    _add_numbers(parser.add_argument_group("what becomes an entry"))
    return _with_defaults(parser, MetadataConfig).parse_args(argv)


def absolute(path: str) -> str:
    """Return a path that means the same to workers, which run in folders of their own; a URL stays as it is."""
    return path if "://" in path else os.path.abspath(path)


def _add_downloads(group) -> None:
    group.add_argument(
        "--download",
        nargs="*",
        choices=tuple(SOURCES),
        metavar="SOURCE",
        help="fetch these sources of the languages first, or all: wordnet, wikipedia, pageviews",
    )
    group.add_argument("--download-to", metavar="DIR", help="where to (default: downloads in --output)")
    group.add_argument("--dry-run", action="store_true", help="print files and sizes, fetch and build nothing")
    group.add_argument("--mirror", metavar="URL", help="a copy of dumps.wikimedia.org")
    group.add_argument("--contact", default="", metavar="ADDRESS", help="e-mail or URL that servers are told")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="which days of page views (default: 0)")


def _add_numbers(group) -> None:
    group.add_argument("--bigram-score", choices=BIGRAM_SCORES, help="how word pairs are ranked")
    group.add_argument(
        "--bigram-min-pmi", type=float, metavar="PMI", help="least PMI of a pair, with --bigram-score pmi"
    )
    for name, meaning in (
        ("unigram-limit", "words of a language at most"),
        ("bigram-limit", "word pairs of a language at most"),
        ("title-limit", "titles of a language at most"),
        ("english-unigram-count", "least count of an English word"),
        ("english-title-views", "least views of an English title"),
    ):
        group.add_argument(f"--{name}", type=int, metavar="N", help=meaning)


def _add_inputs(group) -> None:
    group.add_argument(
        "--input",
        nargs="+",
        required=True,
        metavar="PATH",
        help="WAT, WARC, Parquet, JSON lines, CSV or TSV: files, folders, globs or URLs; or a crawl of Common Crawl, "
        "as commoncrawl:CC-MAIN-2024-10",
    )
    group.add_argument("--sample-files", type=int, metavar="N", help="read N of these files, chosen by the seed")
    entries = group.add_mutually_exclusive_group(required=True)
    entries.add_argument(
        "--metadata", metavar="DIR", help="metadata of all languages, as build_metadata.py writes it; or its URL"
    )
    entries.add_argument(
        "--entries",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="lists of entries, as they are: a JSON array or one per line",
    )
    group.add_argument(
        "--url-column",
        metavar="NAME",
        help="column of image URLs, where it is not recognised; a number, from 0, in a file without header",
    )
    group.add_argument("--text-column", metavar="NAME", help="column of texts, likewise")
    group.add_argument(
        "--unique-images",
        action="store_true",
        help="the inputs state each image once: nothing is brought together by image, which is faster",
    )
    group.add_argument(
        "--status",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="what img2dataset wrote when it downloaded matched/: count and sample the images that exist",
    )
    group.add_argument("--model", metavar="FILE", help="fastText language identification model (default: lid.176.ftz)")
    add_exclude(group, default=[])
    group.add_argument("--max-text-length", type=int, metavar="N", help="characters of a text; longer ones are cut")
    for what in ("files", "records"):
        group.add_argument(
            f"--max-bad-{what}", type=float, metavar="SHARE", help=f"stop where more of the {what} are damaged"
        )


def add_exclude(group, **options) -> None:
    """Add --exclude, which curate and remove share."""
    group.add_argument(
        "--exclude",
        nargs="+",
        metavar="LIST",
        help="leave out what files of uids, URLs, domains, page:DOMAIN or regex:PATTERN name, one a line (also .gz, "
        ".zst), or Parquet, CSV, TSV with a column uid or url",
        **options,
    )


def _add_outputs(group) -> None:
    group.add_argument(
        "--output",
        required=True,
        type=absolute,
        metavar="DIR",
        help="folder of the results, which all machines share, or s3://bucket/name or the like; matched/ in it is used "
        "again for the same inputs",
    )
    group.add_argument("--overwrite", action="store_true", help="replace another run in the output folder")
    group.add_argument("--rows-per-file", type=int, metavar="N", help="matched images for each curated file")


def _add_amounts(group) -> None:
    amount = group.add_mutually_exclusive_group()
    amount.add_argument(
        "--english-threshold",
        type=int,
        metavar="T",
        help="t of English; the other languages follow through its tail share",
    )
    amount.add_argument(
        "--target-size",
        type=int,
        metavar="N",
        help="images to keep: take the smallest English t that is expected to give them",
    )
    group.add_argument(
        "--tail-share",
        type=float,
        metavar="P",
        help="tail share of all languages but English, instead of the one that English has at its t",
    )
    group.add_argument("--seed", type=int, metavar="N", help="another seed keeps other pairs")


def _add_rules(group) -> None:
    group.add_argument(
        "--rules",
        choices=RULES,
        help="what is a match: symbols of normalised text, or padded substrings as in Meta CLIP's reference",
    )
    group.add_argument("--matcher", choices=MATCHERS, help="the engine; both give the same matches")
    group.add_argument("--max-texts", type=int, metavar="N", help="texts of one image at most, chosen by hash")
    group.add_argument(
        "--min-language-score", type=float, metavar="S", help="texts whose language is less certain belong to `other`"
    )


def _with_defaults(parser: argparse.ArgumentParser, config: type) -> argparse.ArgumentParser:
    """Take the defaults from a config, and name them in the help."""
    defaults = {field.name: field.default for field in fields(config)}
    for action in parser._actions:
        if defaults.get(action.dest) is not None:
            action.help += " (default: %(default)s)"
    parser.set_defaults(**defaults)
    return parser
