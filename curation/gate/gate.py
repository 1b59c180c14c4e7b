"""The gate of a run: tables and conditions, checked before anything is read, and the counts of what they removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from curation.by_uid.comparable import comparable_schema
from curation.by_uid.tables import ImageTable
from curation.gate.captions import Captioning
from curation.gate.checks import TEXT_LEFT
from curation.gate.expression_text import require_columns
from curation.gate.expressions import Condition, conditions, lenient, nan_is_null, require_boolean
from curation.gate.plan import EVALUATION_COLUMNS, FOUND, STATUS, SUCCESS, GatePlan, Table, require_success
from curation.gate.policies import IMAGES, RULES, TEXTS
from curation.inputs.limits import rounded_up
from curation.run.hooks import Context
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

DOWNLOADED = Condition(f"{STATUS} = '{SUCCESS}'", (STATUS,))
MATCHED_CAPTION = "an entry in the caption"  # of an image that has one
COUNTS = ("failed", "alone", "removed")  # images, or texts, that fail a condition; that fail no other; fail it first


@dataclass(frozen=True)
class Gate:
    """What is asked of the images of a run, first that they were downloaded, and the conditions of it in Spark SQL."""

    plan: GatePlan
    conditions: Sequence[Condition]
    captioning: Captioning | None = None  # captions that are matched before anything is asked

    @classmethod
    def open(cls, spark: SparkSession, plan: GatePlan) -> Gate:
        """Return the gate that is asked for; InputError for an expression that cannot be evaluated."""
        found = [DOWNLOADED] if plan.results else []
        if plan.only:
            found.append(Condition(f"{FOUND}{plan.tables.index(plan.only)}", (), f"in {plan.only.name}"))
        if plan.keep is not None:
            with lenient(spark):
                found += _checked(spark, plan, plan.keep)
        return cls(plan, found)

    def let_pass(self, images: Sequence[OwnFile], context: Context) -> tuple[list[OwnFile], Gated]:
        """Write the images that pass to the part `gated` of the output, begun anew; return its files."""
        from curation.gate.stage import pass_gate  # noqa: PLC0415

        return pass_gate(images, self, context)

    @property
    def tables(self) -> Sequence[Table]:
        """The tables that are joined."""
        return self.plan.tables

    @property
    def is_download(self) -> bool:
        """Whether the first table is the results of a download."""
        return self.plan.results is not None

    @property
    def columns(self) -> Iterator[list[str]]:
        """The columns of each table that conditions ask for."""
        needed = {column.lower() for condition in self.conditions for column in condition.columns}
        for _, columns in self.plan.columns:
            yield [name for name in columns.names if name.lower() in needed]

    @property
    def compared(self) -> Iterator[list[str]]:
        """The columns of each table by uid that anything asks for; none of one by URL, which may have a row a text."""
        plan = self.plan
        same = [(plan.pictures.table, plan.pictures.same.column)] if plan.pictures else []
        hashes = EVALUATION_COLUMNS if plan.evaluation else ()
        asked = [*same, *((table, name) for name in hashes for table in plan.tables_with(name))]
        for table, columns in zip(self.tables, self.columns, strict=True):
            names = dict.fromkeys([*columns, *(name for own, name in asked if own is table)])
            yield [*names] if isinstance(table, ImageTable) and table.is_uid else []

    @property
    def titles(self) -> list[str]:
        """What each condition of `checks` asks for, in words."""
        conditions = [condition.shown for condition in self.conditions]
        rules = map(str, self.plan.policy.over(IMAGES))
        sets = self.plan.evaluation.names if self.plan.evaluation else []
        left = [TEXT_LEFT] if self.text_titles else []
        return [*conditions, *rules, *(f"not in evaluation set {name}" for name in sets), *left]

    @property
    def text_titles(self) -> list[str]:
        """What each rule over texts is."""
        repeated = RULES["max_images_per_text"]
        rules = [str(rule) for rule in self.plan.policy.rules if rule.rule.scope == TEXTS or rule.rule == repeated]
        return [*rules, *(["no text of an evaluation set"] if self.plan.evaluation_texts else [])]

    @property
    def unmirrored(self) -> dict[str, int]:
        """The number of pictures of each evaluation set whose mirror image has no pHash, and is not compared."""
        sets = self.plan.evaluation.sets if self.plan.evaluation and self.plan.tables_with("phash") else ()
        return {each.name: each.unmirrored for each in sets if each.unmirrored}

    @property
    def late(self) -> Iterator[tuple[str, str]]:
        """Yield the steps behind the conditions, and what each asks for."""
        if self.plan.pictures:
            yield "copies", f"one image of a picture, by {self.plan.pictures.same}"
        if self.plan.images_per_domain:
            yield "domains", f"at most {self.plan.images_per_domain:,} images of a registered domain"


@dataclass(frozen=True)
class Gated:
    """A gate, and what each of its steps counted: captions, conditions, copies, domains, those that there were."""

    gate: Gate
    counted: Mapping[str, Tallies] = field(default_factory=dict)

    def after(self, step: str, counted: Tallies) -> Gated:
        """Return it with what a further step counted."""
        return replace(self, counted={**self.counted, step: counted})

    @property
    def last(self) -> Tallies:
        """What the last step counted."""
        return [*self.counted.values()][-1]

    @property
    def statuses(self) -> dict[str, int]:
        """The number of matched images by the status of their download; empty without a download."""
        return {status: int(images) for status, images in self._conditions.beginning("status.").items()}

    def require_images(self) -> None:
        """Refuse a table without any of the matched images, and a gate through which none passes."""
        if self.gate.captioning:
            self.gate.captioning.require_some(self.counted["captions"])
        if "conditions" not in self.counted:
            return
        if self.gate.is_download:
            require_success(self.statuses)
        for number, table in enumerate(self.gate.tables):
            if not self._conditions[f"found.{number}"]:
                raise InputError(
                    f"{table.name} has none of the matched images: its {table.identity}s are not those of this run; "
                    "give a table with the column uid of matched/, or url"
                )
        if not self._conditions["passed"]:
            failed = (f"{each['failed']:,} {each['text']}" for each in self._of_conditions())
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(failed)}); ask for less")

    def facts(self) -> dict[str, Any]:
        """Return what run.json says: `gate`, and `downloads` where a download was asked for."""
        folders = list(self.gate.plan.folders)
        return {"gate": self.of_gate()} | (
            {"downloads": {"folders": folders, "images": self.statuses}} if folders else {}
        )

    def of_gate(self) -> dict[str, Any]:
        """Return what was counted by tables and conditions."""
        tables = [{"name": table.name, **self._of_table(n)} for n, table in enumerate(self.gate.tables)]
        late = [_late(title, self.counted[step]) for step, title in self.gate.late]
        early = [_late(MATCHED_CAPTION, self.counted["captions"])] if self.gate.captioning else []
        texts = [_counts(title, self._conditions, n, "rule.") for n, title in enumerate(self.gate.text_titles)]
        asked = {"tables": tables, "conditions": [*early, *self._of_conditions(), *late], "texts": texts}
        unmirrored = {"unmirrored": found} if (found := self.gate.unmirrored) else {}
        captioning = self.gate.captioning
        return asked | unmirrored | ({"captions": captioning.facts(self.counted["captions"])} if captioning else {})

    def require_own_rows(self, limit: float) -> None:
        """Refuse a table in which rows of too many images differ in columns that are asked for."""
        for number, (table, columns) in enumerate(zip(self.gate.tables, self.gate.compared, strict=True)):
            counted = self._of_table(number)
            differing, found = counted.get("differing", 0), counted["found"]
            if differing > limit * found:
                raise InputError(
                    f"{table.name} has several rows of {differing:,} of {found:,} images, such as "
                    f"{counted['example']}, that differ in {', '.join(columns)}; expected one image a "
                    f"{table.identity}: leave one row of each, or allow more with --max-shared-uids "
                    f"{rounded_up(differing / found)}"
                )

    def _of_table(self, number: int) -> dict[str, Any]:
        """Return how many images a table has, and how many have rows that differ, with an example where there are."""
        differing = self._conditions[f"differing.{number}"]
        examples = self._conditions.beginning(f"differing_uid.{number}.")
        several = {"differing": differing, "example": min(examples)} if differing else {}
        return {"found": self._conditions[f"found.{number}"]} | several

    @property
    def _conditions(self) -> Tallies:
        return self.counted.get("conditions", Tallies())

    def _of_conditions(self) -> Iterator[dict[str, Any]]:
        for number, title in enumerate(self.gate.titles):
            yield _counts(title, self._conditions, number)


def _counts(title: str, counted: Tallies, number: int, prefix: str = "") -> dict[str, Any]:
    """Return what was counted of a condition."""
    counts = {name: counted[f"{prefix}{name}.{number}"] for name in COUNTS}
    return {"text": title} | counts | {"removed_texts": counted.by_language(f"{prefix}texts.{number}")}


def _late(title: str, counted: Tallies) -> dict[str, Any]:
    """Return what a step counted that looks only at images which the steps before it left: they failed nothing else."""
    texts = {code: number for code, number in counted.by_language("texts").items() if number}
    return {"text": title} | dict.fromkeys(COUNTS, counted["removed"]) | {"removed_texts": texts}


def _checked(spark: SparkSession, plan: GatePlan, expression: str) -> list[Condition]:
    found = []
    for condition in conditions(spark, expression):
        require_columns(condition.columns, plan.column_names)
        wanted = set(map(str.lower, condition.columns))
        fields = [field for _, columns in plan.columns for field in columns if field.name.lower() in wanted]
        schema = comparable_schema(pa.schema(fields))
        require_boolean(spark, condition, schema)
        found.append(nan_is_null(spark, condition, schema))
    return found
