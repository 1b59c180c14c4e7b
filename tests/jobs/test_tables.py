"""A table of the session's catalog gives the rows of the same data as Parquet, and is read anew when it changes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, Options, curate
from curation.inputs.tables.columns import TableOptions
from metadata import Entries, InputError
from runtime.folders.descriptor import DESCRIPTOR
from tests.sample.texts import LANGUAGES, entries
from tests.support import own_tables
from tests.support.frame_pairs import write_pairs
from tests.support.sample_runs import curated, facts, times

pytestmark = pytest.mark.spark
CONFIG = CurationConfig(english_threshold=20, max_texts=16)


@pytest.fixture(scope="module")
def metadata():
    return Entries.build({code: entries(code) for code in LANGUAGES})


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, sample):
    folder = tmp_path_factory.mktemp("pairs") / "files"
    write_pairs(sample, folder)
    return folder


@pytest.fixture(scope="module")
def from_files(tmp_path_factory, spark, metadata, pairs):
    """The run over the pairs as Parquet files."""
    output = tmp_path_factory.mktemp("runs") / "files"
    curate([str(pairs)], output, metadata=metadata, config=CONFIG, engine=spark)
    return output


@pytest.fixture(scope="module")
def table(spark, pairs, tmp_path_factory):
    """A table of other names of columns and in many partitions."""
    frame = spark.read.parquet(str(pairs)).withColumnsRenamed({"url": "img.src", "text": "Words"}).repartition(7)
    frame.withColumn("other", frame["Words"]).write.saveAsTable(
        "pairs_table", path=str(tmp_path_factory.mktemp("table") / "files")
    )
    yield "table:pairs_table"
    spark.sql("DROP TABLE pairs_table")


OPTIONS = Options(columns=TableOptions(["url", "img.src"], "table:pairs_*=Words"))


def rows(output, part):
    return sorted(pq.read_table(output / part).to_pylist(), key=lambda row: row["uid"])


def inputs_of(output):
    return [each["path"] for each in facts(output)["made_from"]["inputs"]]


@pytest.fixture
def from_table(tmp_path, spark, metadata, table):
    """A run over the table."""
    output = tmp_path / "out"
    curate([table], output, metadata=metadata, config=CONFIG, options=OPTIONS, engine=spark)
    return output


@pytest.mark.slow
def test_a_table_gives_the_rows_of_the_same_pairs_as_files(from_table, from_files):
    assert rows(from_table, "matched") == rows(from_files, "matched")
    assert curated(from_table) == curated(from_files)
    assert pq.read_table(from_table / "counts.parquet") == pq.read_table(from_files / "counts.parquet")
    ours, theirs = (facts(output)["dropped"] for output in (from_table, from_files))
    assert ours == theirs
    assert all("/out/tables/pairs_table/" in path for path in inputs_of(from_table))


@pytest.mark.slow
def test_a_table_that_has_not_changed_is_not_matched_again(from_table, spark, metadata, table):
    before, again = times(from_table / "pairs"), CurationConfig(english_threshold=5, max_texts=16)
    matched = times(from_table / "matched")
    results = curate([table], from_table, metadata=metadata, config=again, options=OPTIONS, engine=spark)
    assert results.facts["parameters"]["english_threshold"] == 5
    assert (times(from_table / "pairs"), times(from_table / "matched")) == (before, matched)


def view(numbers):
    """Make a view of as many pairs as there are numbers."""
    numbers.selectExpr("concat('https://example.org/', id) as url", "'the city' as text").createOrReplaceTempView("v")


@pytest.mark.slow
def test_a_table_that_has_changed_is_read_anew_also_with_fewer_partitions(tmp_path, spark, metadata):
    view(spark.range(40))
    output, inputs = tmp_path / "out", ["table:v"]
    config = CurationConfig(english_threshold=1000)
    first = curate(inputs, output, metadata=metadata, config=config, engine=spark)
    view(spark.range(30).coalesce(1))
    second = curate(inputs, output, metadata=metadata, config=config, engine=spark)
    assert (first.facts["rows"]["images"], second.facts["rows"]["images"]) == (40, 30)
    assert len(list((output / "tables" / "v").glob("*.parquet"))) == len(inputs_of(output)) == 1


@pytest.mark.slow
def test_strings_that_are_no_utf8_and_other_types_come_as_from_files(tmp_path, spark, metadata):
    url = "'https://example.org/a'"
    bad = f"select {url} as url, cast(X'FF' as string) as text, 7 as uid"
    frame = spark.sql(f"{bad} union all select {url}, 'the city', 8")
    frame.createOrReplaceTempView("odd")
    frame.write.parquet(str(tmp_path / "odd"))
    outputs = []
    for given in ("table:odd", str(tmp_path / "odd")):
        outputs.append(tmp_path / f"out{len(outputs)}")
        curate([given], outputs[-1], metadata=metadata, engine=spark)
    ours, theirs = (facts(output) for output in outputs)
    assert ours["dropped"] == theirs["dropped"]
    assert ours["dropped"]["bad_utf8"] == 1
    assert rows(outputs[0], "matched") == rows(outputs[1], "matched")
    assert [row["uid"] for row in rows(outputs[0], "matched")] == ["8"]


def test_tables_and_files_are_read_together(tmp_path, spark, metadata):
    pq.write_table(pa.table({"url": ["https://example.org/f"], "text": ["the city"]}), tmp_path / "f.parquet")
    spark.sql("select 'https://example.org/t' as url, 'the city' as text").createOrReplaceTempView("one")
    inputs = [str(tmp_path / "f.parquet"), "table:one"]
    results = curate(inputs, tmp_path / "out", metadata=metadata, engine=spark)
    assert results.facts["rows"]["images"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "config", "sentence"),
    [
        ("table:", {}, "table: does not name a table; expected a table of Spark's catalog"),
        ("table:nowhere.pairs", {}, "Spark's catalog has no table nowhere.pairs; check the spelling"),
        ("table:a b", {}, "Spark cannot read table:a b as a table: "),
        (
            "table:numbers",
            {},
            "table:numbers has no column url or URL or image_url or downloadurl; it has id: name",
        ),
        ("table:numbers", {"sample_files": 1}, "sample_files chooses among files, but table:numbers is a table"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, spark, metadata, given, config, sentence):
    spark.range(3).createOrReplaceTempView("numbers")
    with pytest.raises(InputError) as refused:
        curate([given], tmp_path / "out", metadata=metadata, config=CurationConfig(**config), engine=spark)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out" / "run.json").exists()


@pytest.mark.slow
def test_spark_passes_over_the_descriptor_of_a_folder(tmp_path, spark):
    own_tables.write_hashes(own_tables.write_tars(tmp_path / "tars"), tmp_path / "hashes")
    assert (tmp_path / "hashes" / DESCRIPTOR).exists()
    assert spark.read.parquet(str(tmp_path / "hashes")).count() == 40
