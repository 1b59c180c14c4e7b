"""The steps on DataFrames give what the job gives for the same pairs, on classic Spark and on Spark Connect."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import curate
from curation.image_ids import hashes, uid_hashes, uids
from metadata import Entries
from runtime.engine.local import Local
from tests.dataframes.steps import CONFIG, take_all_steps
from tests.sample.texts import LANGUAGES, entries
from tests.support.checkout import ROOT
from tests.support.cluster import environment
from tests.support.frame_pairs import ANY_PORT, has_connect, write_pairs

pytestmark = pytest.mark.spark
PARTS = ("matched", "counts", "curated")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sample) -> Path:
    """A folder with pairs and metadata, and what the job made of them."""
    folder = tmp_path_factory.mktemp("frames")
    write_pairs(sample, folder / "pairs")
    Entries.build({code: entries(code) for code in LANGUAGES}).save(folder / "metadata")
    (folder / "excluded.txt").write_text("https://example.org/logo.png\nuid:own uid 犬\n", encoding="utf-8")
    curate([str(folder / "pairs")], folder / "job", metadata=folder / "metadata", config=CONFIG, engine=Local(1))
    return folder


@pytest.fixture(scope="module", params=["classic", pytest.param("connect", marks=pytest.mark.soak)])
def taken(request, folder) -> Path:
    """What the steps gave on one kind of session."""
    if request.param == "classic":
        take_all_steps(request.getfixturevalue("spark").newSession(), folder, folder / "classic")
    else:
        take_on_connect(folder, "all")
    return folder / request.param


def take_on_connect(folder: Path, which: str) -> None:
    """Take steps on Spark Connect."""
    if not has_connect():
        pytest.skip("no Spark Connect: the extra `connect` is not installed")
    command = [sys.executable, "-m", "tests.dataframes.steps", str(folder), which]
    own = environment(**ANY_PORT)
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def rows(path: Path) -> list[dict]:
    """Return the rows of a file or folder by uid or id."""
    table = pq.read_table(path)
    return sorted(table.to_pylist(), key=lambda row: row["uid"] if "uid" in row else row["id"])


def job(folder: Path, part: str) -> list[dict]:
    name = f"{part}.parquet" if part == "counts" else part
    return rows(folder / "job" / name)


@pytest.mark.slow
def test_steps_on_spark_connect_give_the_rows_of_the_job(folder):
    take_on_connect(folder, "few")
    for part in ("matched", "curated"):
        assert rows(folder / "few" / f"{part}.parquet") == job(folder, part)


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["steps", "spread"])
@pytest.mark.parametrize("part", PARTS)
def test_each_step_gives_the_rows_of_the_job_however_the_pairs_are_spread(folder, taken, cut, part):
    found, expected = rows(taken / cut / f"{part}.parquet"), job(folder, part)
    if part == "counts":
        expected = [{name: value for name, value in row.items() if name != "rate"} for row in expected]
    assert len(expected) > 3000
    assert found == expected


@pytest.mark.parametrize("cut", ["steps", "spread"])
def test_thresholds_and_rates_are_those_of_the_job(folder, taken, cut):
    found = json.loads((taken / cut / "thresholds.json").read_text())
    expected = json.loads((folder / "job" / "thresholds.json").read_text())
    assert found["tail_share"] == expected["p"]
    assert len(found["of_language"]) == len(LANGUAGES)
    assert found["of_language"].items() <= {code: each["t"] for code, each in expected["languages"].items()}.items()
    rates = pq.read_table(taken / cut / "rates.parquet")["rate"].to_pylist()
    assert [rates[row["id"]] for row in job(folder, "counts")] == [row["rate"] for row in job(folder, "counts")]


def test_what_reading_drops_is_counted_as_the_job_counts_it(folder, taken):
    facts = json.loads((folder / "job" / "run.json").read_text())
    found, spread = (
        {row["name"]: row["count"] for row in pq.read_table(taken / cut / "dropped.parquet").to_pylist()}
        for cut in ("steps", "spread")
    )
    dropped = {name.removeprefix("dropped."): n for name, n in found.items() if name.startswith("dropped.")}
    of_images = {"duplicate_text", "text_over_limit"}
    assert set(dropped) == {"empty_url", "empty_text", "not_http", *of_images}
    assert dropped == {name: rows for name, rows in facts["dropped"].items() if rows}
    assert found["records"] - sum(rows for name, rows in dropped.items() if name not in of_images) == found["pairs"]
    assert found["cut_text"] > 0
    assert spread == found


def test_no_rows_give_no_images_and_no_counts(taken):
    for part in ("matched", "counts", "curated"):
        assert rows(taken / "empty" / f"{part}.parquet") == []


def test_what_lists_exclude_is_not_matched(folder, taken):
    images = job(folder, "matched")
    expected = [row for row in images if row["url"] != "https://example.org/logo.png" and row["uid"] != "own uid 犬"]
    assert len(images) - len(expected) == 2
    assert rows(taken / "excluded.parquet") == expected


def test_unique_images_stay_rows_of_their_own_and_kinds_are_taken_from_their_column(taken):
    found = pq.read_table(taken / "unique.parquet").to_pylist()
    assert {len(row["candidates"]) for row in found} == {1}
    assert sum(row["url"] == "https://example.org/logo.png" for row in found) == 300
    assert {row["candidates"][0]["kind"] for row in found if row["uid"] == "own uid 犬"} == {"text", "de"}


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("no url", "the DataFrame has no column url or URL or image_url or downloadurl; it has text, uid, language, "
         "page_url: name the column of the url with url_column of TableOptions"),
        ("no text", "has no column Text; it has url, text, uid"),
        ("no kind", "has no column kind; it has url, text, uid"),
        ("twice", "the DataFrame has 2 columns named text; expected only one"),
        ("lists", "column text of the DataFrame has the type list<"),
        ("intervals", "column text of the DataFrame has the type interval year; expected strings"),
        ("pairs counted", "no column candidates; it has url, text, uid, language, page_url: pass the result of "
         "curation.dataframes.match"),
        ("pairs sampled", "no column candidates"),
        ("no counts", "no column id or language or count; it has uid"),
        ("bare counts", "but do not state how many entries that language has; pass the DataFrame that count returned"),
        ("unknown ids", "does not belong to an entry; count with the metadata that the images were matched with"),
        ("other metadata", "these images were matched with metadata"),
        ("other rates", "these images were matched with metadata"),
        ("size", "target_size is 10, but the search for its threshold takes several passes over the images"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_in_one_sentence(taken, mistake, sentence):
    found = json.loads((taken / "refused.json").read_text())[mistake]
    assert sentence in found
    assert "\n" not in found


def test_ids_are_those_of_spark(spark):
    from pyspark.sql import functions as F

    chance = random.Random(3)
    texts = [None, *("".join(chance.choices("ab é犬🙂", k=length)) for length in range(150))]
    rows = list(zip(texts, chance.sample(texts, len(texts)), strict=True))
    frame = spark.createDataFrame(rows, "url string, text string")
    found = frame.select("url", "text", F.md5("url"), F.xxhash64("url"), F.xxhash64("url", "text")).collect()
    urls, texts, digests, alone, both = map(list, zip(*found, strict=True))
    assert uids(pa.array(urls)).to_pylist() == digests
    assert uid_hashes(pa.array(urls)).tolist() == alone
    assert hashes(pa.array(urls), pa.array(texts)).tolist() == both
