"""The command `clip-export`: write a finished run in the formats of other programs."""

from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from curation.plugins.export.formats import ByCluster, Form, answers_in, export, forms
from curation.plugins.export.webdataset import WebDataset
from runtime.arguments import Parser, add_fields, add_flags, helps
from runtime.console import command
from runtime.engine import engine_for
from runtime.errors import InputError, flag
from runtime.packages import UPLOADS, load_own, table_rows
from runtime.progress import ConsoleProgress
from runtime.terminal import print_result

NAME = "clip-export"

# The fields of flags that several forms take, each with the message for a form that does not take the flag.
SHARED = {row["name"]: row["refusal"] for row in table_rows(__package__, "shared_flags.csv")}


def main(argv: Sequence[str] | None = None) -> None:
    """Run clip-export; bad input ends in one sentence and exit status 2."""
    with command(NAME):
        usable, unusable = forms()
        args = parse(argv, usable, unusable)
        if args.format in unusable:
            raise InputError(unusable[args.format])
        form = form_of(args, usable)
        engine = engine_for(args, "export")
        uploads = load_own(UPLOADS).values()
        for module in uploads:
            module.require(args)

        def upload(folder: Path) -> None:
            for module in uploads:
                module.upload(args)

        print_result(export(engine, args.run, args.output, form, args.overwrite, ConsoleProgress(), upload))


def form_of(args: Namespace, usable: dict[str, type[Form]]) -> Form:
    """Return the export format, with options, that a command line asks for; InputError for a flag of other formats."""
    values = vars(args) | {"clusters": ByCluster(args.clusters, args.expert, args.outsiders, args.seed)}
    values["answers"] = answers_in(args.answers)
    values["hub_name"] = getattr(args, "upload", None)  # The flag belongs to the plugin `hub`, which may be missing.
    takes = {name: _defaults(form) for name, form in usable.items()}
    taken = takes[args.format]
    for name, sentence in SHARED.items():
        if getattr(args, name) and name not in taken:
            *most, last = (form for form in usable if name in takes[form])
            takers = " and ".join(filter(None, [", ".join(most), last]))
            raise InputError(sentence.format(takers=takers, form=args.format))
    for form, defaults in takes.items():
        options = [name for name in defaults if name not in taken and name not in (*SHARED, "seed", "hub_name")]
        # An empty list stands for a flag that is not given.
        if flags := [flag(name) for name in options if values[name] not in (defaults[name], [])]:
            raise InputError(usable[form].elsewhere.format(flags=", ".join(flags), form=args.format))
    return usable[args.format](**{name: values[name] for name in taken})


def _defaults(form: type[Form]) -> dict[str, Any]:
    return {field.name: field.default for field in fields(form)}


def parse(argv: Sequence[str] | None, usable: dict[str, type[Form]], others: Iterable[str] = ()) -> Namespace:
    """Return the values of the command line of clip-export; `usable` has the export formats by name.

    `others` are names of formats that cannot be used.
    """
    names = (*usable, *others)
    written = "; ".join(f"{name} writes {form.writes}" for name, form in usable.items())
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "run"))
    add_fields(parser, WebDataset, helps(__package__, "tables"))
    add_flags(parser, helps(__package__, "clusters"), nargs="+", default=[])
    add_flags(parser, helps(__package__, "answers"))
    forms = f"format to write, one of {', '.join(names)}. The format {written}"
    parser.add_argument("--format", required=True, choices=names, metavar="FORM", help=forms)
    add_flags(parser, helps(__package__, "output"), required=True)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    add_flags(parser, helps(__package__, "expert"), nargs="+", type=int, default=[])
    add_fields(parser.add_argument_group("what is drawn"), ByCluster, helps(__package__, "drawn"))
    for form in usable.values():
        form.add_flags(parser)
    for module in load_own(UPLOADS).values():
        module.add(parser)
    parser.add_engine()
    return parser.parse_args(argv)
