"""Flags of what the report counts; those of classes of evaluation sets clip-curate and clip-align share."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from typing import Any

from curation.run.request import Options
from runtime.arguments import Parser, add_fields

TOKENIZER = {"--tokenizer FILE": "tokenizer.json of a model: the share of kept texts over 77 tokens"}
TEMPLATES = "one a line, with {} for the name; a class is named where one of them is in the text (default: the name)"


def add(parser: Parser) -> None:
    """Add the flags to clip-curate, under a heading of their own."""
    group = parser.add_argument_group("what else the report counts (docs/how-to/alignment.md)")
    add_classes(group, default=[])
    add_fields(group, Options, TOKENIZER)


def options(args: Namespace) -> dict[str, Any]:
    """Return the values of the flags as fields of `Options`, by name."""
    return {"classes": args.classes, "templates": args.templates, "tokenizer": args.tokenizer}


def add_classes(group: _ActionsContainer, **options: Any) -> None:
    """Add --classes and --templates to a group or parser; add_argument gets `options` for --classes alone."""
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="LANGUAGE=FILE",
        help="names of an evaluation set's classes, to see how balancing changes their counts "
        "(docs/how-to/alignment.md): a JSON array or object, or a class a line, where | stands between "
        "names of one class",
        **options,
    )
    add_fields(group, Options, {"--templates LANGUAGE=FILE": TEMPLATES})
