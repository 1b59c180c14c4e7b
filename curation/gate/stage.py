"""The gate as a stage: captions, conditions, copies of a picture, domains, each over what those before it left.

The order is always this one, whatever the order in which they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from curation.by_uid.rows import RowStream, summed
from curation.gate.captions import Captioning, match_captions
from curation.gate.checks import Checks, TextRule
from curation.gate.copies import Merging, merge_copies
from curation.gate.domains import cap_domains
from curation.gate.expressions import lenient
from curation.gate.gate import Gate, Gated
from curation.gate.known_sets import is_of_evaluation, known_sets, sets_by_hash, shipped
from curation.gate.passing import write_passing
from curation.gate.plan import GatePlan
from curation.gate.policies import IMAGES, TEXTS
from curation.gate.repeated import is_repeated, repeated_texts
from curation.gate.verdicts import verdicts
from curation.run.hooks import Context
from runtime.errors import AGAIN
from runtime.shipping import ship
from runtime.spark import SHUFFLED_JOINS, map_batches, run, settings
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile, checksums_in, own_files
from runtime.tallies import SCHEMA, Tallies

LAST = "gated"  # the name of the folder that the last step writes
Step = Callable[[Sequence[OwnFile], Path], Tallies]


def pass_gate(files: Sequence[OwnFile], gate: Gate, context: Context) -> tuple[list[OwnFile], Gated]:
    """Write the images that pass to the part LAST of the output, begun anew; return its files, and what was counted."""
    if gate.plan.captions:
        plan = context.match_plan()
        with context.progress.stage("read captions"):
            gate = replace(gate, captioning=Captioning.of(context.spark, gate.plan.captions, plan))
    with context.progress.stage("gate images"):
        return _pass_gate(files, gate, context)


def _pass_gate(files: Sequence[OwnFile], gate: Gate, context: Context) -> tuple[list[OwnFile], Gated]:
    spark, config, output = context.spark, context.config, context.output
    steps, gated = dict[str, Step](), Gated(gate)
    if gate.captioning:
        steps["captions"] = partial(match_captions, spark, gate.captioning)
    if gate.plan.asks:
        steps["conditions"] = partial(meet_conditions, spark, gate, output.artefacts)
    if gate.plan.pictures:
        merging = Merging(gate.plan.pictures, config.max_texts, output.artefacts / "copies")
        steps["copies"] = partial(merge_copies, spark, merging)
    if gate.plan.images_per_domain:
        steps["domains"] = partial(cap_domains, spark, gate.plan.images_per_domain, config.seed)
    for name, step in steps.items():
        folder = output.parts.begin(LAST if name == [*steps][-1] else name)
        with settings(spark, SHUFFLED_JOINS):
            gated = gated.after(name, step(files, folder))
        gated.require_images()
        gated.require_own_rows(config.max_shared_uids)
        files = own_files(folder, checksums_in(gated.last), AGAIN)
    return list(files), gated


def meet_conditions(spark: SparkSession, gate: Gate, work: Path, files: Sequence[OwnFile], folder: Path) -> Tallies:
    """Write the images that meet all conditions to files of the same names in a folder; return what was counted."""
    plan = gate.plan
    sets = shipped(spark, plan.evaluation, work / "evaluation") if plan.evaluation else None
    checks = Checks(
        conditions=len(gate.conditions),
        tables=len(gate.tables),
        sets=len(plan.evaluation.names) if plan.evaluation else 0,
        known=partial(known_sets, sets=sets) if sets else None,
        image_rules=[rule.fails for rule in plan.policy.over(IMAGES)],
        text_rules=[*_text_rules(spark, files, plan, work)],
    )
    if not gate.tables:
        return run(spark, list(files), partial(_write_one, checks=checks, folder=folder))
    with lenient(spark):
        rows = verdicts(spark, files, gate, sets_by_hash(spark, plan, sets) if sets else None)
        write = partial(_write_some, files=list(files), checks=checks, folder=folder)
        return summed(map_batches(rows, write, SCHEMA))


def _text_rules(spark: SparkSession, files: Sequence[OwnFile], plan: GatePlan, work: Path) -> Iterator[TextRule]:
    """Yield the rules over texts; what they know of all images is of the matched ones, whatever else is asked for."""
    yield from (rule.fails for rule in plan.policy.over(TEXTS))
    if plan.images_per_text:
        hashes = repeated_texts(spark, files, plan.images_per_text)
        yield partial(is_repeated, repeated=ship(spark, save_array(work / "repeated.npy", hashes)))
    if plan.evaluation_texts:
        yield partial(is_of_evaluation, known=shipped(spark, plan.evaluation_texts, work / "evaluation_texts"))


def _write_one(file: OwnFile, checks: Checks, folder: Path) -> Tallies:
    return write_passing(file, 0, None, checks, folder)


def _write_some(
    rows: Iterable[pa.RecordBatch], files: Sequence[OwnFile], checks: Checks, folder: Path
) -> Iterator[pa.RecordBatch]:
    """Write the images that pass of each file whose verdicts come; yield what was counted."""
    stream = RowStream(rows)
    for number in stream.files():
        yield write_passing(files[number], number, stream, checks, folder).batch()
