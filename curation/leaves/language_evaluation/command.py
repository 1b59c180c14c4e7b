"""The command `clip-lid-eval`: measure how well a language-ID model labels texts of known languages."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from curation.commands.flags import add_language_rules
from curation.config import CurationConfig
from curation.exclusion.lists import hosts
from curation.inputs.candidates import coded, unknown_labels
from curation.inputs.tables.lines import SAMPLE, dialect_of
from curation.language.engines import Identifier
from curation.language.judging import LanguageRules, Stated
from curation.language.pool import Surroundings, weighed
from curation.leaves.language_evaluation.evaluation import evaluate, evaluate_witnesses, is_gold
from curation.report.languages import aligned, named, number, percent
from curation.report.page import environment
from curation.report.warnings import unknown_languages
from metadata.languages import OTHER
from runtime.arguments import Parser, made
from runtime.arrow import one_array
from runtime.console import command
from runtime.errors import InputError
from runtime.storage.paths import as_path, make_folder
from runtime.storage.whole import whole
from runtime.terminal import in_one_line, say

NAME = "clip-lid-eval"
LINES = 25  # languages on the console, those with the most texts
BARS = 60  # languages of the plot


def _read_delimited(file: Any, path: str, column: str) -> pa.Table:
    """Return the table in a CSV or TSV file, read in the dialect in which the first row has the name `column`."""
    begin = StringIO(file.read(SAMPLE).decode("utf-8-sig", "replace"), newline="\n")
    file.seek(0)
    dialect = dialect_of(begin.readlines(), path, lambda rows: int(column in next(rows, [])))
    return csv.read_csv(file, parse_options=dialect.arrow())


READERS: dict[str, Callable[[Any, str, str], pa.Table]] = {
    ".parquet": lambda file, path, column: parquet.read_table(file),
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": lambda file, path, column: json.read_json(file),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command(NAME):
        found, witnessed = run(args)
        asked = f"{witness_summary(witnessed)}\n\n" if args.witnesses else ""
        say(f"{summary(found)}\n\n{asked}table: {args.output}/languages.parquet\nplot:  {args.output}/languages.svg")


def run(args: Namespace) -> tuple[pa.Table, pa.Table]:
    """Evaluate by a parsed command line and write tables and plot; return a table of EVALUATED and one of WITNESSED."""
    table = read_gold(args.gold, args.text_column, args.language_column)
    names = args.text_column, args.language_column
    texts, languages = (one_array(table[name].cast(pa.large_string())) for name in names)
    usable = is_gold(texts, languages)
    if left_out := len(texts) - usable.true_count:
        say(f"{left_out:,} of {len(texts):,} rows are left out: they have no text or no language")
    if not usable.true_count:
        raise InputError(f"{args.gold} has no row with a text and a language; give texts whose languages are known")
    if (unknown := unknown_labels(languages.filter(usable))) and unknown.total() == usable.true_count:
        shown = ", ".join(label for label, _ in unknown.most_common(3))
        raise InputError(
            f"{args.gold} names no language that languages.csv knows, but {in_one_line(shown)}; give codes such as en "
            "or deu, or another --language-column"
        )
    if unknown:
        say(f"warning: {in_one_line(''.join(unknown_languages(unknown.total(), dict(unknown.most_common()))))}")
    identifier, rules = Identifier.open(args.model), LanguageRules.of(made(CurationConfig, args))
    asked = texts, languages, identifier, rules, stated_by(table, texts, identifier, rules)
    found, witnessed = evaluate(*asked), evaluate_witnesses(*asked)
    folder = make_folder(as_path(args.output))
    for name, rows in {"languages": found, **({"witnesses": witnessed} if rules.witnesses else {})}.items():
        with whole(folder / f"{name}.parquet") as file:
            parquet.write_table(rows, file)
        with whole(folder / f"{name}.csv") as file:
            csv.write_csv(rows, file)
    with whole(folder / "languages.svg") as file:
        file.write_text(plot(found), encoding="utf-8")
    return found, witnessed


def stated_by(table: pa.Table, texts: pa.Array, identifier: Identifier, rules: LanguageRules) -> Stated:
    """Return the languages that pages and the texts around a text give, by `page_language` and `page_url` if present.

    The texts around a text are those of the table, so the table should hold all texts of a page.
    """
    pages, urls = (
        one_array(table[name].cast(pa.string())) if name in table.column_names else pa.nulls(len(table), pa.string())
        for name in ("page_language", "page_url")
    )
    pages = coded(pages)
    pages = pc.if_else(pc.equal(pages, OTHER.code), None, pages)  # empty labels, too, became `other`
    if "pool" not in rules.witnesses:
        return Stated(pages, pa.nulls(len(table), pa.string()))
    around = rules.pool_shares or Surroundings(urls, hosts(urls, str.lower), pages)
    return Stated(pages, weighed(texts, identifier.predict(texts), identifier, around))


def read_gold(path: str, text_column: str, language_column: str) -> pa.Table:
    """Return the table at `path`; InputError if the file cannot be read, or lacks one of the two columns."""
    reader = READERS.get(Path(path).suffix)
    if reader is None:
        raise InputError(f"{path} is no table of {', '.join(READERS)}: give one of these")
    try:
        with as_path(path).open("rb") as file:
            table = reader(file, path, text_column)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as {Path(path).suffix} ({error})") from None
    missing = [name for name in (text_column, language_column) if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path} has no column {' and '.join(missing)}; it has {', '.join(table.column_names)}: name the right "
            "ones with --text-column and --language-column"
        )
    return table


def summary(table: pa.Table) -> str:
    """Return the text that the console shows of a table of EVALUATED: lines of LINES languages, the others, and all."""
    rows = table.to_pylist()
    own = [each for each in rows if each["texts"]]
    lines: list[tuple[str, ...]] = [("language", "texts", "recall", "precision", "share", "found", "mistaken for")]
    for each in own[:LINES]:
        recall, precision = (percent(each["right"], each[name]) for name in ("texts", "found"))
        shares = recall, precision, percent(each["share"]), percent(each["found_share"])
        lines.append((named(each["language"]), number(each["texts"]), *shares, each["mistaken_for"] or ""))
    if rest := own[LINES:]:
        lines.append((f"{len(rest)} more", number(sum(each["texts"] for each in rest)), "", "", "", "", ""))
    texts, right = (sum(each[name] for each in own) for name in ("texts", "right"))
    told, true = (sum(each[name] for each in rows if each["language"] != OTHER.code) for name in ("found", "right"))
    lines.append(("all", number(texts), percent(right, texts), percent(true, told), "", "", ""))
    return "\n".join(aligned(lines, left=(0, 6)))


def witness_summary(table: pa.Table) -> str:
    """Return the text that the console shows of a table of WITNESSED: a line for each row that is over all texts."""
    lines: list[tuple[str, ...]] = [("witnesses", "decided", "of texts", "right", "before", "recall", "precision")]
    for each in table.to_pylist():
        if each["language"] is None:
            shares = (percent(each["decided"], each["texts"]), percent(each["right"]), percent(each["right_before"]))
            all_texts = percent(each["recall"]), percent(each["precision"])
            lines.append((each["witnesses"] or "none", number(each["decided"]), *shares, *all_texts))
    return "\n".join(aligned(lines))


def plot(table: pa.Table) -> str:
    """Return an SVG with recall and precision of the BARS languages with the most texts in a table of EVALUATED."""
    rows = [each for each in table.to_pylist() if each["texts"]]
    return environment(__package__).get_template("evaluation.svg").render(rows=rows[:BARS])


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the parsed command line; `argv` is sys.argv[1:] by default."""
    parser = Parser(
        NAME,
        "Compare the languages that a model and the rules of clip-curate give texts with those that they are in: "
        f"recall, precision and share of each language. Texts that get no language count as {OTHER.code}.",
    )
    parser.add_argument(
        "--gold", required=True, metavar="FILE", help=f"a table of texts and their languages: {', '.join(READERS)}"
    )
    parser.add_argument("--text-column", default="text", metavar="NAME", help="column of texts (default: text)")
    parser.add_argument(
        "--language-column",
        default="language",
        metavar="NAME",
        help="column of languages: BCP 47 tags, English names, codes or labels of languages.csv (default: language)",
    )
    parser.add_argument("--model", metavar="FILE", help="fastText language identification model (default: lid.176.ftz)")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder of the table and its plot")
    add_language_rules(parser)
    parser.take_defaults(CurationConfig)
    return parser.parse_args(argv)
