"""Run the steps of a curation on DataFrames: match, count, compute thresholds, sample.

For the same pairs they return the same rows and numbers as `curation.curate`. They also work on Spark Connect.
NOT_HONOURED has the fields of CurationConfig that only a run on files supports.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runtime.packages import missing_package, table_rows

try:
    from pyspark.sql import DataFrame
except ImportError as error:
    raise ImportError(missing_package(str(error))) from error

from curation.balancing.thresholds import Thresholds, rates_of, sizes_of, slices_of, thresholds_at
from curation.config import CurationConfig
from curation.dataframes import partitions
from curation.exclusion import Exclusion
from curation.inputs.tables.columns import FIELD, TableOptions
from curation.language.engines import Identifier
from curation.matching.finders import matchers_of
from curation.run import warm
from curation.run.catalog import pair_columns, require_columns, selected
from curation.run.request import entries_for
from curation.run.tasks import Artefacts, MatchPlan
from curation.schemas import CURATED, MATCHED, SAMPLED
from metadata.entries import Entries
from runtime.argument_types import require_seed, require_several, typed
from runtime.engine.spark import map_batches
from runtime.errors import InputError, ParameterError
from runtime.messages import no_column
from runtime.shipping import sender
from runtime.storage.arrays import save_array
from runtime.storage.scratch import scratch_of_process
from runtime.warming import compile_kernels

__all__ = ["DIGEST", "Balance", "FolderPath", "MatchOptions", "count", "dropped", "match", "sample", "thresholds"]

FolderPath = str | Path
# Only a run on files honours these fields of CurationConfig. Any other value than the default is refused.
NOT_HONOURED = {row["parameter"]: row["reason"] for row in table_rows(__package__, "not_honoured.csv")}

DIGEST = "entries"  # This key of a column's metadata has the digest of the entries that the ids belong to.
LANGUAGE_SIZES = "languages"  # This key in the metadata of ids has the number of entries of each language.


@typed
@dataclass(frozen=True)
class MatchOptions:
    """The options of `match` besides pairs, metadata and the numbers of a config.

    columns: the columns that hold the pairs, if their names are not recognised.
    kind_column: the column with the kind of each text, such as alt or title; None: every kind is `text`, as in tables.
    unique_images: whether each row is a separate image, so that rows need not be grouped by image.
    exclude: paths of exclusion lists.
    model: a fastText language identification model; None: lid.176.ftz.
    artefacts: a folder or URL that all machines see; None: Spark ships what workers need.
    """

    columns: TableOptions = field(default_factory=TableOptions)
    kind_column: str | None = None
    unique_images: bool = False
    exclude: Sequence[str] = ()
    model: str | None = None
    artefacts: FolderPath | None = None

    def __post_init__(self) -> None:
        require_several("exclude", self.exclude)


def honoured(config: CurationConfig | None) -> CurationConfig:
    """Return the config, or the default config if None; ParameterError for a value that DataFrames do not support."""
    config = config or CurationConfig()
    for name, reason in NOT_HONOURED.items():
        if (value := getattr(config, name)) != getattr(CurationConfig, name):
            raise ParameterError(f"is {value}, but {reason}; leave it out, or use curation.curate", name)
    if "pool" in config.witnesses and not config.pool_shares:
        raise ParameterError(
            "contain pool, which counts the texts of each input file, but a DataFrame has no input files; pass "
            "pool_shares, leave out pool, or use curation.curate",
            "witnesses",
        )
    return config


@dataclass(frozen=True, eq=False)
class Balance:
    """The threshold of each language, and the sampling rate of each entry."""

    thresholds: Thresholds
    rates: np.ndarray  # float32[id]
    digest: str | None  # digest of the entries that the ids belong to; None if the counts do not state it
    seed: int = 0  # the seed in the config of the thresholds


@typed
def match(
    pairs: DataFrame,
    metadata: FolderPath | Entries,
    config: CurationConfig | None = None,
    options: MatchOptions | None = None,
) -> DataFrame:
    """Return one row for each image that has a text with a match: the columns and rows of a run's matched/.

    `pairs` has a column of URLs and one of texts, and may have `uid`, `page_url` and `language`. `dropped` counts the
    rows that are not pairs. Matchers are built at once; all else runs when Spark needs the rows.
    """
    config = honoured(config)
    options = options or MatchOptions()
    entries = entries_for(config, metadata)
    rows = _candidate_columns(pairs, options)
    plan = _plan(pairs, entries, config, options)
    if options.unique_images:
        images = map_batches(rows, lambda batches: partitions.match_unique(batches, plan), MATCHED)
    else:
        blocks = map_batches(
            rows, lambda batches: partitions.match_pairs(batches, plan), partitions.BLOCKS
        ).repartition("bucket")
        images = map_batches(blocks, lambda batches: partitions.grouped_images(batches, config.max_texts), MATCHED)
    return images.withMetadata("candidates", {DIGEST: entries.digest})


@typed
def dropped(
    pairs: DataFrame,
    metadata: FolderPath | Entries,
    config: CurationConfig | None = None,
    options: MatchOptions | None = None,
) -> DataFrame:
    """Return a DataFrame of `name` and `count`: how many rows of the same pairs `match` reads and drops.

    The names are the same as in run.json: `records`, `pairs`, `cut_text` and `dropped.REASON`. A name without a row has
    the count 0. Spark reads the pairs and groups them by image again, but does not match them.
    """
    config = honoured(config)
    options = options or MatchOptions()
    entries = entries_for(config, metadata)
    rows = _candidate_columns(pairs, options)
    plan = _plan(pairs, entries, config, options)
    read = map_batches(
        rows, lambda batches: partitions.tallies(batches, plan, options.unique_images), partitions.COUNTED
    )
    buckets = read.repartition("bucket")
    tallies = map_batches(
        buckets, lambda batches: partitions.all_tallies(batches, config.max_texts), partitions.TALLIES
    )
    named = tallies.selectExpr("concat_ws('.', name, item) as name", "count")
    return named.groupBy("name").sum("count").withColumnRenamed("sum(count)", "count")


@typed
def count(
    matched: DataFrame,
    metadata: FolderPath | Entries,
    config: CurationConfig | None = None,
    artefacts: FolderPath | None = None,
) -> DataFrame:
    """Return `id`, `language`, `entry` and `count`, the number of texts with the entry, for each entry that a text has.

    `metadata` and `config` must be the ones that the images were matched with.
    """
    entries = entries_for(honoured(config), metadata)
    require_columns(matched, ["candidates"], "match")
    _require_digest(matched, entries.digest)
    ids = matched.selectExpr("explode(flatten(filter(candidates.entries, ids -> ids is not null))) as id")
    seen = ids.groupBy("id").count()
    written = _once(f"metadata-{entries.digest}", entries.save)
    saved = sender(matched.sparkSession, artefacts, scratch_of_process())(written)
    groups = matched.sparkSession.range(partitions.row_groups(written))
    named = map_batches(groups, lambda batches: partitions.entries(batches, saved), partitions.ENTRY_ROWS)
    counts = named.join(seen, on="id", how="right")  # An inner join would hide ids that belong to no entry.
    stated = {DIGEST: entries.digest, LANGUAGE_SIZES: sizes_of(entries.languages)}
    return counts.select("id", "language", "entry", "count").withMetadata("id", stated)


@typed
def thresholds(counts: DataFrame, config: CurationConfig | None = None) -> Balance:
    """Return thresholds and rates for `counts`, all rows that `count` returned; the driver collects the numbers."""
    config = honoured(config)
    require_columns(counts, ["id", "language", "count"], "count")
    languages = slices_of(_stated(counts, "id", LANGUAGE_SIZES) or "{}")
    values = _by_id(counts.select("id", "language", "count").toArrow(), languages)
    by_language = {code: values[ids] for code, ids in languages.items()}
    thresholds = thresholds_at(config.english_threshold, by_language, config)
    return Balance(thresholds, rates_of(values, languages, thresholds), _stated(counts, "id", DIGEST), config.seed)


@typed
def sample(
    matched: DataFrame, balance: Balance, seed: int | None = None, artefacts: FolderPath | None = None
) -> DataFrame:
    """Return the rows of a run's curated/, unsorted: one text of each image, kept with the text's probability.

    If `seed` is None, the seed of the config that was given to `thresholds` is used.
    """
    seed = balance.seed if seed is None else seed
    require_seed(seed)
    require_columns(matched, SAMPLED.names, "match")
    if balance.digest is not None:
        _require_digest(matched, balance.digest)
    rates = save_array(scratch_of_process() / f"rates-{uuid4().hex}.npy", balance.rates)
    shipped = sender(matched.sparkSession, artefacts, scratch_of_process())(rates)
    return map_batches(
        matched.select(*SAMPLED.names), lambda batches: partitions.sampled_pairs(batches, shipped, seed), CURATED
    )


def _candidate_columns(pairs: DataFrame, options: MatchOptions) -> DataFrame:
    """Return the columns of `pairs` that `match` reads, renamed as in the schema CANDIDATES."""
    columns = pair_columns(pairs, options.columns, "the DataFrame", FIELD)
    if options.kind_column is not None:
        if options.kind_column not in pairs.columns:
            remedy = "name the column of the kind with kind_column of MatchOptions"
            raise no_column("the DataFrame", [options.kind_column], pairs.columns, remedy)
        columns["kind"] = options.kind_column
    return selected(pairs, columns.items())


def _plan(pairs: DataFrame, entries: Entries, config: CurationConfig, options: MatchOptions) -> MatchPlan:
    """Ship the matchers, model and exclusion lists that workers need for matching; return a plan that names them."""
    model = Identifier.open(options.model)
    exclusion = Exclusion.without_hashes(options.exclude)
    send = sender(pairs.sparkSession, options.artefacts, scratch_of_process())
    compile_kernels(warm.CALLS)
    if config.matcher == "trie":
        matchers = matchers_of(entries, config.rules)
    else:
        matchers = _once(f"strings-{entries.digest}", entries.save_strings)
    excluded = send(_once(f"exclusion-{exclusion.digest}", exclusion.save)) if len(exclusion) else None
    lettered = None
    if config.evidence == "letters":
        name = f"lettered-{entries.digest}.npy"
        lettered = send(_once(name, lambda path: save_array(path, entries.lettered)))
    return MatchPlan(Artefacts(send(matchers), send(model.path), excluded, lettered), config)


def _once(name: str, save: Callable[[Path], object]) -> Path:
    """Return the artefact `name` of this process, which `save` writes unless it exists."""
    path = scratch_of_process() / name
    if not path.exists():
        save(path)
    return path


def _by_id(table: pa.Table, languages: Mapping[str, slice]) -> np.ndarray:
    """Return the counts of all ids of `languages`, by id; InputError for ids of no entry or of other languages."""
    if table["language"].null_count:
        unknown = pc.min(table.filter(pc.is_null(table["language"]))["id"])
        fault = f"id {unknown} does not belong to an entry"
        raise InputError(f"{fault}; count with the metadata that the images were matched with")
    if missing := {*table["language"].unique().to_pylist()} - languages.keys():
        raise InputError(
            f"the counts have entries of {min(missing)}, but do not state how many entries that language has; pass the "
            "DataFrame that count returned, or Parquet files or a table in which Spark saved it"
        )
    values = np.zeros(max((ids.stop for ids in languages.values()), default=0), np.int64)
    values[table["id"].to_numpy()] = table["count"].to_numpy()
    return values


def _stated(frame: DataFrame, column: str, key: str) -> str | None:
    return frame.schema[column].metadata.get(key)


def _require_digest(matched: DataFrame, digest: str) -> None:
    """Refuse images whose column `candidates` states that they were matched with metadata of another digest."""
    stated = _stated(matched, "candidates", DIGEST)
    if stated not in (None, digest):
        raise InputError(
            f"these images were matched with metadata {stated}, but metadata {digest} was passed; use the metadata and "
            "the config that they were matched with, or match again"
        )
