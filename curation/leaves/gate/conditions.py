"""The step `conditions`: check single images and texts by tables, policy rules and evaluation sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.config import CurationConfig
from curation.leaves.gate.checks import Check, Checks, Rule, Verdicts, rewrite
from curation.leaves.gate.evaluation import EvaluationSets
from curation.leaves.gate.evaluation_texts import find_texts
from curation.leaves.gate.expression_text import Condition
from curation.leaves.gate.mending import MENDED, MENDS, Mending
from curation.leaves.gate.plan import FOUND, STATUS, SUCCESS, GatePlan
from curation.leaves.gate.policies import RULES
from curation.leaves.gate.repeated_texts import find_repeated
from curation.leaves.gate.rule import IMAGES, TEXTS
from curation.leaves.gate.steps import COUNTS, Step, StepFolder
from curation.leaves.gate.table_rows import (
    Asked,
    of_table,
    require_found,
    require_own_rows,
    rows_of_sets,
    rows_of_tables,
)
from curation.leaves.gate.verdicts import WHY, VerdictJoin, rewritten
from curation.run.request import Context
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

DOWNLOADED = Condition(f"{STATUS} = '{SUCCESS}'", (STATUS,))


@dataclass(frozen=True)
class Conditions(Step):
    """The step: conditions on joined tables, and all other checks of images and texts."""

    asked: Asked
    checks: tuple[Check, ...]

    def prepare(self, context: Context) -> Conditions:
        """Make what finds the entries of texts that are mended, which is a stage of its own."""
        if self.asked.plan.policy.mends:
            context.match_plan()
        return self

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images that pass all checks to files of the same names."""
        engine, asked, plan = context.engine, self.asked, self.asked.plan
        evaluation = plan.evaluation
        sets = engine.ship(Path(evaluation.save(context.output.artefacts / "evaluation"))) if evaluation else None
        made = tuple(check.made(context, images) for check in self.checks)
        known, mends = partial(_known_sets, sets=sets) if sets else None, plan.policy.mends
        checks = Checks(made, len(plan.tables), known, Mending(context.match_plan(), mends) if mends else None)
        if not plan.tables:
            return engine.run(list(images), partial(rewrite, change=checks, folder=folder))
        rows = rows_of_sets(plan, sets) if sets else []
        if plan.keep is None:
            join = VerdictJoin.of(images, asked, asked.parts)
            return rewritten(engine, join, [*rows, *rows_of_tables(asked)], images, checks, folder)
        from curation.leaves.gate import joined_tables  # here, as Spark takes long to import

        spark = engine.sql(WHY).session
        with joined_tables.evaluating(spark):
            join = VerdictJoin.of(images, asked, joined_tables.with_unmet(spark, asked))
            blocks = joined_tables.facts(spark, asked, join)
            return rewritten(engine, join, rows, images, checks, folder, blocks)

    def require(self, counted: Tallies, config: CurationConfig) -> None:
        """Refuse a download without matched images, tables of other images, and what lets nothing pass."""
        if self.asked.plan.results:
            require_success(_statuses(counted))
        for number, table in enumerate(self.asked.plan.tables):
            require_found(table, number, counted)
        if not counted["passed"]:
            failed = (f"{each['failed']:,} {each['text']}" for each in self._of_images(counted))
            raise InputError(f"no matched image meets all conditions (failed: {', '.join(failed)}); ask for less")
        for number, (table, columns) in enumerate(zip(self.asked.plan.tables, self.asked.compared, strict=True)):
            require_own_rows(table, columns, number, counted, config)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return the tables, the number that each check removed, and the figures of a download."""
        plan, texts = self.asked.plan, Checks(self.checks).of_texts
        tables = [{"name": table.name, **of_table(number, counted)} for number, table in enumerate(plan.tables)]
        facts: dict[str, Any] = {"tables": tables, "conditions": [*self._of_images(counted)]}
        facts["texts"] = [
            _counts(check.title, counted, number, "rule.", check.removes)
            | ({"mended": counted[f"{MENDED}{check.title}"]} if check.title in MENDS else {})
            for number, check in enumerate(texts)
        ]
        if plan.evaluation and plan.tables_with("phash"):
            facts["decontaminate_within"] = plan.evaluation.distance
        if plan.evaluation and plan.evaluation.vectors:
            facts["decontaminate_cosine"] = float(plan.evaluation.vectors.cosine[0])
        if unmirrored := _unmirrored(plan):
            facts["unmirrored"] = unmirrored
        if plan.folders:
            facts["downloads"] = {"folders": list(plan.folders), "images": _statuses(counted)}
        return facts

    def _of_images(self, counted: Tallies) -> Iterator[dict[str, Any]]:
        checks = Checks(self.checks)
        removes = [check.removes for check in checks.of_images] + ["images without a text left"] * bool(checks.of_texts)
        for number, title in enumerate(checks.titles):
            yield _counts(title, counted, number, removes=removes[number])


def step(engine: Engine, plan: GatePlan) -> Conditions | None:
    """Return the step where anything is asked besides captions; InputError for what Spark cannot evaluate."""
    if not plan.asks:
        return None
    found = [DOWNLOADED] if plan.results else []
    if plan.only:
        found.append(Condition(f"{FOUND}{plan.tables.index(plan.only)}", (), f"in {plan.only.name}"))
    if plan.keep is not None:
        from curation.leaves.gate.expressions import checked

        found += checked(
            engine.sql(WHY).session, plan.keep, [columns for _, columns in plan.columns], plan.column_names
        )
    return Conditions(Asked(plan, found), tuple(_checks(plan, found)))


def require_success(statuses: Mapping[str, int]) -> None:
    """Refuse a download without any matched image, given the number of matched images by status."""
    if not statuses.get(SUCCESS):
        counts = ", ".join(f"{images:,} {status}" for status, images in statuses.items()) or "there is none"
        raise InputError(
            f"no matched image was downloaded ({counts}); give the results of downloading this run's matched/, with "
            "`uid` among --save_additional_columns where the input brought its own uids"
        )


def _checks(plan: GatePlan, found: Sequence[Condition]) -> Iterator[Check]:
    """Yield all checks: first of images, in the order of their bits, then of texts."""
    for bit, condition in enumerate(found):
        yield Check(condition.shown, partial(_is_unmet, bit=bit))
    for rule in plan.policy.over(IMAGES):
        yield Check(str(rule), partial(_of_batch, rule=rule.fails), removes=rule.removes)
    for bit, name in enumerate(plan.evaluation.names if plan.evaluation else ()):
        yield Check(f"not in evaluation set {name}", partial(_is_in_set, bit=bit))
    for rule in plan.policy.rules:
        if rule.rule.scope == TEXTS:
            yield Check(str(rule), rule.fails, of_texts=True, removes=rule.removes)
        elif rule.rule is RULES["max_images_per_text"] and plan.images_per_text:
            make = partial(find_repeated, most=plan.images_per_text)
            yield Check(str(rule), of_texts=True, make=make, by_file=True, removes=rule.removes)
    if texts := plan.evaluation_texts:
        yield Check("no text of an evaluation set", of_texts=True, make=partial(find_texts, texts=texts))


def _known_sets(batch: pa.RecordBatch, sets: Shipped) -> np.ndarray:
    """Return the sets that have the URL of each image of a MATCHED batch."""
    return sets.opened(EvaluationSets.open).known(batch)


def _is_unmet(batch: pa.RecordBatch, verdicts: Verdicts, bit: int) -> np.ndarray:
    return verdicts.met >> bit & 1 == 0


def _is_in_set(batch: pa.RecordBatch, verdicts: Verdicts, bit: int) -> np.ndarray:
    return verdicts.sets >> bit & 1 == 1


def _of_batch(batch: pa.RecordBatch, verdicts: Verdicts, rule: Rule) -> np.ndarray:
    return rule(batch)


def _statuses(counted: Tallies) -> dict[str, int]:
    """Return the number of matched images by the status of their download."""
    return {status: int(images) for status, images in counted.beginning("status.").items()}


def _unmirrored(plan: GatePlan) -> dict[str, int]:
    """Return the number of pictures of each evaluation set whose mirror image has no pHash, and is not compared."""
    sets = plan.evaluation.sets if plan.evaluation and plan.tables_with("phash") else ()
    return {each.name: each.unmirrored for each in sets if each.unmirrored}


def _counts(title: str, counted: Tallies, number: int, prefix: str = "", removes: str | None = None) -> dict[str, Any]:
    """Return the counts of a check, and what it removes."""
    counts = {name: counted[f"{prefix}{name}.{number}"] for name in COUNTS}
    said = {"removes": removes} if removes else {}
    return {"text": title} | said | counts | {"removed_texts": counted.by_language(f"{prefix}texts.{number}")}
