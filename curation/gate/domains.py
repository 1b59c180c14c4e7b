"""The step `domains`: keep at most N images per registered domain, those with the smallest draws.

So the choice does not depend on the order of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from curation.by_uid.rows import images_of, key_columns
from curation.by_uid.tables import KEY, KEY_NAMES
from curation.exclusion.sets import hosts, registered_domain
from curation.gate.plan import GatePlan
from curation.gate.removed import StepFolder
from curation.gate.rewriting import Begin, rewritten, without
from curation.gate.steps import Step, removed
from curation.run.hooks import Context
from runtime.draws import draws
from runtime.spark import settings
from runtime.storage.own_files import OwnFile
from runtime.tallies import Tallies

PURPOSE = "domain"  # of the draw
_LIMIT = "spark.sql.optimizer.windowGroupLimitThreshold"  # up to it Spark cuts a window before it shuffles
_FIELDS = (pa.field("domain", pa.string()), pa.field("draw", pa.float64()), *KEY)


@dataclass(frozen=True)
class Domains(Step):
    """The step: at most a given number of images of each domain stay."""

    most: int

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> Tallies:
        """Write the images with the smallest draws of each domain."""
        spark, most = context.spark, self.most
        drawn = images_of(spark, images, ["uid", "url"], partial(_drawn, seed=context.config.seed), _FIELDS)
        order = ", ".join(["draw", *KEY_NAMES])
        ranked = drawn.selectExpr("file", "row", f"row_number() over (partition by domain order by {order}) as rank")
        # A row before the first of each file, so that a file comes of which nothing is kept.
        begins = spark.range(len(images)).selectExpr("cast(id as int) as file", "-1L as row")
        kept = ranked.where(f"rank <= {most}").select("file", "row").union(begins)
        # Tasks drop what is over the limit before images of a domain come together: none gets a whole domain.
        with settings(spark, {_LIMIT: str(most)}):
            return rewritten(kept, images, partial(_stay, rule=self._title), folder)

    def facts(self, counted: Tallies) -> dict[str, Any]:
        """Return how many images were removed."""
        return {"conditions": [removed(self._title, counted)]}

    @property
    def _title(self) -> str:
        return f"at most {self.most:,} images of a registered domain"


def step(spark: SparkSession, plan: GatePlan) -> Domains | None:
    """Return the step where a number is asked for."""
    return Domains(plan.images_per_domain) if plan.images_per_domain else None


def _drawn(batch: pa.RecordBatch, seed: int) -> list[pa.Array]:
    return [
        hosts(batch["url"], registered_domain),
        pa.array(draws(seed, PURPOSE, batch["uid"])),
        *key_columns(batch["uid"]),
    ]


def _stay(
    batch: pa.RecordBatch, rows: pa.RecordBatch | None, begin: Begin, tallies: Tallies, rule: str
) -> pa.RecordBatch:
    """Return the images whose rows come."""
    goes = np.ones(batch.num_rows, bool)
    kept = np.empty(0, np.int64) if rows is None else rows["row"].to_numpy()
    goes[kept[kept >= 0] - begin.row] = False
    return without(batch, goes, rule, begin.removed, tallies)
