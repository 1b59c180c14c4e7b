"""From pictures on the web to batches: curated, downloaded, hashed, gated, balanced again, and read by two loaders."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.run.results import Results
from tests.support.img2dataset import require_img2dataset, run_img2dataset
from tests.support.picture_set import BROKEN, ORIGINAL, SAME_FILE, make_pictures, served
from tests.support.spark_jobs import run_here
from tests.support.stand_ins import needed

# webdataset leaves tars open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
NUMBER = int(os.environ.get("PICTURES", "300"))
WORDS = ("dog", "cat", "tree", "house", "river")
GATE = ["--keep", "least(original_width, original_height) >= 100", "--policy", "recommended"]


@pytest.fixture
def web(tmp_path):
    """Pictures of many kinds on a server, and a table of their captions: that of a copy has a word of its picture."""
    rows = make_pictures(tmp_path / "files", NUMBER)
    originals = sorted({row["original"] for row in rows})
    with served(tmp_path / "files") as urls:
        texts = [f"a {WORDS[originals.index(row['original']) % len(WORDS)]}, {row['kind']}" for row in rows]
        pq.write_table(
            pa.table({"url": [urls[row["name"]] for row in rows], "text": texts}), tmp_path / "pairs.parquet"
        )
        (tmp_path / "words.txt").write_text("\n".join([*WORDS, "a"]))
        yield {urls[row["name"]]: row for row in rows}


def download(folder: Path) -> None:
    options = {
        "--url_list": folder / "out" / "matched",
        "--output_folder": folder / "images",
        "--input_format": "parquet",
        "--output_format": "webdataset",
        "--url_col": "url",
        "--save_additional_columns": '["uid"]',
        "--image_size": "256",
        "--resize_mode": "keep_ratio",
        "--resize_only_if_bigger": "True",
        "--processes_count": "1",
        "--thread_count": "8",
        "--number_sample_per_shard": "1000",
    }
    run_img2dataset([str(word) for option in options.items() for word in option])


@pytest.mark.slow
def test_pictures_are_curated_downloaded_hashed_gated_and_read_by_loaders(web, tmp_path):
    require_img2dataset()
    curate = ["jobs/curate.py", "--input", tmp_path / "pairs.parquet", "--entries", f"en={tmp_path / 'words.txt'}"]
    curate += ["--english-threshold", 20, "--output", tmp_path / "out"]
    evaluated = [row["name"] for row in web.values() if row["kind"] == ORIGINAL][::9]
    (tmp_path / "evaluation").mkdir()
    for name in evaluated:
        os.link(tmp_path / "files" / name, tmp_path / "evaluation" / name)

    def ran(*command) -> None:
        assert run_here(*command) == 0

    ran(*curate)
    download(tmp_path)
    ran("jobs/run.py", "clip-hash", "--input", tmp_path / "images", "--output", tmp_path / "hashes")
    ran("jobs/run.py", "clip-hash", "--input", tmp_path / "evaluation", "--output", tmp_path / "evaluation-hashes")
    gate = ["--status", tmp_path / "images", "--images", tmp_path / "hashes", *GATE, "--same-image", "phash:4"]
    ran(*curate, *gate, "--decontaminate", tmp_path / "evaluation-hashes")
    run = Results.open(tmp_path / "out")
    passed = [row for batch in run.matched(None) for row in batch.to_pylist()]
    _looks_right(run, passed, web, {*evaluated})
    curated = pq.read_table(tmp_path / "out" / "curated").to_pylist()
    assert {row["uid"] for row in curated} <= {row["uid"] for row in passed}
    _is_read(tmp_path, {row["uid"] for row in passed}, curated)


def _looks_right(run: Results, passed: list[dict], web: dict[str, dict], evaluated: set[str]) -> None:
    """Check what passed by what is known of how each file was made."""
    conditions = {each["text"]: each["removed"] for each in run.facts["gate"]["conditions"]}
    rows = [web[row["url"]] for row in passed]
    assert not any(row["kind"] in BROKEN for row in rows)
    assert all(min(row["width"], row["height"]) >= 100 for row in rows)
    assert not any(row["name"] in evaluated for row in rows)
    whole = [row["original"] for row in rows if row["kind"] in (ORIGINAL, SAME_FILE)]
    assert len(whole) == len({*whole})  # the same file stays once
    merged = [row for row in passed if len(row["candidates"]) > 1]
    assert len(merged) > 5
    for row in merged:  # texts of copies have the word of one picture, but for pictures that look alike
        words = [text["text"].split(",")[0] for text in row["candidates"]]
        assert words.count(max({*words}, key=words.count)) >= len(words) / 2
    assert all(conditions[name] for name in conditions if name.startswith(("status", "one image", "not in evaluation")))


def _is_read(folder: Path, passed: set[str], curated: list[dict]) -> None:
    """Read the images by the online loader, and the curated ones by the reader of webdataset that open_clip uses."""
    index = online.build(folder / "images", folder / "out", folder / "index")
    assert index.matched == len(passed)
    needed("torch")
    from curation.plugins.online.batches import OnlineConfig
    from curation.plugins.online.dataset import BalancedDataset

    samples = list(BalancedDataset(index, folder / "out" / "counts.parquet", OnlineConfig(seed=1)))
    assert {json.loads(sample["json"])["uid"] if "json" in sample else None for sample in samples} <= {*passed, None}
    assert 0.5 * len(curated) < len(samples) < 1.5 * len(curated)
    webdataset = needed("webdataset")
    tars = sorted(map(str, (folder / "images").glob("*.tar")))
    kept = {row["uid"]: row for row in curated}
    samples = webdataset.WebDataset(tars, shardshuffle=False).decode("pil")
    read = [sample for sample in samples if sample["json"]["uid"] in kept]
    assert len(read) == len(kept)
    assert all(max(sample["jpg"].size) <= 900 for sample in read)
