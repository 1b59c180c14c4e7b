"""The step `conditions`: check single images and texts by tables, policy rules and evaluation sets.

For each check, three numbers are tallied: of the rows (images or texts) that fail it, of those that fail only it, and
of those for which it is the first failed check. A text is counted under its first failed check if its image stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.plugins.gate import given_tables
from curation.plugins.gate.conditions import joined_tables
from curation.plugins.gate.conditions.sql import Conditions
from curation.plugins.gate.evaluation import EMBEDDING, PHASH_NEAR, EvaluationSets, EvaluationTexts
from curation.plugins.gate.image_limits import repeated_rule
from curation.plugins.gate.judge.judge import OUTPUTS, IsJudged, Judge, standard
from curation.plugins.gate.judge.reasons import Reasons
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.mending import MENDED, MENDS, Mending, with_texts
from curation.plugins.gate.policies.policies import IMAGES, TEXTS
from curation.plugins.gate.policies.word_tables import shared
from curation.plugins.gate.step import COUNTS, BatchStart, Gone, Rewriting, Step, StepFolder
from curation.plugins.joins.image_tables import comparable_schema
from runtime.arrow import parts
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies, TaskResult
from runtime.wording import counted

if TYPE_CHECKING:
    from curation.run.request import Context

_NO_TEXT_OF, _NOT_IN_SET = "no text of ", "not in evaluation set "  # begin titles; the name of the set follows
_DOWNLOADED = f"{given_tables.STATUS} = '{joined_tables.SUCCESS}'"
MET = "met_"  # columns that say whether a condition holds begin with this
TEXT_LEFT = "a text is left"  # the last check of images where there are any of texts
# A rule of images takes a MATCHED batch with the columns of its joined rows (`joined_tables`), MET and a number for
# each condition, and `stated`, the candidates before they were mended; its metadata names its `file`. The rule returns
# which images must go, bool[image]. A rule of texts takes all texts of the batch, the row of each text's image, and the
# batch; it returns which texts must go, bool[text].
Fails = Callable[..., np.ndarray]


@dataclass(frozen=True)
class SingleChecks(Step):
    """The step: conditions on joined tables, and all other checks of single images and texts."""

    options: GateOptions
    tables: given_tables.GivenTables
    joined: joined_tables.JoinedTables
    evaluation: EvaluationSets | None = None
    texts: EvaluationTexts | None = None
    judge: Judge | None = None  # that of a user's file

    def asks(self) -> dict[str, list[str]]:
        """Return what the step asks, for people: conditions, rules, evaluation sets and tables."""
        tables, keep = self.tables, self.options.keep
        return {
            "downloaded": [_DOWNLOADED] if tables.results else [],
            "named in": [tables.only.name] if tables.only else [],
            "keep": [keep] if keep is not None else [],
            "policy": [str(rule) for rule in self.options.rules.of_single],
            "no picture of": self.evaluation.names if self.evaluation else [],
            "no text of": [f"{counted(len(self.texts), 'text')} of evaluation sets"] if self.texts else [],
            "tables": tables.lines,
        }

    def prepare(self, context: Context) -> SingleChecks:
        """Load, in a stage of its own, what finds the entries of mended texts, if a rule mends; return the step."""
        if self.options.rules.mends:
            context.match_plan()
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that pass all checks to files of the same names."""
        engine, mends = context.engine, self.options.rules.mends
        folder_of_sets = context.output.artefacts / "evaluation"
        sets = engine.ship(self.evaluation.save(folder_of_sets)) if self.evaluation else None
        checks = Checks(
            tuple(check.made(context, images) for check in self.checks.checks),
            len(self.tables.every),
            self.joined.conditions,
            sets,
            Mending(context.match_plan(), mends) if mends else None,
        )
        if not self.tables.every:
            return Rewriting(images, checks, folder).run(engine)
        columns = self.evaluation.columns if self.evaluation else ()
        hashes = [(table, column) for column in columns for table in self.tables.having(column)]
        return self.joined.rewrite(engine, Rewriting([*images], checks, folder), hashes, sets)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if no image was downloaded or passes, or if a table has none of the images.

        Also if rows of too many images differ.
        """
        tables = self.tables
        if tables.results and not (statuses := _statuses(counted)).get(joined_tables.SUCCESS):
            counts = ", ".join(f"{number:,} {status}" for status, number in statuses.items()) or "there is none"
            raise InputError(
                f"no matched image was downloaded ({counts}); give the results of downloading this run's matched/, "
                "with `uid` among --save_additional_columns where the input brought its own uids"
            )
        for number, table in enumerate(tables.every):
            given_tables.require_found(table, number, counted)
        if not counted["passed"]:
            failed = (f"{condition['failed']:,} {condition['text']}" for condition in self._of_images(counted))
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(failed)}); ask for less")
        for number, (table, columns) in enumerate(zip(tables.every, self.joined.compared, strict=True)):
            given_tables.require_own_rows(table, columns, number, counted, config)

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return, for run.json, the tables, the counts of each check, and the images by status of the download."""
        tables, hashed = self.tables, self.evaluation and self.tables.having("phash")
        every = [
            {"name": table.name, **given_tables.of_table(number, counted)} for number, table in enumerate(tables.every)
        ]
        facts: dict[str, Any] = {"tables": every, "conditions": [*self._of_images(counted)]}
        facts["texts"] = [
            _counts(check.title, counted, number, "rule.", check.removes)
            | ({"mended": counted[f"{MENDED}{check.title}"]} if check.title in MENDS else {})
            for number, check in enumerate(self.checks.of_texts)
        ]
        if lists := [*self._lists(facts, counted)]:
            facts["lists"] = lists
        if any(rule.rule.name in OUTPUTS for rule in self.options.rules.rules):
            facts["judge"] = (self.judge or standard()).digest
        if self.evaluation and hashed:
            facts["decontaminate_within"] = self.evaluation.distance
        if self.evaluation and self.evaluation.cosine is not None:
            facts["decontaminate_cosine"] = self.evaluation.cosine
        # Pictures whose mirror image has no pHash are not compared with it.
        sets = self.evaluation.sets if self.evaluation and hashed else ()
        if unmirrored := {described.name: described.unmirrored for described in sets if described.unmirrored}:
            facts["unmirrored"] = unmirrored
        if tables.results:
            folders = [hidden(str(folder)) for folder in self.options.status]
            facts["downloads"] = {"folders": folders, "images": _statuses(counted)}
        return facts

    def _lists(self, facts: Mapping[str, Any], counted: TaskResult) -> Iterator[dict[str, Any]]:
        """Yield, for run.json, each list and evaluation set, with the number of images or texts that it names.

        `facts` has the counts of all checks.
        """
        for number, name in enumerate(self.tables.only.names if self.tables.only else ()):
            yield {"option": "only", "name": name, "found": counted[f"{joined_tables.LISTED}{number}"]}
        failed = {check["text"]: check["failed"] for check in (*facts["conditions"], *facts["texts"])}
        for name in self.evaluation.names if self.evaluation else ():
            yield {"option": "decontaminate", "name": name, "found": failed[f"{_NOT_IN_SET}{name}"]}
        for described in self.texts.sets if self.texts else ():
            name = described.name
            yield {"option": "decontaminate_texts", "name": name, "found": failed[f"{_NO_TEXT_OF}{name}"]}

    def _of_images(self, counted: TaskResult) -> Iterator[dict[str, Any]]:
        checks = self.checks
        removes = [check.removes for check in checks.of_images] + ["images without a text left"] * bool(checks.of_texts)
        for number, title in enumerate(checks.titles):
            yield _counts(title, counted, number, removes=removes[number])

    @property
    def checks(self) -> Checks:
        """All checks: those of images (conditions, rules, evaluation sets), then those of texts."""
        return Checks((*self._image_checks(), *self._text_checks()))

    def _image_checks(self) -> Iterator[Check]:
        if self.tables.results:
            yield Check(_DOWNLOADED, IsNot(joined_tables.DOWNLOAD, joined_tables.SUCCESS))
        if self.tables.only:
            number = self.tables.every.index(self.tables.only)
            yield Check(f"in {self.tables.only.name}", IsNot(f"{joined_tables.IN}{number}", True))
        for number, condition in enumerate(self.joined.conditions.conditions if self.joined.conditions else ()):
            yield Check(condition.text, IsNot(f"{MET}{number}", True))
        for rule in self.options.rules.over(IMAGES):
            yield Check(str(rule), rule.fails, removes=rule.removes)
        for bit, name in enumerate(self.evaluation.names if self.evaluation else ()):
            yield Check(f"{_NOT_IN_SET}{name}", IsInSet(bit))

    def _text_checks(self) -> Iterator[Check]:
        for rule in self.options.rules.of_single:
            if rule.rule.name in OUTPUTS:
                judged = IsJudged(rule.rule.name, int(rule.number or 0))
                make = UsersJudge(judged, self.judge).rule if self.judge else None
                yield Check(str(rule), judged, of_texts=True, make=make, removes=rule.removes)
            elif rule.rule.scope == TEXTS:
                yield Check(str(rule), rule.fails, of_texts=True, removes=rule.removes)
            elif rule.rule.scope != IMAGES:
                repeated = partial(repeated_rule, most=int(rule.number or 0))
                yield Check(str(rule), of_texts=True, make=repeated, removes=rule.removes)
        if self.texts:
            for bit, described in enumerate(self.texts.sets):
                of_set = partial(_rule_of_set, texts=self.texts, bit=bit)
                yield Check(f"{_NO_TEXT_OF}{described.name}", of_texts=True, make=of_set)


def find(options: GateOptions) -> SingleChecks | None:
    """Return the step, or None if no option checks single images or texts; InputError for options that do not fit."""
    if options.keep is not None:
        if not options.images and not options.status:
            raise InputError(f"--keep {options.keep!r} is over columns of tables of images; name them by --images")
    if options.decontaminate_cosine is not None and not options.decontaminate:
        raise InputError("--decontaminate-cosine compares with evaluation sets; name their tables by --decontaminate")
    if not options.asks_of_single:
        return None
    tables, sets, texts = options.tables, None, None
    if options.decontaminate:
        cosine = options.decontaminate_cosine
        sets = EvaluationSets.read(options.decontaminate, PHASH_NEAR, cosine)
        if cosine is not None and not tables.having(EMBEDDING):
            raise InputError(
                f"--decontaminate-cosine needs a column {EMBEDDING} in a table of images; name it by --images"
            )
        if not sets.has_urls and not any(map(tables.having, sets.columns)):
            raise InputError(
                "the tables of --decontaminate have hashes of pictures, and no table of images has sha256 or phash; "
                "hash the downloaded pictures by clip-hash, and give the hashes by --images"
            )
    if options.decontaminate_texts:
        texts = EvaluationTexts.read(options.decontaminate_texts)
    same = None if options.same_image is None else given_tables.Pictures.named(options.same_image, tables)
    also = [(same.table, same.column)] if same else []
    hashes = [name for name in sets.columns if name != EMBEDDING] if sets else []
    also += [(table, name) for name in hashes for table in tables.having(name)]
    columns = [comparable_schema(schema) for schema in tables.columns]
    schemas = {table.name: schema for table, schema in zip(tables.every, columns, strict=True)}
    conditions = None if options.keep is None else Conditions.parse(options.keep, schemas)
    judge = None if options.judge is None else Judge.read(Path(options.judge))
    return SingleChecks(options, tables, joined_tables.JoinedTables.of(tables, conditions, also), sets, texts, judge)


@dataclass(frozen=True)
class UsersJudge:
    """Makes a rule that judges by the weights of a user's file."""

    judged: IsJudged
    judge: Judge

    def rule(self, context: Context, images: Sequence[OwnFile]) -> IsJudged:
        """Return the rule, with the weights where workers find them; `images` are not needed for it."""
        path = context.output.artefacts / "judge.json"
        path.write_bytes(self.judge.content())
        return replace(self.judged, weights=context.engine.ship(path))


def _rule_of_set(context: Context, images: Sequence[OwnFile], texts: EvaluationTexts, bit: int) -> IsTextOfSet:
    return IsTextOfSet(context.engine.ship(texts.save(context.output.artefacts / "evaluation_texts")), bit)


@dataclass(frozen=True)
class IsTextOfSet:
    """The rule that a text of an evaluation set must go; the set is a bit of a mask."""

    texts_of_sets: Shipped
    bit: int

    def __call__(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return bool[text]: which texts of a batch must go."""
        sets = _sets_of_texts(texts, self.texts_of_sets.opened(EvaluationTexts.open))
        return sets >> np.uint64(self.bit) & np.uint64(1) == 1


@shared
def _sets_of_texts(texts: pa.StructArray, of_sets: EvaluationTexts) -> np.ndarray:
    return of_sets.sets_of_texts(texts.field("text"))


@dataclass(frozen=True)
class IsNot:
    """The rule that an image must go unless a column of its joined row has a value."""

    column: str
    value: str | bool

    def __call__(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return bool[image]: which images of a batch must go."""
        return ~pc.fill_null(pc.equal(batch[self.column], self.value), False).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class IsInSet:
    """The rule that an image must go if an evaluation set has it; the set is a bit of `sets`."""

    bit: int

    def __call__(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return bool[image]: which images of a batch must go."""
        return batch[joined_tables.SETS].to_numpy() >> self.bit & 1 == 1


def _statuses(counted: TaskResult) -> dict[str, int]:
    """Return the number of matched images by the status of their download."""
    return {status: int(images) for status, images in counted.beginning("status.").items()}


def _counts(
    title: str, counted: TaskResult, number: int, prefix: str = "", removes: str | None = None
) -> dict[str, Any]:
    """Return the row of run.json about a check: its title, its counts, and what it removes."""
    counts = {name: counted[f"{prefix}{name}.{number}"] for name in COUNTS}
    said = {"removes": removes} if removes else {}
    return {"text": title} | said | counts | {"removed_texts": counted.by_language(f"{prefix}texts.{number}")}


def _not_made(*_: object) -> np.ndarray:
    raise TypeError("the rule of this check is made of images first")


@dataclass(frozen=True)
class Check:
    """One check of images or, with `of_texts`, of each text.

    `make`, if given, builds the rule from the files of all images. `removes` says what the check removes, if the title
    does not tell what stays.
    """

    title: str
    rule: Fails = _not_made
    of_texts: bool = False
    make: Callable[[Context, Sequence[OwnFile]], Fails] | None = None
    removes: str | None = None

    def made(self, context: Context, images: Sequence[OwnFile]) -> Check:
        """Return the check with its rule; `images` are all files of images, from which `make` may build it."""
        return self if self.make is None else replace(self, rule=self.make(context, images), make=None)


@dataclass(frozen=True)
class Checks:
    """All checks, in order; `mending`, if given, mends texts before them.

    `tables` is the number of tables that are joined, over whose columns `conditions` are.
    """

    checks: tuple[Check, ...]
    tables: int = 0
    conditions: Conditions | None = None
    sets: Shipped | None = None  # the evaluation sets, by which images are looked up by uid and URL
    mending: Mending | None = None

    @cached_property
    def of_images(self) -> list[Check]:
        """The checks of images."""
        return [check for check in self.checks if not check.of_texts]

    @cached_property
    def of_texts(self) -> list[Check]:
        """The checks of texts."""
        return [check for check in self.checks if check.of_texts]

    @property
    def titles(self) -> list[str]:
        """The checks of images in words; if there are checks of texts, the last one is that a text remains."""
        return [check.title for check in self.of_images] + ([TEXT_LEFT] if self.of_texts else [])

    def __call__(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: BatchStart, result: TaskResult
    ) -> tuple[pa.RecordBatch, Gone]:
        """Return the images of a MATCHED batch that pass all checks, with the texts that may stay; tally the others."""
        stated = batch["candidates"]
        batch = self.mending(batch, result) if self.mending else batch
        columns = dict(zip(batch.schema.names, batch.columns, strict=True)) | {"stated": stated}
        sets = np.zeros(batch.num_rows, np.int64)
        if self.tables:
            if rows is None or rows.num_rows != batch.num_rows:
                raise ValueError(f"{rows.num_rows if rows else 0} rows came for {batch.num_rows} images")
            columns |= dict(zip(rows.schema.names, rows.columns, strict=True))
            sets = rows["sets"].to_numpy()
            self._tally_differing(batch, rows, result)
        if self.sets:
            sets = sets | self.sets.opened(EvaluationSets.open).sets_of(batch).astype(np.int64)
        columns["sets"] = pa.array(sets)
        if self.conditions and rows:
            columns |= {f"{MET}{number}": pa.array(met) for number, met in enumerate(self.conditions.met(rows))}
        judged = pa.RecordBatch.from_pydict(columns, metadata={"file": begin.file})
        texts, offsets = parts(batch["candidates"])
        image = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        of_texts = _matrix([check.rule(texts, image, judged) for check in self.of_texts], len(texts))
        of_images = _matrix([check.rule(judged) for check in self.of_images], batch.num_rows)
        by_image, by_text, number = first_failed(of_images)[image], first_failed(of_texts), len(self.of_images)
        first = np.where(by_image < number, by_image, number + by_text)  # the first check that removes each text
        checks = (*self.of_images, *self.of_texts)
        judging = {
            number: Reasons(check.rule) for number, check in enumerate(checks) if isinstance(check.rule, IsJudged)
        }
        gone = Gone(batch, texts, image, first, [check.title for check in checks], judging)
        if self.of_texts:
            left = np.bincount(image[by_text == len(self.of_texts)], minlength=batch.num_rows)
            of_images = np.concatenate([of_images, [left == 0]])
        first_of_image = first_failed(of_images)
        tally_failures(of_images, first_of_image, "", result)
        tally_failures(of_texts, first - number, "rule.", result)
        names = [f"texts.{k}" for k in range(number)]
        names += [f"rule.texts.{k}" for k in range(len(self.of_texts))]
        tally_languages_by(texts.field("language"), first, names, result)
        passes = first_of_image == len(of_images)
        if not self.of_texts:
            return batch.filter(pa.array(passes)), gone
        stays = first == len(self.checks)
        lengths = np.bincount(image[stays], minlength=batch.num_rows)[passes]
        return with_texts(batch, passes, texts.filter(pa.array(stays)), lengths), gone

    def _tally_differing(self, batch: pa.RecordBatch, rows: pa.RecordBatch, result: TaskResult) -> None:
        """Tally, for each table, the images about which it has differing rows."""
        for table in range(self.tables):
            several = np.flatnonzero(rows[f"differs_{table}"].to_numpy(zero_copy_only=False))
            if len(several):
                if not result[f"differing.{table}"]:
                    result.note(f"differing.{table}", batch["uid"][several[0]].as_py())
                result.add(f"differing.{table}", len(several))


def _matrix(failed: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Return bool[check, row]: whether each row fails each check, given one bool[row] per check."""
    return np.array(failed, bool).reshape(len(failed), rows)


def first_failed(failed: np.ndarray) -> np.ndarray:
    """Return the number of the first check that each row fails, or the number of checks for a row that passes.

    `failed` is bool[check, row].
    """
    first = np.full(failed.shape[1], len(failed), np.int32)
    for number in reversed(range(len(failed))):  # argmax over rows takes four times as long
        first[failed[number]] = number
    return first


def tally_failures(failed: np.ndarray, first: np.ndarray, prefix: str, tallies: Tallies) -> None:
    """Tally, for each check, the rows that fail it (`failed`), that fail only it (`alone`), and that it `removed`.

    `failed` is bool[check, row]; `first` has, for each row, the number of the check that removes it.
    """
    once = failed.sum(axis=0, dtype=np.int16) == 1
    for number, fails in enumerate(failed):
        for name, rows in (("failed", fails), ("alone", fails & once), ("removed", first == number)):
            tallies.add(f"{prefix}{name}.{number}", int(np.count_nonzero(rows)))


def tally_languages_by(languages: pa.Array, kinds: np.ndarray, names: Sequence[str], tallies: Tallies) -> None:
    """Tally texts by language; names[kind] is the name of the tally for texts of a kind.

    Texts of a kind without a name are skipped.
    """
    is_counted = pc.and_(pa.array(kinds < len(names)), languages.is_valid())
    rows = pa.table({"kind": kinds, "language": languages}).filter(is_counted)
    counts = rows.group_by(["kind", "language"], use_threads=False).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        tallies.add(names[row["kind"]], row["count_all"], row["language"])
