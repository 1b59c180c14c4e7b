"""Spark writes the bytes that processes of this machine write: each command, and each switch that changes its tasks.

All but the first test share one session. Both engines work with two cores, so that even tasks are cut alike.
"""

import json
from dataclasses import fields
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, Options, curate, online
from curation.image_ids import uids
from curation.plugins.gate.options import GateOptions
from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from metadata import Entries, MetadataConfig, Sources, build_metadata
from runtime.engine.local import Local
from tests.sample.texts import LANGUAGES, entries
from tests.support.checkout import CASES, ROOT
from tests.support.embeddings import embeddings_of, write_embeddings
from tests.support.faults import curate_arguments
from tests.support.finished_run import finished_run, image
from tests.support.flips import bytes_of
from tests.support.gates import write_table
from tests.support.online_run import write_tar
from tests.support.pictures import downloaded_tar
from tests.support.plain_scorer import PlainScorer
from tests.support.small_model import model_bytes
from tests.support.spark_jobs import run_here, submit

TIMED = ("run.json", "times.json", "report.html")  # files that also say when they were written
OF_TIME = ("made", "checksums", "checksum")  # what run.json says of when it was written, and of what the report says

# Fields of CurationConfig that change what a worker runs; a run takes those of a group together.
SWITCHES = {
    "matching": {
        "english_threshold": 5,
        "rules": "meta",
        "matcher": "ahocorasick",
        "max_texts": 2,
    },
    "languages": {
        "english_threshold": 5,
        "evidence": "letters",
        "min_language_score": 0.4,
        "min_language_scores": {"ja": 0.9},
        "no_language": "other",
        "wrong_script": "keep",
    },
    "pool": {
        "english_threshold": 9,
        "witnesses": ["page", "pool"],
        "extra_columns": ["license", "record", "judgement"],
    },
    "shares of the pool": {"witnesses": ["pool"], "pool_shares": {"fr": 0.5}, "rows_per_file": 90},
    "one list": {"english_threshold": 5, "merge_languages": True, "seed": 1, "sample_files": 2},
    "one language": {"metadata_of": "en", "balance": False},
    "size": {"target_size": 100},
}
OF_THE_DRIVER = {
    *("tail_share", "threshold_per_language"),
    *("max_bad_files", "max_bad_records", "max_shared_uids"),
}


@pytest.fixture(scope="module")
def engines(spark):
    """Both engines, by name."""
    processes = Local(2)
    yield {"processes": processes, "spark": spark}
    processes.close()


def require_same(folder: Path) -> None:
    """Compare what both engines wrote, and what they say of a run."""
    here, there = (bytes_of(folder / name, without=TIMED) for name in ("processes", "spark"))
    assert here == there != {}
    if (folder / "spark" / "run.json").exists():
        assert facts(folder / "spark") == facts(folder / "processes")


def facts(output: Path) -> dict:
    """Return what run.json says of a run, except when and how it ran."""
    run = json.loads((output / "run.json").read_text("utf-8"))
    return {name: value for name, value in run.items() if name not in OF_TIME}


@pytest.mark.smoke
@pytest.mark.spark
def test_spark_submit_curates_the_sample_to_the_bytes_of_processes(sample, tmp_path):
    assert run_here(*curate_arguments(sample, tmp_path / "processes")) == 0
    done = submit(*curate_arguments(sample, tmp_path / "spark"))
    assert done.returncode == 0, done.stdout + done.stderr
    require_same(tmp_path)


@pytest.fixture(scope="module")
def metadata() -> Entries:
    return Entries.build({code: entries(code) for code in LANGUAGES})


@pytest.fixture(scope="module")
def inputs(sample, tmp_path_factory) -> list[str]:
    """Pages with the languages that they state, and tables of pairs, also with uids."""
    folder = tmp_path_factory.mktemp("inputs")
    pairs = pq.read_table(sample / "pairs")
    for number in range(3):
        part = pairs.slice(number * 200, 200)
        pq.write_table(part, folder / f"{number}.parquet")
    return [str(path) for path in [*sorted((sample / "crawl").glob("*.warc.gz")), *sorted(folder.iterdir())]]


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("group", SWITCHES)
def test_switches_of_a_run(engines, inputs, metadata, tmp_path, group):
    config = CurationConfig(**SWITCHES[group])
    for name, engine in engines.items():
        curate(inputs, tmp_path / name, metadata=metadata, config=config, engine=engine)
    require_same(tmp_path)


def test_each_field_of_a_config_is_in_a_group():
    grouped = {name for group in SWITCHES.values() for name in group}
    assert grouped | OF_THE_DRIVER == {field.name for field in fields(CurationConfig)}


@pytest.mark.slow
@pytest.mark.spark
def test_options_of_a_run(engines, sample, metadata, tmp_path):
    pairs = pq.read_table(sample / "pairs").to_pylist()
    unique = pa.Table.from_pylist([*{row["url"]: row for row in pairs}.values()])
    for number in range(3):
        pq.write_table(unique.slice(number * 250, 250), tmp_path / f"{number}.parquet")
    inputs = sorted(map(str, tmp_path.glob("*.parquet")))
    (tmp_path / "excluded.txt").write_text("regex:/media/4\nar4.example\n")
    (tmp_path / "model.bin").write_bytes(model_bytes())
    options = Options(
        unique_images=True,
        exclude=[str(tmp_path / "excluded.txt")],
        model=str(tmp_path / "model.bin"),
        classes=[f"en={CASES / 'classes' / 'en.txt'}"],
    )
    config = CurationConfig(english_threshold=5)
    for name, engine in engines.items():
        curate(inputs, tmp_path / name, metadata=metadata, config=config, options=options, engine=engine)
    require_same(tmp_path)


@pytest.fixture(scope="module")
def images(inputs) -> list[dict]:
    """What tables say of the images of the tables of pairs."""
    chance = Random(1)
    pairs = pa.concat_tables(map(pq.read_table, inputs[1:]))
    urls = sorted({url for url in pairs["url"].to_pylist() if url.startswith("http")})
    rows = [{"uid": uid, "url": url} for uid, url in zip(uids(pa.array(urls)).to_pylist(), urls, strict=True)]
    pictures = [chance.randbytes(8) for _ in range(20)]
    for row in rows:
        row["status"] = chance.choice(["success", "success", "success", "failed_to_download"])
        row["width"] = chance.choice([None, 100, 300, 400])
        row["phash"] = row["phash_mirrored"] = chance.choice([None, chance.randbytes(8), *pictures])
        row["sha256"] = chance.choice([None, "0" * 64, f"{chance.getrandbits(256):064x}"])
        row["embedding"] = [chance.gauss(0, 1) for _ in range(4)]
    return rows


def checks_of_single_images(images: list[dict], folder: Path) -> dict:
    (folder / "only.txt").write_text("\n".join(row["uid"] for row in images[5:]))
    (folder / "texts.txt").write_text("a photo of a dog\n")
    hosts = sorted({row["url"].split("/")[2] for row in images})
    rules = ["User-agent: *\nDisallow: /media/1" for _ in hosts]
    pq.write_table(pa.table({"host": hosts, "text": rules}), folder / "robots.parquet")
    return {
        "status": [write_table([{"uid": row["uid"], "status": row["status"]} for row in images], folder / "status")],
        "images": [[write_table(images, folder / "images")]],
        "keep": "width >= 200 OR width IS NULL",
        "policy": ["recommended", "junk:95", "min_words:2", "max_images_per_text:9", "max_images_per_domain:9"],
        "judge": str(ROOT / "curation" / "plugins" / "gate" / "judge" / "judge.json"),
        "robots": [str(folder / "robots.parquet")],
        "robots_agents": ["GPTBot"],
        "only": [str(folder / "only.txt")],
        "decontaminate": [write_table(images[::20], folder / "evaluated", 1)],
        "decontaminate_cosine": 0.9,
        "decontaminate_texts": [str(folder / "texts.txt")],
        "same_image": "phash:4",
        "keep_removed": 0.5,
    }


def comparisons_of_images(images: list[dict], folder: Path) -> dict:
    copies = [
        {"uid": row["uid"], "copy_of": leader["uid"]} for row, leader in zip(images[::2], images[1::2], strict=False)
    ]
    captions = [{"uid": row["uid"], "caption": f"a photo of the city {row['width']}"} for row in images[::2]]
    captions += [{"uid": row["uid"], "caption": "zzz"} for row in images[1::4]]
    return {
        "images": [[write_table(images, folder / "images")]],
        "same_image": "sha256",
        "same_meaning": [write_table(copies, folder / "copies")],
        "match_captions": [write_table(captions, folder / "captions")],
        "keep_removed": 1,
    }


GATES = (checks_of_single_images, comparisons_of_images)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("gate", GATES)
def test_steps_of_a_gate(engines, inputs, images, metadata, tmp_path, gate):
    options = Options(gate=GateOptions(**gate(images, tmp_path)))
    config = CurationConfig(english_threshold=5)
    for name, engine in engines.items():
        curate(inputs, tmp_path / name, metadata=metadata, config=config, options=options, engine=engine)
    require_same(tmp_path)
    rows = facts(tmp_path / "spark")["rows"]
    assert 0 < rows["gated"] < rows["matched"]


def test_each_option_of_a_gate_is_in_one(images, tmp_path):
    given = {"steps"}  # which other packages bring
    for gate in GATES:
        (tmp_path / gate.__name__).mkdir()
        given |= {*gate(images, tmp_path / gate.__name__)}
    assert given == {field.name for field in fields(GateOptions)}


BUILDS = {
    "defaults": {},
    "other numbers": {"rules": "meta", "bigram_score": "pmi", "bigram_min_pmi": 1.0, "unigram_limit": 50},
}


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("name", BUILDS)
def test_metadata_of_all_kinds_of_sources(engines, sample, tmp_path, name):
    (tmp_path / "de.tsv").write_text("Hund\t20\nder\t50\n")
    sources = Sources.find(
        wordnet=[str(sample / "wordnet")],
        wikipedia=[str(path) for code in ("en", "ja") for path in (sample / "wikipedia").glob(f"{code}wiki-*")],
        pageviews=[str(sample / "pageviews")],
        frequencies=[str(tmp_path / "de.tsv")],
        lists={"ko": ["개"]},
    )
    for engine in engines:
        build_metadata(engines[engine], MetadataConfig(**BUILDS[name]), sources, tmp_path / engine)
    require_same(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with two finished runs, tars of images of one, captions, embeddings and clusters of them, and lists."""
    folder = tmp_path_factory.mktemp("made")
    run = finished_run(folder / "run", [image(number) for number in range(60)])
    finished_run(folder / "other", run.images[::2], t=3)
    own = [row["uid"] for row in run.images]
    (folder / "tars").mkdir()
    for number in range(2):
        write_tar(folder / "tars" / f"{number:05}.tar", run.images[number * 30 : number * 30 + 30])
        downloaded_tar(folder / "pictures" / f"{number}.tar", range(number * 3, number * 3 + 3))
    captions = {"uid": own[::2], "caption": [f"of {uid}" for uid in own[::2]], "source": ["a"] * 30}
    pq.write_table(pa.table(captions), folder / "captions.parquet")
    coarse = pa.array([number % 3 for number in range(60)], pa.int32())
    pq.write_table(pa.table({"uid": own, "coarse": coarse}), folder / "clusters.parquet")
    write_embeddings(folder / "embeddings", embeddings_of(own), 3, pa.list_(pa.float32()))
    (folder / "removed.txt").write_text("regex:7\n")
    return folder


EXPORT = "clip-export MADE/run --format"
TARS = "--tars MADE/tars"
CAPTIONS = "--captions MADE/captions.parquet"
CLUSTERS = "--clusters MADE/clusters.parquet --expert 0 1 --outsiders 0.1"
COMMANDS = {
    "card": f"{EXPORT} card",
    "datacomp": f"{EXPORT} datacomp",
    "huggingface": f"{EXPORT} huggingface",
    "columns": f"{EXPORT} huggingface {CAPTIONS} {CLUSTERS}",
    "metaclip": f"{EXPORT} metaclip {TARS}",
    "summary": f"{EXPORT} summary",
    "webdataset": f"{EXPORT} webdataset {TARS}",
    "captions": f"{EXPORT} webdataset {TARS} {CAPTIONS} --caption-sources a=0.5",
    "selection": "clip-find MADE/run --entry dog --language en",
    "selected images": "clip-find MADE/run --language en ja --matched",
    "removal": "clip-remove MADE/run --exclude MADE/removed.txt",
    "alignment": f"clip-align MADE/run --classes en={CASES / 'classes' / 'en.txt'}",
    "comparison": "clip-compare MADE/other MADE/run",
    "hashes": "clip-hash --input MADE/pictures",
    "clusters": "clip-cluster MADE/run --fine 3 --coarse 2 --embeddings MADE/embeddings",
    "semantic copies": "clip-cluster MADE/run --fine 3 --coarse 2 --embeddings MADE/embeddings --same-meaning 0.95",
}


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_over_a_finished_run_and_tars(spark, made, tmp_path, name):
    command = [word.replace("MADE", str(made)) for word in COMMANDS[name].split()]
    for engine, flags in {"processes": ("--cores", 2), "spark": ("--master", "local[2]")}.items():
        assert run_here("jobs/run.py", *command, "--output", tmp_path / engine, *flags) == 0
    require_same(tmp_path)


@pytest.mark.slow
@pytest.mark.spark
def test_scores_of_a_run_and_an_index_for_training(engines, made, tmp_path):
    for name, engine in engines.items():
        request = ScoreRequest([str(made / "pictures")], tmp_path / "scores" / name, texts=made / "run")
        score_images(request, PlainScorer(), engine=engine)
        online.build(made / "tars", made / "run", tmp_path / "index" / name, engine=engine)
    for folder in ("scores", "index"):
        require_same(tmp_path / folder)
