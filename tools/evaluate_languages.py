"""Measure how well a language-ID model labels texts of known languages.

    python tools/evaluate_languages.py --gold gold.csv --output judged

Recall, precision and shares are compared by language, and by witness: evidence besides the model's label, such as the
language that a page states.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from curation.commands.flags import add_language_rules
from curation.config import CurationConfig
from curation.exclusion.lists import hosts
from curation.inputs.candidates import coded, unknown_labels
from curation.inputs.tables.lines import SAMPLE, dialect_of
from curation.language.engines import Identifier
from curation.language.judging import WITNESSES, LanguageRules, Stated, Surroundings, judge, weighed
from curation.report.page import environment
from curation.report.warnings import unknown_languages
from metadata.languages import OTHER, named, of_stated
from runtime.arguments import Parser, made
from runtime.arrow import one_array, string_array
from runtime.console import command
from runtime.errors import InputError, no_column
from runtime.storage.own_files import whole
from runtime.storage.paths import as_path, make_folder
from runtime.terminal import aligned, in_one_line, print_result, say
from runtime.wording import number, percent

NAME = "evaluate_languages"
LINES = 25  # languages on the console, those with the most texts
BARS = 60  # languages of the plot

EVALUATED = pa.schema(
    [
        pa.field("language", pa.string()),
        pa.field("texts", pa.int64()),  # texts in the language
        pa.field("found", pa.int64()),  # texts that get the language
        pa.field("right", pa.int64()),  # texts in the language that get it
        pa.field("recall", pa.float64()),  # right / texts
        pa.field("precision", pa.float64()),  # right / found
        pa.field("share", pa.float64()),  # texts / all texts
        pa.field("found_share", pa.float64()),  # found / all texts
        pa.field("mistaken_for", pa.string()),  # the wrong language that most texts in the language get
        pa.field("mean_score", pa.float64()),  # mean score of the model over texts in the language
    ]
)
WITNESSED = pa.schema(
    [
        pa.field("witnesses", pa.string()),  # names of the witnesses that are asked, with spaces between
        pa.field("language", pa.string()),  # true language of the texts; null: all texts
        pa.field("texts", pa.int64()),
        pa.field("decided", pa.int64()),  # texts whose language a witness decides
        pa.field("right", pa.float64()),  # share of decided texts that get their true language
        pa.field("right_before", pa.float64()),  # share of decided texts that get it without witnesses
        pa.field("recall", pa.float64()),  # share of texts that get their true language
        pa.field("precision", pa.float64()),  # share right of texts that get the language (null: any but `other`)
    ]
)


def evaluate(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated | None = None
) -> pa.Table:
    """Return a row of EVALUATED for each language that is true or found, sorted by number of texts, largest first.

    `gold` has the true language of each text, by any label that a table of pairs may state; `stated` has what the input
    says of it. Rows for which `is_gold` is False are left out.
    """
    texts, names, stated = _usable(texts, gold, stated)
    labels, scores = identifier.predict(texts)
    answers = judge(texts, labels, scores, rules, stated)[0].dictionary_encode()
    codes, (own, given) = _numbered(names, answers)
    pairs = np.zeros((len(codes), len(codes)), np.int64)  # texts by their own language and the one given
    np.add.at(pairs, (own, given), 1)
    return _table(codes, pairs, np.bincount(own, scores.to_numpy(), len(codes)))


def evaluate_witnesses(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated | None = None
) -> pa.Table:
    """Return rows of WITNESSED without witnesses, with each witness in `rules` alone, and with all of these witnesses.

    A witness is evidence of the language besides the model's label. Each choice of witnesses has a row for all texts,
    and one for each true language. Arguments are as for `evaluate`.
    """
    texts, names, stated = _usable(texts, gold, stated)
    labels, scores = identifier.predict(texts)
    parts = [(), *((name,) for name in rules.witnesses), *[tuple(rules.witnesses)] * (len(rules.witnesses) > 1)]
    found = [judge(texts, labels, scores, replace(rules, witnesses=part), stated) for part in parts]
    codes, (own, *given) = _numbered(names, *(answers.dictionary_encode() for answers, _ in found))
    before, rows = given[0] == own, []
    for part, answers, (_, by) in zip(parts, given, found, strict=True):
        decided = pc.is_in(by, pa.array([*WITNESSES])).to_numpy(zero_copy_only=False)
        known = np.array([code != OTHER.code for code in codes], bool)[answers]
        masks = {None: (np.ones(len(own), bool), known)}
        masks |= {codes[number]: (own == number, answers == number) for number in np.unique(own).tolist()}
        for code, (texts_of, given_it) in masks.items():
            sure = texts_of & decided
            row = {"witnesses": " ".join(part), "language": code, "texts": texts_of.sum(), "decided": sure.sum()}
            right = {"right": sure, "recall": texts_of, "precision": given_it}
            row |= {name: _mean(answers == own, mask) for name, mask in right.items()}
            rows.append(row | {"right_before": _mean(before, sure)})
    return pa.Table.from_pylist(rows, WITNESSED)


def _mean(values: np.ndarray, mask: np.ndarray) -> float | None:
    return float(values[mask].mean()) if mask.any() else None


def _usable(
    texts: pa.Array, gold: pa.Array, stated: Stated | None
) -> tuple[pa.Array, pa.DictionaryArray, Stated | None]:
    """Return texts, true languages and stated languages of the rows for which `is_gold` is True."""
    texts, gold = string_array(texts, "texts"), string_array(gold, "languages")
    both = is_gold(texts, gold)
    rows = pa.array(np.flatnonzero(both.to_numpy(zero_copy_only=False)))
    return texts.take(rows), gold.take(rows).dictionary_encode(), stated and stated.take(rows)


def is_gold(texts: pa.Array, gold: pa.Array) -> pa.BooleanArray:
    """Return whether each row has a text and a language, neither of them null or only white space."""
    has_text, has_language = (
        pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(each), ""), False) for each in (texts, gold)
    )
    return pc.and_(has_text, has_language)


def _numbered(*columns: pa.DictionaryArray) -> tuple[list[str], list[np.ndarray]]:
    """Return the sorted language codes in all columns, and each column as int64 indices into these codes.

    Unknown labels mean `other`.
    """
    each = [[(of_stated(label) or OTHER).code for label in column.dictionary.to_pylist()] for column in columns]
    codes = sorted({code for own in each for code in own})
    numbers = [np.array([codes.index(code) for code in own], np.int64) for own in each]
    return codes, [own[column.indices.to_numpy()] for own, column in zip(numbers, columns, strict=True)]


def _table(codes: list[str], pairs: np.ndarray, scores: np.ndarray) -> pa.Table:
    texts, found, right = pairs.sum(axis=1), pairs.sum(axis=0), pairs.diagonal()
    wrong = pairs - np.diag(right)
    mistaken = [codes[row.argmax()] if row.any() else None for row in wrong]
    columns = [codes, texts, found, right, _shares(right, texts), _shares(right, found)]
    columns += [_shares(texts, pairs.sum()), _shares(found, pairs.sum()), mistaken, _shares(scores, texts)]
    order = np.lexsort((np.array(codes), -texts))
    return pa.Table.from_arrays([*map(pa.array, columns)], names=EVALUATED.names).cast(EVALUATED).take(pa.array(order))


def _shares(parts: np.ndarray, wholes: np.ndarray) -> pa.Array:
    """Return `parts` / `wholes`, null where the whole is 0."""
    wholes = np.broadcast_to(wholes, parts.shape)
    return pa.array(parts / np.maximum(wholes, 1), mask=wholes == 0)


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
        files = f"table: {args.output}/languages.parquet\nplot:  {args.output}/languages.svg"
        print_result(f"{summary(found)}\n\n{asked}{files}")


def run(args: Namespace) -> tuple[pa.Table, pa.Table]:
    """Evaluate by a parsed command line, and write tables and plot; return the rows of EVALUATED and of WITNESSED."""
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
            f"{args.gold} names no metadata language, but {in_one_line(shown)}; give codes such as en "
            "or deu, or another --language-column"
        )
    if unknown:
        say(
            f"warning: {in_one_line(''.join(unknown_languages(unknown.total(), dict(unknown.most_common())).sentence))}"
        )
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
    """Return the language that each text's page states, and the language that the texts around it give; null if none.

    These come from the columns `page_language` and `page_url`, if present. The texts around a text are those of the
    table, so the table should hold all texts of a page.
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
        remedy = "name the right ones with --text-column and --language-column"
        raise no_column(path, missing, table.column_names, remedy)
    return table


def summary(table: pa.Table) -> str:
    """Return the text for the console: lines for LINES languages, for the others together, and for all texts.

    `table` has the schema EVALUATED.
    """
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
    """Return the text for the console, given a table of WITNESSED: a line for each row that is about all texts."""
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
    template = Path(__file__).with_suffix(".svg").read_text("utf-8")
    return environment().from_string(template).render(rows=rows[:BARS])


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
        help="column of languages: BCP 47 tags, English names, or labels such as eng_Latn (default: language)",
    )
    parser.add_argument("--model", metavar="FILE", help="fastText language identification model (default: lid.176.ftz)")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder of the table and its plot")
    add_language_rules(parser)
    parser.take_defaults(CurationConfig)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
