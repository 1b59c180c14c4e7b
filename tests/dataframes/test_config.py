"""Each field of CurationConfig is obeyed on DataFrames as by the job, or refused; none is silently ignored."""

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate, dataframes
from curation.dataframes import honoured
from curation.run.request import Options
from metadata import Entries, InputError
from runtime.engine.local import Local

ENTRIES = Entries.build(
    {
        "en": ["photo", "dog", "the", "7", "road"],
        "de": ["Hund", "Foto", "das", "der", "photo"],
        "ja": ["犬", "写真"],
        "other": ["dog", "犬", "собака"],
    }
)
TEXTS = [
    ("1", "a photo of the dog"),
    ("1", "the photo"),
    ("1", "the dog on the road"),
    ("2", "the photo (dog)"),
    ("3", "7"),
    ("4", "das Foto und der Hund"),
    ("5", "Haus und Hund mit photo"),
    ("6", "犬の写真です"),
    ("7", "a long text about a long way to a house, where at last there is a dog"),
    ("8", "IMG_2034.jpg 犬 dog"),
    ("9", "https://example.org/the/dog.jpg"),
    ("10", "собака dog"),
    ("11", "собака 犬"),
]
REPEATED = 8  # images with the same texts, so that thresholds matter
BASE = {"english_threshold": 3}
HONOURED = {  # a value with which other rows are kept, or the same ones with other probabilities
    "english_threshold": 9,
    "tail_share": 0.9,
    "seed": 1,
    "rules": "meta",
    "matcher": "ahocorasick",
    "evidence": "letters",
    "max_texts": 1,
    "min_language_score": 0.75,
    "min_language_scores": {"ja": 1.0, "de": 0.999},
    "no_language": "other",
    "wrong_script": "keep",
    "witnesses": (),
    "pool_shares": {"fr": 1.0},
    "metadata_of": "de",
    "merge_languages": True,
    "threshold_per_language": "same",
    "balance": False,
}
BESIDE = {"pool_shares": {"witnesses": ("pool",)}}  # what a field needs
TOGETHER = (  # fields that one run honours, each of which changes what the others give
    ("english_threshold", "tail_share", "seed", "rules", "matcher", "witnesses"),
    ("min_language_scores", "threshold_per_language", "no_language", "wrong_script"),
    ("merge_languages", "evidence", "max_texts", "min_language_score"),
    ("metadata_of", "balance"),
    ("pool_shares",),
)
SAME_ROWS = ("matcher", "witnesses")  # another engine for the same matches; all texts are sure or say nothing
REFUSED = {
    "target_size": 5,
    "sample_files": 1,
    "max_bad_files": 0.1,
    "max_bad_records": 0.1,
    "max_shared_uids": 0.1,
    "rows_per_file": 5,
    "extra_columns": ["license"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    rows = [
        {"url": f"https://example.org/{n}-{image}.jpg", "text": text} for n in range(REPEATED) for image, text in TEXTS
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")
    return folder


def of_job(folder, config: CurationConfig) -> dict:
    inputs, output = [str(folder / "pairs.parquet")], folder / "job"
    run = curate(inputs, output, metadata=ENTRIES, config=config, options=Options(overwrite=True), engine=Local(1))
    read = {name: pq.read_table(run.path / name).to_pylist() for name in ("matched", "counts.parquet", "curated")}
    thresholds = {code: each["t"] for code, each in run.facts["languages"].items() if each["entries"]}
    return {
        "matched": by_uid(read["matched"]),
        "counts": [(row["id"], row["language"], row["entry"], row["count"]) for row in read["counts.parquet"]],
        "thresholds": thresholds | {"tail share": run.facts["tail_share"]},
        "rates": run.rates.tolist(),
        "curated": by_uid(read["curated"]),
    }


def on_dataframes(spark, folder, config: CurationConfig) -> dict:
    pairs = spark.read.parquet(str(folder / "pairs.parquet"))
    matched = dataframes.match(pairs, ENTRIES, config).cache()
    counts = dataframes.count(matched, ENTRIES, config).cache()
    balance = dataframes.thresholds(counts, config)
    rows = sorted(tuple(row) for row in counts.collect())
    return {
        "matched": by_uid(matched.toArrow().to_pylist()),
        "counts": rows,
        "thresholds": dict(balance.thresholds.of_language) | {"tail share": balance.thresholds.tail_share},
        "rates": balance.rates.tolist(),
        "curated": by_uid(dataframes.sample(matched, balance).toArrow().to_pylist()),
    }


def by_uid(rows: list[dict]) -> list[dict]:
    return sorted(rows, key=lambda row: row["uid"])


def test_the_tables_name_each_field_with_another_value_than_its_default():
    known = {field.name: field for field in fields(CurationConfig)}
    assert {*HONOURED, *REFUSED} == set(known), "say whether DataFrames honour or refuse a new field"
    assert sorted(HONOURED) == sorted(name for names in TOGETHER for name in names)
    for name, value in (HONOURED | REFUSED).items():
        default = known[name].default
        assert value != (known[name].default_factory() if default is MISSING else default)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
def test_numbers_give_what_they_give_in_the_job_and_each_changes_it(spark, folder, names):
    expected = of_job(folder, config_of(names))
    found = on_dataframes(spark, folder, config_of(names))
    for part in expected:
        assert found[part] == expected[part]
    for name in names:
        without = of_job(folder, config_of([each for each in names if each != name]))
        assert (without == expected) == (name in SAME_ROWS), name


def config_of(names: Sequence[str]) -> CurationConfig:
    """Return the config with the values of these fields."""
    base = {} if "balance" in names else BASE  # without balance a threshold is refused
    beside = {field: value for name in names for field, value in BESIDE.get(name, {}).items()}
    return CurationConfig(**base | beside | {name: HONOURED[name] for name in names})


@pytest.mark.parametrize("name", REFUSED)
def test_a_number_that_only_the_job_can_honour_is_refused(name):
    with pytest.raises(
        InputError, match=rf"^{name} is {re.escape(str(REFUSED[name]))}, but .*; leave it out, or use curation.curate$"
    ):
        honoured(CurationConfig(**{name: REFUSED[name]}))


@pytest.mark.spark
@pytest.mark.parametrize("function", ["match", "dropped", "count", "thresholds"])
def test_each_function_that_takes_the_numbers_refuses_such_a_one(spark, folder, function):
    config = CurationConfig(target_size=5)
    frame = spark.read.parquet(str(folder / "pairs.parquet"))
    arguments = (frame, config) if function == "thresholds" else (frame, ENTRIES, config)
    with pytest.raises(InputError, match="target_size is 5, but"):
        getattr(dataframes, function)(*arguments)


@pytest.mark.spark
def test_images_matched_against_a_merged_list_are_counted_with_that_config_alone(spark, folder):
    pairs = spark.read.parquet(str(folder / "pairs.parquet"))
    matched = dataframes.match(pairs, ENTRIES, CurationConfig(merge_languages=True))
    with pytest.raises(InputError, match="use the metadata and the config that they were matched with"):
        dataframes.count(matched, ENTRIES)


def test_the_pool_is_no_witness_of_a_dataframe_unless_its_shares_are_given():
    with pytest.raises(InputError, match="^witnesses contain pool, which counts the texts of each input file"):
        honoured(CurationConfig(witnesses=["han", "pool"]))
    honoured(CurationConfig(witnesses=["han", "pool"], pool_shares={"en": 0.9}))
