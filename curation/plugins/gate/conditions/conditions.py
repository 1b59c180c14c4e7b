"""The step `conditions`: decide on single images and texts by tables, policy rules and evaluation sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.plugins.gate import given_tables
from curation.plugins.gate.conditions.joined_tables import DIFFERS, DOWNLOAD, IN, LISTED, SETS, SUCCESS, JoinedTables
from curation.plugins.gate.conditions.sql import COLUMN, Conditions
from curation.plugins.gate.evaluation import EMBEDDING, PHASH_NEAR, EvaluationSets, EvaluationTexts
from curation.plugins.gate.filters import IMAGE, TEXT, Filter, ImageBatch, Rewrite, facts_of_filters, shared
from curation.plugins.gate.image_limits import OF_TEXTS, repeated_filter, write_repeated
from curation.plugins.gate.judge.judge import OUTPUTS, Judge, JudgedOutput, standard
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.policies.mending import MENDED, MENDS, mended
from curation.plugins.gate.step import Step, StepFolder, StepTask
from curation.plugins.joins.image_tables import ImageTable, comparable_schema
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.tallies import TaskResult
from runtime.wording import counted

if TYPE_CHECKING:
    from curation.run.request import Context

_NO_TEXT_OF, _NOT_IN_SET = "no text of ", "not in evaluation set "  # In a title, the name of the set follows.
_DOWNLOADED = f"{given_tables.STATUS} = '{SUCCESS}'"


@dataclass(frozen=True)
class FilterFiles:
    """Files that filters open in workers.

    pictures, texts: evaluation sets. judge: the weights of a user's judge; None: the weights of this package.
    repeated: by the name of a file of images, the file with the hashes of its repeated texts.
    """

    pictures: Shipped | None = None
    texts: Shipped | None = None
    judge: Shipped | None = None
    repeated: Mapping[str, OwnFile] = field(default_factory=dict)


@dataclass(frozen=True)
class ConditionsStep(Step):
    """The step: conditions on joined tables, and all other filters of single images and texts."""

    options: GateOptions
    tables: given_tables.GivenTables
    joined: JoinedTables
    evaluation: EvaluationSets | None = None
    texts: EvaluationTexts | None = None
    judge: Judge | None = None  # the judge of a user's file; None: the judge of this package

    def asks(self) -> dict[str, list[str]]:
        """Return the conditions, rules, evaluation sets and tables of the step, for users."""
        keep = self.options.keep
        return {
            "downloaded": [_DOWNLOADED] if self.tables.results else [],
            "named in": [self.tables.only.name] if self.tables.only else [],
            "keep": [keep] if keep is not None else [],
            "policy": [*self.options.rules.of_single],
            "no picture of": self.evaluation.names if self.evaluation else [],
            "no text of": [f"{counted(len(self.texts), 'text')} of evaluation sets"] if self.texts else [],
            "tables": self.tables.lines,
        }

    def filters(self, files: FilterFiles | None = None) -> list[Filter]:
        """Return all filters; without `files`, filters that need them can only tell their titles."""
        files = files or FilterFiles()
        return [*self._image_filters(files), *self._text_filters(files)]

    def _image_filters(self, files: FilterFiles) -> Iterator[Filter]:
        if self.tables.results:
            downloaded = {"column": DOWNLOAD, "value": SUCCESS}
            yield Filter(_DOWNLOADED, IMAGE, is_not, downloaded, joined=[DOWNLOAD])
        if self.tables.only:
            column = f"{IN}{self.tables.every.index(self.tables.only)}"
            yield Filter(
                f"in {self.tables.only.name}", IMAGE, is_not, {"column": column, "value": True}, joined=[column]
            )
        yield from condition_filters(self.joined.conditions)
        yield from self.options.rules.filters(IMAGE)
        for bit, name in enumerate(self.evaluation.names if self.evaluation else ()):
            of_set = {"pictures": files.pictures, "bit": bit}
            title = f"{_NOT_IN_SET}{name}"
            yield Filter(title, IMAGE, is_picture_of_set, of_set, columns=["uid", "url"], joined=[SETS])

    def _text_filters(self, files: FilterFiles) -> Iterator[Filter]:
        policy = self.options.rules
        for text_filter in policy.filters(TEXT):
            judged = text_filter.arguments.get("judged")
            if isinstance(judged, JudgedOutput):
                judged = replace(judged, weights=files.judge)
                text_filter = replace(text_filter, arguments={"judged": judged})
            yield text_filter
        most = policy.number_of(OF_TEXTS)
        if most:
            yield repeated_filter(most, files.repeated)
        for bit, described in enumerate(self.texts.sets if self.texts else ()):
            of_set = {"texts_of_sets": files.texts, "bit": bit}
            title = f"{_NO_TEXT_OF}{described.name}"
            yield Filter(title, TEXT, is_text_of_set, of_set, columns=["candidates.text"])

    def prepare(self, context: Context) -> ConditionsStep:
        """Load the matcher that finds the entries of fixed texts, if a rule fixes texts; return this step."""
        if self.options.rules.mends:
            context.match_plan()
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images that all filters let pass to files of the same names."""
        files = self._files(images, context)
        rewrites = []
        for rule in self.options.rules.mends:
            rewrites.append(Rewrite(mended, {"plan": context.match_plan(), "rule": rule}))
        if not self.tables.every:
            return StepTask(images, folder, self.filters(files), rewrites).run(context.engine)
        count = partial(count_differing, tables=len(self.tables.every))
        task = StepTask(list(images), folder, self.filters(files), rewrites, count)
        hashes: list[tuple[ImageTable, str]] = []
        for column in self.evaluation.columns if self.evaluation else ():
            hashes += [(table, column) for table in self.tables.having(column)]
        return self.joined.write(context.engine, task, hashes, files.pictures)

    def _files(self, images: Sequence[OwnFile], context: Context) -> FilterFiles:
        """Write the files that filters open, ship them to the workers, and return them."""
        engine = context.engine
        artefacts = context.output.artefacts
        pictures = engine.ship(self.evaluation.save(artefacts / "evaluation")) if self.evaluation else None
        judge = ship_judge(self.judge, context) if self.judge else None
        most = self.options.rules.number_of(OF_TEXTS)
        repeated = write_repeated(context, images, most) if most else {}
        texts = engine.ship(self.texts.save(artefacts / "evaluation_texts")) if self.texts else None
        return FilterFiles(pictures=pictures, texts=texts, judge=judge, repeated=repeated)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if no image was downloaded or passes, or if a table has none of the images.

        Also raise it if a table has differing rows about too many images.
        """
        tables = self.tables
        statuses = _statuses(counted)
        if tables.results and not statuses.get(SUCCESS):
            counts = ", ".join(f"{number:,} {status}" for status, number in statuses.items()) or "there is none"
            raise InputError(
                f"no matched image was downloaded ({counts}); pass img2dataset's results for this run's matched/, with "
                "`uid` in --save_additional_columns if the input has its own uids"
            )
        for number, table in enumerate(tables.every):
            given_tables.require_found(table, number, counted)
        if not counted["passed"]:
            conditions = facts_of_filters(self.filters(), counted)["conditions"]
            failed = (f"{condition['failed']:,} {condition['text']}" for condition in conditions)
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(failed)}); relax some of them")
        for number, (table, columns) in enumerate(zip(tables.every, self.joined.compared, strict=True)):
            given_tables.require_own_rows(table, columns, number, counted, config)

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return for run.json: tables, counts of filters, lists and evaluation sets, the judge, and downloads."""
        tables = []
        for number, table in enumerate(self.tables.every):
            tables.append({"name": table.name, **given_tables.of_table(number, counted)})
        facts: dict[str, Any] = {"tables": tables} | facts_of_filters(self.filters(), counted)
        for fact in facts["texts"]:
            if fact["text"] in MENDS:
                fact["mended"] = counted[MENDED, fact["text"]]
        if lists := [*self._lists(facts, counted)]:
            facts["lists"] = lists
        if any(name in OUTPUTS for name in self.options.rules.numbers):
            facts["judge"] = (self.judge or standard()).digest
        facts |= self._facts_of_sets()
        if self.tables.results:
            folders = [hidden(str(folder)) for folder in self.options.status]
            facts["downloads"] = {"folders": folders, "images": _statuses(counted)}
        return facts

    def _facts_of_sets(self) -> dict[str, Any]:
        """Return, for run.json, the distance and the cosine at which pictures of evaluation sets are near an image.

        `unmirrored` is the number of pictures, by set, that have a pHash but no pHash of the mirror image.
        """
        if not self.evaluation:
            return {}
        is_hashed = bool(self.tables.having("phash"))
        facts: dict[str, Any] = {}
        if is_hashed:
            facts["decontaminate_within"] = self.evaluation.distance
        if self.evaluation.cosine is not None:
            facts["decontaminate_cosine"] = self.evaluation.cosine
        unmirrored = {
            described.name: described.unmirrored for described in self.evaluation.sets if described.unmirrored
        }
        if is_hashed and unmirrored:
            facts["unmirrored"] = unmirrored
        return facts

    def _lists(self, facts: Mapping[str, Any], counted: TaskResult) -> Iterator[dict[str, Any]]:
        """Yield, for run.json, each list and evaluation set, with the number of images or texts that it names.

        `facts` has the counts of all filters.
        """
        for number, name in enumerate(self.tables.only.names if self.tables.only else ()):
            yield {"option": "only", "name": name, "found": counted[LISTED, number]}
        failed = {fact["text"]: fact["failed"] for fact in (*facts["conditions"], *facts["texts"])}
        for name in self.evaluation.names if self.evaluation else ():
            yield {"option": "decontaminate", "name": name, "found": failed[f"{_NOT_IN_SET}{name}"]}
        for described in self.texts.sets if self.texts else ():
            name = described.name
            yield {"option": "decontaminate_texts", "name": name, "found": failed[f"{_NO_TEXT_OF}{name}"]}


def find(options: GateOptions) -> ConditionsStep | None:
    """Return the step, or None if no option asks of single images or texts; InputError for options that do not fit."""
    if options.keep is not None:
        if not options.images and not options.status:
            raise InputError(f"--keep {options.keep!r} needs tables of images with its columns; pass them by --images")
    if options.decontaminate_cosine is not None and not options.decontaminate:
        raise InputError("--decontaminate-cosine needs tables of evaluation sets; pass them by --decontaminate")
    if not options.asks_of_single:
        return None
    tables = options.tables
    evaluation = _evaluation_sets(options, tables) if options.decontaminate else None
    texts = EvaluationTexts.read(options.decontaminate_texts) if options.decontaminate_texts else None
    also: list[tuple[ImageTable, str]] = []
    if options.same_image is not None:
        same = given_tables.Pictures.named(options.same_image, tables)
        also.append((same.table, same.column))
    for name in evaluation.columns if evaluation else ():
        if name != EMBEDDING:
            also += [(table, name) for table in tables.having(name)]
    conditions = None
    if options.keep is not None:
        schemas = {}
        for table, schema in zip(tables.every, tables.columns, strict=True):
            schemas[table.name] = comparable_schema(schema)
        conditions = Conditions.parse(options.keep, schemas)
    return ConditionsStep(
        options=options,
        tables=tables,
        joined=JoinedTables.of(tables, conditions, also),
        evaluation=evaluation,
        texts=texts,
        judge=None if options.judge is None else Judge.read(Path(options.judge)),
    )


def _evaluation_sets(options: GateOptions, tables: given_tables.GivenTables) -> EvaluationSets:
    """Return the pictures of evaluation sets; InputError if no table of images has a column to compare by."""
    cosine = options.decontaminate_cosine
    sets = EvaluationSets.read(options.decontaminate, PHASH_NEAR, cosine)
    if cosine is not None and not tables.having(EMBEDDING):
        raise InputError(
            f"--decontaminate-cosine needs a table of images with a column {EMBEDDING}; pass it by --images"
        )
    if not sets.has_urls and not any(map(tables.having, sets.columns)):
        raise InputError(
            "the tables of --decontaminate have no URLs, and no table of images has a column sha256 or phash; hash the "
            "downloaded pictures by clip-hash, and pass the hashes by --images"
        )
    return sets


def ship_judge(judge: Judge, context: Context) -> Shipped:
    """Return the weights of a user's judge where workers find them."""
    path = context.output.artefacts / "judge.json"
    path.write_bytes(judge.content())
    return context.engine.ship(path)


def condition_filters(conditions: Conditions | None) -> Iterator[Filter]:
    """Yield a filter for each condition that AND joins in a `--keep` expression."""
    if conditions is None:
        return
    columns = [f"{COLUMN}{number}" for number in range(len(conditions.schema))]
    for number, condition in enumerate(conditions.conditions):
        yield Filter(condition.text, IMAGE, is_unmet, {"conditions": conditions, "number": number}, joined=columns)


def is_unmet(batch: ImageBatch, conditions: Conditions, number: int) -> np.ndarray:
    """Return bool[image]: which images do not meet condition `number`; a condition that is null is not met."""
    return ~_met(batch, conditions)[number]


@shared
def _met(batch: ImageBatch, conditions: Conditions) -> list[np.ndarray]:
    """Return, for each condition, which images meet it; all are evaluated at once."""
    return conditions.met(batch.rows)


def is_not(batch: ImageBatch, column: str, value: str | bool) -> np.ndarray:
    """Return bool[image]: whether the image's value in `column` of the joined rows is null or not `value`."""
    return ~pc.fill_null(pc.equal(batch.joined(column), value), False).to_numpy(zero_copy_only=False)


def is_picture_of_set(batch: ImageBatch, pictures: Shipped, bit: int) -> np.ndarray:
    """Return bool[image]: which images the evaluation set of the bit `bit` has."""
    return _sets_of_images(batch, pictures) >> bit & 1 == 1


@shared
def _sets_of_images(batch: ImageBatch, pictures: Shipped) -> np.ndarray:
    """Return, for each image, the mask (int64) of the evaluation sets that have it, by its URL or a joined row."""
    sets = pictures.opened(EvaluationSets.open).sets_of(batch.images).astype(np.int64)
    return sets if batch.rows is None else sets | batch.joined(SETS).to_numpy()


def is_text_of_set(batch: ImageBatch, texts_of_sets: Shipped, bit: int) -> np.ndarray:
    """Return bool[text]: which texts the evaluation set of the bit `bit` has."""
    sets = _sets_of_texts(batch, texts_of_sets)
    return sets >> np.uint64(bit) & np.uint64(1) == 1


@shared
def _sets_of_texts(batch: ImageBatch, texts_of_sets: Shipped) -> np.ndarray:
    """Return, for each text, the mask (uint64) of the evaluation sets that have it."""
    return texts_of_sets.opened(EvaluationTexts.open).sets_of_texts(batch.texts.field("text"))


def count_differing(batch: ImageBatch, result: TaskResult, tables: int) -> None:
    """Tally, for each of some tables, the images about which it has differing rows, and note the first image."""
    for number in range(tables):
        several = np.flatnonzero(batch.joined(f"{DIFFERS}{number}").to_numpy(zero_copy_only=False))
        if len(several):
            if not result[given_tables.DIFFERING, number]:
                result.note(given_tables.DIFFERING, [number, batch.images["uid"][several[0]].as_py()])
            result.add(given_tables.DIFFERING, len(several), item=number)


def _statuses(counted: TaskResult) -> dict[str, int]:
    """Return the number of matched images by the status of their download."""
    return {status: int(images) for status, images in counted.by_item("status").items()}
