"""Measure how the classes of evaluation sets are distributed in a run's pool (before balancing) and in its manifest.

The module works as an observer during a run, and on a finished run. Tasks count the texts that name each class. The
classes of a language are read from a JSON array or object, or from a text file with one class per line. A class may
have several names. Templates such as `a photo of a {}` define the forms in which a name is looked for. The command
`clip-align` counts in a finished run; its flags are also flags of clip-curate.
"""

import json
from argparse import Namespace, _ActionsContainer
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.matching.matcher import Matcher
from curation.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Label, LogAxis, points
from curation.report.facts import Observed, Section
from curation.report.page import environment
from curation.run.finished_run import curated_files, matched_files
from curation.run.request import Observation, Observer, Options
from curation.run.results import Results
from metadata.entries import FilesOfLanguages, files_of_languages
from metadata.languages import language, named
from metadata.rules import Rules
from runtime.arguments import Parser, add_fields, add_flags, helps
from runtime.arrow import parts
from runtime.console import command
from runtime.engine import Engine, EngineLike, engine_for, engine_of
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Wanted, making
from runtime.folders.stamps import digest_of
from runtime.messages import did_you_mean, quoted
from runtime.packages import versions
from runtime.progress import ConsoleProgress, Progress
from runtime.storage.json_files import content_of, write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.paths import as_path, read_bytes
from runtime.storage.whole import write_text
from runtime.tallies import TaskResult
from runtime.terminal import aligned, print_result
from runtime.wording import decimal, number, percent

BETWEEN_NAMES = "|"  # This separates the names of a class in a line of text; names may contain commas.
AS_IT_IS = ("{}",)
FORM = "pass a JSON array with a name or an array of names for each class, a JSON object, or one class per line"
POOL, MANIFEST = "pool", "manifest"
TEXTS, NAMING, CLASSES = 0, 1, 2  # The counts are of all texts, of texts that name a class, and of each class.

Rows = Iterable[tuple[pa.Array, pa.Array]]  # batches of texts and of the languages of these texts
FilesOfParts = dict[str, list[OwnFile]]  # the files of POOL and of MANIFEST

JSON, PLOT = "alignment.json", "alignment.svg"
ALIGNMENT = Kind("an alignment", "clip-align", version=2)
Figures = dict[str, dict[str, Any]]  # code of a language → its figures, as `alignment` returns them
HEADINGS = ("language", "classes", "in pool", "in manifest", "texts with one", "of manifest", "KL pool", "KL manifest")

LEGEND = (Label(RIGHT - 6, TOP + 14, "pool", "end", "before"), Label(RIGHT - 6, TOP + 30, "manifest", "end", "after"))


@dataclass(frozen=True)
class Classes:
    """The classes of one language: a label of each class, and the texts that name the class."""

    labels: tuple[str, ...]
    forms: tuple[tuple[str, ...], ...]  # the forms of each class


def read_classes(arguments: FilesOfLanguages, templates: FilesOfLanguages = ()) -> dict[str, Classes]:
    """Return the classes of each language, by code.

    `arguments` name the files of classes, and `templates` the files of templates, as {"en": FILE} or strings `en=FILE`.
    InputError for a file that cannot be used, a template without {}, and templates of a language without classes.
    """
    wanted = {code: _lines(path) for code, path in _files(templates, "templates").items()}
    for code, lines in wanted.items():
        if unfit := next((line for line in lines if "{}" not in line), None):
            raise InputError(f"the template {quoted(unfit)!r} of {code} has no {{}} in the place of the name; add it")
    files = _files(arguments, "classes")
    if without := [code for code in wanted if code not in files]:
        raise InputError(f"there are templates of {', '.join(without)} but no classes; pass classes of that language")
    return {code: _classes(_read(path), wanted.get(code, AS_IT_IS), path) for code, path in files.items()}


def _files(arguments: FilesOfLanguages, what: str) -> dict[str, Path]:
    files = files_of_languages(arguments, what, "en=imagenet.json")
    return {code: Path(path) for code, path in files.items()}


def _classes(named: list[tuple[str, Sequence[Any]]], templates: Sequence[str], path: Path) -> Classes:
    for label, names in named:
        is_list = isinstance(names, Sequence) and len(names) > 0
        if not is_list or not all(isinstance(name, str) and name.strip() for name in names):
            raise InputError(f"{path} has a class {quoted(label)!r} whose names are not strings with letters; {FORM}")
    if not named:
        raise InputError(f"{path} does not have any classes; {FORM}")
    return Classes(tuple(label for label, _ in named), tuple(_forms(names, templates) for _, names in named))


def _forms(names: Sequence[str], templates: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct texts that the templates make of a class's names, by template and then by name."""
    forms: dict[str, None] = {}
    for template in templates:
        forms |= dict.fromkeys(template.replace("{}", name.strip()) for name in names)
    return tuple(forms)


def _read(path: Path) -> list[tuple[str, Sequence[Any]]]:
    """Return the label and the names of each class in a file, unchecked; the label is a JSON key, or the first name."""
    text = _text(path)
    if text.lstrip()[:1] not in ("[", "{"):
        split = [line.split(BETWEEN_NAMES) for line in _lines(path)]
        return [(names[0].strip(), names) for names in split]
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} begins like JSON, but is not valid JSON ({error}); {FORM}") from None
    named: list[tuple[str, Sequence[Any]]] = []
    if isinstance(content, dict):
        for label, names in content.items():
            named.append((label, [names] if isinstance(names, str) else names))
    else:
        for name_or_names in content:
            names = name_or_names if isinstance(name_or_names, list) else [name_or_names]
            named.append((str(names[0]) if names else "", names))
    return named


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); pass a file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None


class ClassFinder:
    """Finds the classes of one language in texts."""

    def __init__(self, classes: Classes, rules: Rules) -> None:
        forms = pa.array([*chain.from_iterable(classes.forms)], pa.string())
        self._matcher = Matcher.build(pc.utf8_lower(forms), rules)
        self._class_of = np.repeat(np.arange(len(classes.forms)), [len(forms) for forms in classes.forms])
        self.classes = len(classes.labels)

    def named(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return index of text and index of class, for each pair of a text and a class that the text names.

        Both are int64 arrays. Pairs are distinct, and sorted by text and class.
        """
        names, offsets = parts(self._matcher.find(pc.utf8_lower(texts)))
        text = np.repeat(np.arange(len(texts)), np.diff(offsets))
        return np.divmod(np.unique(text * self.classes + self._class_of[names.to_numpy()]), self.classes)


@lru_cache(maxsize=1)
def finders_of(classes: tuple[tuple[str, Classes], ...], rules: Rules) -> dict[str, ClassFinder]:
    """Return a finder of the classes of each language, by code; `rules` are the rules by which a run matches."""
    return {code: ClassFinder(language_classes, rules) for code, language_classes in classes}


def count_classes(rows: Rows, finders: dict[str, ClassFinder]) -> dict[str, np.ndarray]:
    """Return by language int64[CLASSES + classes]: texts, texts that name a class, and texts that name each class.

    Case is ignored.
    """
    counts = {code: np.zeros(CLASSES + finder.classes, np.int64) for code, finder in finders.items()}
    for texts, languages in rows:
        for code, finder in finders.items():
            language_texts = texts.filter(pc.equal(languages, code).fill_null(False))
            text, named = finder.named(language_texts)
            counts[code][:CLASSES] += len(language_texts), len(np.unique(text))
            counts[code][CLASSES:] += np.bincount(named, minlength=finder.classes)
    return counts


def divergence(counts: np.ndarray) -> float | None:
    """Return the Kullback-Leibler divergence of the shares of counts from equal shares, in nats; None if all are 0.

    The divergence is 0 if all counts are equal, and log(number of counts) if all counts but one are 0.

    >>> divergence(np.array([5, 5])), round(divergence(np.array([8, 0])), 4), divergence(np.array([0]))
    (0.0, 0.6931, None)
    """
    if not counts.sum():
        return None
    shares = counts[counts > 0] / counts.sum()
    return float((shares * np.log(shares * len(counts))).sum())


def alignment(classes: Classes, counts: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of one language for the report: numbers of classes and texts, divergences, counts by class.

    Classes are sorted by count in the pool, largest first. `counts` has the counts of the language from `count_classes`
    for POOL and for MANIFEST. Both divergences are over the classes that occur in the pool.
    """
    named = {part: numbers[CLASSES:] for part, numbers in counts.items()}
    order = np.argsort(-named[POOL], kind="stable").tolist()
    return {
        "classes": len(classes.labels),
        "texts": {part: int(numbers[TEXTS]) for part, numbers in counts.items()},
        "naming": {part: int(numbers[NAMING]) for part, numbers in counts.items()},
        "found": {part: int((by_class > 0).sum()) for part, by_class in named.items()},
        "divergence": {part: divergence(by_class[named[POOL] > 0]) for part, by_class in named.items()},
        "counts": [{"class": classes.labels[i]} | {part: int(named[part][i]) for part in named} for i in order],
    }


def observe(seen: Observation, classes: dict[str, Classes]) -> Observed:
    """Count the classes of each language in tasks that read the images before balancing, and the manifest.

    Return the figures of each language and the section of the report.
    """
    parts = {POOL: seen.images, MANIFEST: seen.manifest}
    context = seen.context
    figures = _counted(context.engine, parts, classes, context.config.rules, context.progress)
    return Observed(figures, section(figures))


def find(options: Options) -> Observer | None:
    """Return the observer of the classes in `options`; None if there are none."""
    classes = read_classes(options.classes, options.templates)
    return partial(observe, classes=classes) if classes else None


def align(engine: EngineLike, run: Results, classes: dict[str, Classes], progress: Progress | None = None) -> Figures:
    """Return the figures of each language of `classes` in a finished run, local or at a URL.

    InputError if the run lacks one of these languages.
    """
    languages = run.facts["languages"]
    if strange := [code for code in classes if code not in languages]:
        near = did_you_mean(strange[0], languages, f"it has {', '.join(sorted(languages)[:20])}")
        raise InputError(f"classes of the language {strange[0]} are given, but the run does not have it; {near}")
    parts = {POOL: matched_files(run), MANIFEST: curated_files(run)}
    rules = run.facts["made_from"].get("rules")
    return _counted(engine_of(engine), parts, classes, rules or "unicode", progress or Progress())


def _counted(
    engine: Engine, parts: FilesOfParts, classes: dict[str, Classes], rules: Rules, progress: Progress
) -> Figures:
    """Count classes in tasks that read the files; return the figures of each language."""
    counts: dict[str, dict[str, np.ndarray]] = {}
    for code, language_classes in classes.items():
        size = CLASSES + len(language_classes.labels)
        counts[code] = {part: np.zeros(size, np.int64) for part in parts}
    files: list[tuple[str, OwnFile]] = []
    for part, part_files in parts.items():
        files += [(part, file) for file in part_files]
    with progress.stage("count classes"):
        tallies = engine.run(files, partial(_count, classes=tuple(classes.items()), rules=rules))
    for row in tallies.rows():
        counts[row["language"]][row["name"]][row["item"]] = row["value"]
    return {code: alignment(classes[code], by_part) for code, by_part in counts.items()}


def write(figures: Figures, folder: Path) -> None:
    """Write the figures of each language into a folder: alignment.svg, then alignment.json."""
    write_text(folder / PLOT, drawing(figures))
    write_json(folder / JSON, {"version": 1, "languages": figures})


def _texts(part: str, file: OwnFile) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield batches of the texts in a file of POOL or MANIFEST, and of the languages of these texts."""
    for batch in batches(file, columns=["candidates"] if part == POOL else ["text", "language"]):
        texts = parts(batch["candidates"])[0] if part == POOL else batch.to_struct_array()
        yield texts.field("text"), texts.field("language")


def _count(of_part: tuple[str, OwnFile], classes: tuple[tuple[str, Classes], ...], rules: Rules) -> TaskResult:
    """Return the counts of `count_classes` in a file as tallies by language; counts of 0 are left out.

    Their name is POOL or MANIFEST; their item is the position in the counts.
    """
    tallies = TaskResult()
    for code, counts in count_classes(_texts(*of_part), finders_of(classes, rules)).items():
        for place in np.flatnonzero(counts):
            tallies.add(of_part[0], int(counts[place]), item=int(place), language=code)
    return tallies


def section(figures: Figures) -> Section:
    """Return the section of the report: a table with a row for each language, and the charts of `charts_of`."""
    template = environment(__package__).get_template("alignment.html")
    html = template.render(headings=HEADINGS, rows=_rows(figures), drawn=charts_of(figures))
    return Section("alignment", "Classes of evaluation sets", html)


def table(figures: Figures) -> str:
    """Return the figures as a text: a line of headings, and one line for each language."""
    return "\n".join(aligned([HEADINGS, *_rows(figures)]))


def drawing(figures: Figures) -> str:
    """Return an SVG with the charts of `charts_of`."""
    return environment(__package__).get_template("alignment.svg").render(drawn=charts_of(figures))


def charts_of(figures: Figures) -> list[Chart]:
    """Return a chart of each language for which a text in the pool names a class.

    A chart shows the texts that name a class by rank of the class, in the pool and in the manifest, each with its own
    ranks.
    """
    return [_chart(language(code).name, row["counts"]) for code, row in figures.items() if row["found"][POOL]]


def _chart(name: str, counts: list[dict[str, Any]]) -> Chart:
    lines = {"before": POOL, "after": MANIFEST}
    ranked: dict[str, list[int]] = {}
    for line, part in lines.items():
        ranked[line] = sorted((row[part] for row in counts if row[part]), reverse=True)
    x = LogAxis(LEFT, RIGHT, len(ranked["before"]))
    y = LogAxis(BOTTOM, TOP, 1.25 * ranked["before"][0])
    return Chart(
        title=f"{name}: texts that name a class, before and after balancing",
        x=x,
        y=y,
        x_title=f"classes of {name} by rank",
        y_title="texts",
        lines={line: points(x, y, np.arange(1, len(values) + 1), values) for line, values in ranked.items()},
        labels=LEGEND,
    )


def _rows(figures: Figures) -> list[tuple[str, ...]]:
    return [_row(code, row) for code, row in figures.items()]


def _row(code: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        named(code),
        number(row["classes"]),
        *(f"{number(classes)} ({percent(classes, row['classes'])})" for classes in row["found"].values()),
        *(percent(row["naming"][part], texts) for part, texts in row["texts"].items()),
        *(decimal(value, 3) for value in row["divergence"].values()),
    )


NAME = "clip-align"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; bad input ends in one sentence and status 2."""
    args = parse(argv)
    with command(NAME):
        print_result(table(run(args)))


def run(args: Namespace) -> Figures:
    """Return the figures of each language for a parsed command line; write the figures if --output is given."""
    source = Results.open(args.run)
    classes = read_classes(args.classes, args.templates)
    progress = ConsoleProgress()
    engine = engine_for(args, "align")
    if args.output is None:
        engine.start(progress)
        return align(engine, source, classes, progress)
    description = {
        "run": digest_of(source.facts),
        "classes": digest_of({"classes": repr(classes)}),
        "versions": versions(),
    }
    try:
        with making(engine, args.output, Wanted(ALIGNMENT, description, [source.path]), progress) as folder:
            figures = align(folder.engine, source, classes, progress)
            write(figures, folder.path)
    except AlreadyComplete as done:
        progress.note(str(done))
        return content_of(read_bytes(as_path(args.output) / JSON))["languages"]
    return figures


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the parsed command line; `argv` is sys.argv[1:] by default."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "run"))
    add_classes(parser, required=True)
    add_flags(parser, helps(__package__, "output"))
    parser.add_engine()
    return parser.parse_args(argv)


def add(parser: Parser) -> None:
    """Add the flags for classes that the report counts to clip-curate, under their own heading."""
    group = parser.add_argument_group("classes that the report counts (docs/how-to/alignment.md)")
    add_classes(group, default=[])


def options(args: Namespace) -> dict[str, Any]:
    """Return the values of --classes and --templates by field of `Options`; the caller adds the other fields."""
    return {"classes": args.classes, "templates": args.templates}


def add_classes(group: _ActionsContainer, **options: Any) -> None:
    """Add --classes and --templates to a group or parser; add_argument gets `options` only for --classes."""
    add_flags(group, helps(__package__, "classes"), nargs="+", **options)
    add_fields(group, Options, helps(__package__, "templates"))
