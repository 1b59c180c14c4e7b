"""The step `conditions`: check single images and texts by tables, policy rules and evaluation sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.joins.tables import comparable_schema
from curation.leaves.gate.checks import MET, Check, Checks, Rewriting, Rule, rewrite
from curation.leaves.gate.conditions import Conditions
from curation.leaves.gate.copies import Pictures
from curation.leaves.gate.evaluation import EMBEDDING, EvaluationSets, EvaluationTexts
from curation.leaves.gate.joined_tables import DOWNLOAD, IN, SETS, SUCCESS, JoinedTables
from curation.leaves.gate.limits import find_repeated
from curation.leaves.gate.mending import MENDED, MENDS, Mending
from curation.leaves.gate.options import GateOptions
from curation.leaves.gate.policies import IMAGES, TEXTS
from curation.leaves.gate.steps import COUNTS, Step, StepFolder
from curation.leaves.gate.tables import STATUS, GivenTables, of_table, require_found, require_own_rows
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies
from runtime.wording import counted

if TYPE_CHECKING:
    from curation.run.request import Context

_NO_TEXT = "no text of an evaluation set"
_DOWNLOADED = f"{STATUS} = '{SUCCESS}'"


@dataclass(frozen=True)
class SingleChecks(Step):
    """The step: conditions on joined tables, and all other checks of single images and texts."""

    options: GateOptions
    tables: GivenTables
    joined: JoinedTables
    evaluation: EvaluationSets | None = None
    texts: EvaluationTexts | None = None

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

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that pass all checks to files of the same names."""
        engine, mends = context.engine, self.options.rules.mends
        folder_of_sets = context.output.artefacts / "evaluation"
        sets = engine.ship(self.evaluation.save(folder_of_sets)) if self.evaluation else None
        checks = Checks(
            tuple(check.made(context, images) for check in self.checks.checks),
            len(self.tables.every),
            self.joined.conditions,
            partial(_sets_by_url, sets=sets) if sets else None,
            Mending(context.match_plan(), mends) if mends else None,
        )
        if not self.tables.every:
            return engine.run(list(images), partial(rewrite, change=checks, folder=folder))
        columns = self.evaluation.columns if self.evaluation else ()
        hashes = [(table, column) for column in columns for table in self.tables.having(column)]
        return self.joined.rewrite(engine, Rewriting([*images], checks, folder), hashes, sets)

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Raise InputError if no image was downloaded or passes, or if a table has none of the images.

        Also if rows of too many images differ.
        """
        tables = self.tables
        if tables.results and not (statuses := _statuses(counted)).get(SUCCESS):
            counts = ", ".join(f"{number:,} {status}" for status, number in statuses.items()) or "there is none"
            raise InputError(
                f"no matched image was downloaded ({counts}); give the results of downloading this run's matched/, "
                "with `uid` among --save_additional_columns where the input brought its own uids"
            )
        for number, table in enumerate(tables.every):
            require_found(table, number, counted)
        if not counted["passed"]:
            failed = (f"{condition['failed']:,} {condition['text']}" for condition in self._of_images(counted))
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(failed)}); ask for less")
        for number, (table, columns) in enumerate(zip(tables.every, self.joined.compared, strict=True)):
            require_own_rows(table, columns, number, counted, config)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return, for run.json, the tables, the counts of each check, and the images by status of the download."""
        tables, hashed = self.tables, self.evaluation and self.tables.having("phash")
        every = [{"name": table.name, **of_table(number, counted)} for number, table in enumerate(tables.every)]
        facts: dict[str, Any] = {"tables": every, "conditions": [*self._of_images(counted)]}
        facts["texts"] = [
            _counts(check.title, counted, number, "rule.", check.removes)
            | ({"mended": counted[f"{MENDED}{check.title}"]} if check.title in MENDS else {})
            for number, check in enumerate(self.checks.of_texts)
        ]
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

    def _of_images(self, counted: Tallies) -> Iterator[dict[str, Any]]:
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
            yield Check(_DOWNLOADED, IsNot(DOWNLOAD, SUCCESS))
        if self.tables.only:
            number = self.tables.every.index(self.tables.only)
            yield Check(f"in {self.tables.only.name}", IsNot(f"{IN}{number}", True))
        for number, condition in enumerate(self.joined.conditions.conditions if self.joined.conditions else ()):
            yield Check(condition.text, IsNot(f"{MET}{number}", True))
        for rule in self.options.rules.over(IMAGES):
            yield Check(str(rule), rule.fails, removes=rule.removes)
        for bit, name in enumerate(self.evaluation.names if self.evaluation else ()):
            yield Check(f"not in evaluation set {name}", IsInSet(bit))

    def _text_checks(self) -> Iterator[Check]:
        for rule in self.options.rules.of_single:
            if rule.rule.scope == TEXTS:
                yield Check(str(rule), rule.fails, of_texts=True, removes=rule.removes)
            elif rule.rule.scope != IMAGES:
                make = partial(find_repeated, most=int(rule.number or 0))
                yield Check(str(rule), of_texts=True, make=make, removes=rule.removes)
        if self.texts:
            yield Check(_NO_TEXT, of_texts=True, make=partial(_find_texts, texts=self.texts))


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
        sets = EvaluationSets.read(options.decontaminate, options.decontaminate_within, cosine)
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
    same = None if options.same_image is None else Pictures.named(options.same_image, tables)
    also = [(same.table, same.column)] if same else []
    hashes = [name for name in sets.columns if name != EMBEDDING] if sets else []
    also += [(table, name) for name in hashes for table in tables.having(name)]
    columns = [comparable_schema(schema) for schema in tables.columns]
    schemas = {table.name: schema for table, schema in zip(tables.every, columns, strict=True)}
    conditions = None if options.keep is None else Conditions.parse(options.keep, schemas)
    return SingleChecks(options, tables, JoinedTables.of(tables, conditions, also), sets, texts)


def _sets_by_url(batch: pa.RecordBatch, sets: Shipped) -> np.ndarray:
    """Return the mask of the evaluation sets that have each image of a MATCHED batch by uid or URL, uint64[image]."""
    return sets.opened(EvaluationSets.open).sets_of(batch)


def _find_texts(context: Context, images: Sequence[OwnFile], texts: EvaluationTexts) -> Rule:
    """Return the rule that removes the texts of evaluation sets; `images` are not needed for it."""
    shipped = context.engine.ship(texts.save(context.output.artefacts / "evaluation_texts"))
    return partial(_is_of_evaluation, shipped=shipped)


def _is_of_evaluation(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, shipped: Shipped) -> np.ndarray:
    return shipped.opened(EvaluationTexts.open).fails(texts.field("text"))


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
        return batch[SETS].to_numpy() >> self.bit & 1 == 1


def _statuses(counted: Tallies) -> dict[str, int]:
    """Return the number of matched images by the status of their download."""
    return {status: int(images) for status, images in counted.beginning("status.").items()}


def _counts(title: str, counted: Tallies, number: int, prefix: str = "", removes: str | None = None) -> dict[str, Any]:
    """Return the row of run.json about a check: its title, its counts, and what it removes."""
    counts = {name: counted[f"{prefix}{name}.{number}"] for name in COUNTS}
    said = {"removes": removes} if removes else {}
    return {"text": title} | said | counts | {"removed_texts": counted.by_language(f"{prefix}texts.{number}")}
