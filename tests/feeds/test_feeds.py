"""Feeds, each read by the program it is for: img2dataset, webdataset, Hugging Face's datasets and hub, mlcroissant.

They are no part of the project's own needs; a test whose reader is not installed is skipped and says so.
"""

import json
import re
import shlex
import struct
import zlib
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export import clip_export as job
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.webdataset import WebDataset
from tests.support import streaming
from tests.support.checkout import ROOT
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.finished_run import LISTS, finished_run, image
from tests.support.http_server import Answer, serving
from tests.support.img2dataset import require_img2dataset, run_img2dataset
from tests.support.in_turn import in_turn
from tests.support.spark_jobs import run_here
from tests.support.stand_ins import needed
from tests.support.training import arguments

PAGES = [ROOT / "docs" / "how-to" / name for name in ("feeding-training.md", "other-loaders.md")]
pytestmark = pytest.mark.filterwarnings("default")  # those of other people's code
JPEG = b"\xff\xd8\xff"
ABOUT = HuggingFace(
    {
        "name": "Pairs é",
        "license": "cc-by-4.0",
        "version": "1.0.0",
        "datePublished": "2026-11-25",
        "citeAs": "Ada: Pairs, 2026",
    }
)


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])


@pytest.fixture
def published(run, tmp_path) -> Path:
    """The run as a folder for Hugging Face."""
    export(in_turn(), run.path, tmp_path / "pairs", ABOUT)
    return tmp_path / "pairs"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Hugging Face's libraries, told before their import to stay in the folder of the test."""
    for name, value in (("HF_HOME", str(tmp_path / "hub")), ("HF_HUB_OFFLINE", "1"), ("HF_DATASETS_OFFLINE", "1")):
        monkeypatch.setenv(name, value)


# Hugging Face


def test_datasets_loads_the_folder(run, published, offline, tmp_path):
    datasets = needed("datasets")
    pairs = datasets.load_dataset(str(published), split="train", cache_dir=str(tmp_path / "cache"))
    assert pairs.to_list() == run.kept
    streamed = datasets.load_dataset(str(published), split="train", streaming=True)
    assert [row["uid"] for row in streamed] == [row["uid"] for row in run.kept]


def test_datasets_loads_the_entries_that_the_ids_of_a_pair_mean(run, published, offline, tmp_path):
    datasets = needed("datasets")
    entries = datasets.load_dataset(str(published), "entries", split="train", cache_dir=str(tmp_path / "cache"))
    assert entries["count"][:] == [*filter(None, run.counts)]
    names = dict(zip(entries["id"], entries["entry"], strict=True))
    for row in run.kept:
        assert all(names[id] in row["text"] for id in row["entries"])


def test_the_hub_reads_the_card(published, offline):
    hub = needed("huggingface_hub")
    card = hub.DatasetCard.load(published / "README.md")
    told = card.data.to_dict()
    assert (told["pretty_name"], told["license"], told["language"]) == ("Pairs é", "cc-by-4.0", ["en", "ja", "no"])
    assert told["size_categories"] == ["n<1K"]
    paths = {config["config_name"]: config["data_files"] for config in told["configs"]}
    assert paths["default"] == [{"split": "train", "path": "data/*.parquet"}]
    assert paths["entries"] == [{"split": "train", "path": "entries/*.parquet"}]
    assert card.text.lstrip().startswith("# Pairs é")


# Croissant


def test_mlcroissant_finds_nothing_amiss(published):
    mlcroissant = needed("mlcroissant")
    metadata = mlcroissant.Dataset(jsonld=str(published / "croissant.json")).metadata
    assert (set(metadata.ctx.issues.errors), set(metadata.ctx.issues.warnings)) == (set(), set())
    assert metadata.ctx.is_v1_1()
    assert metadata.license == ["cc-by-4.0"]


def test_mlcroissant_reads_the_records(run, published):
    mlcroissant = needed("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(published / "croissant.json"))
    records = list(dataset.records("pairs"))
    assert [record["pairs/text"].decode() for record in records] == [row["text"] for row in run.kept]
    assert [list(record["pairs/entries"]) for record in records] == [row["entries"] for row in run.kept]
    assert [record["pairs/probability"] for record in records] == [row["probability"] for row in run.kept]
    entries = list(dataset.records("entries"))
    listed = [each for own in LISTS.values() for each in own]
    counted = {id: count for id, count in enumerate(run.counts) if count}
    assert {record["entries/id"]: record["entries/count"] for record in entries} == counted
    assert [record["entries/entry"].decode() for record in entries] == [listed[id] for id in counted]


# img2dataset


@pytest.fixture
def web():
    """A server of small images, of which every third is gone; and the images' URLs."""
    with serving() as server:
        yield [
            server.serve(f"/{n}.png", Answer(404) if n % 3 == 1 else Answer(200, png(n), {"Content-Type": "image/png"}))
            for n in range(30)
        ]


@pytest.fixture
def download(tmp_path):
    """Run the pages' img2dataset command on this folder of the run; return the folder of its results."""
    require_img2dataset()

    def run(part: str) -> Path:
        (command,) = [words for words in commands() if words[0] == "img2dataset" and f"out/{part}" in words]
        few = {"--processes_count": "1", "--thread_count": "4"}
        options = [few.get(flag, word) for flag, word in zip(command, command[1:], strict=False)]
        run_img2dataset(options, tmp_path)
        return tmp_path / command[command.index("--output_folder") + 1]

    return run


def test_img2dataset_makes_tars_of_a_manifest_that_webdataset_reads(web, download, tmp_path):
    webdataset = needed("webdataset")
    run = finished_run(tmp_path / "out", [of_web(url) for url in web], t=20)
    folder = download("curated")
    tars = sorted(str(path) for path in folder.glob("*.tar"))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode())
    there = {row["uid"]: row for row in run.kept if is_there(row["url"])}
    told = {sample["json"]["uid"]: sample["json"] for sample in samples}
    assert len(samples) == len(there) > 10
    for uid, row in there.items():
        assert told[uid].pop("caption") == row["text"]
        assert told[uid].items() >= {name: row[name] for name in row if name != "text"}.items()
    assert {sample["txt"] for sample in samples} == {row["text"] for row in there.values()}
    assert all(sample["jpg"].startswith(JPEG) for sample in samples)


def test_counting_and_sampling_run_again_over_the_images_that_exist(web, download, tmp_path):
    texts = ["a dog" if number_of(url) % 2 else "a cat" for url in web]
    pq.write_table(pa.table({"url": web, "text": texts}), tmp_path / "pairs.parquet")
    (tmp_path / "words.txt").write_text("dog\ncat\n")
    where = ["--input", tmp_path / "pairs.parquet", "--output", tmp_path / "out"]
    curate = ["jobs/curate.py", *where, "--entries", f"en={tmp_path / 'words.txt'}", "--english-threshold", 5]
    assert run_here(*curate) == 0
    assert run_here(*curate, "--status", download("matched")) == 0
    facts = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert facts["downloads"]["images"] == {"success": 20, "failed_to_download": 10}
    assert (facts["rows"]["matched"], facts["rows"]["gated"]) == (30, 20)
    there = {url: text for url, text in zip(web, texts, strict=True) if is_there(url)}
    counts = pq.read_table(tmp_path / "out" / "counts.parquet")["count"].to_pylist()
    assert counts == [list(there.values()).count(f"a {word}") for word in ("dog", "cat")]
    assert set(pq.read_table(tmp_path / "out" / "curated")["url"].to_pylist()) <= there.keys()


def test_open_clip_reads_batches_with_captions_of_what_was_curated_and_downloaded(web, download, tmp_path):
    data = needed("open_clip_train.data")
    table = pa.table({"url": web, "text": [f"a dog numbered {number_of(url)}" for url in web]})
    pq.write_table(table, tmp_path / "pairs.parquet")
    captions = {"uid": [md5(url.encode()).hexdigest() for url in web], "caption": ["written"] * len(web)}
    pq.write_table(pa.table(captions), tmp_path / "captions.parquet")
    (tmp_path / "words.txt").write_text("dog\na\n")
    paths = ["--input", tmp_path / "pairs.parquet", "--output", tmp_path / "out"]
    words = ["--entries", f"en={tmp_path / 'words.txt'}", "--english-threshold", 20]
    assert run_here("jobs/curate.py", *paths, *words) == 0
    form = WebDataset([download("matched")], [str(tmp_path / "captions.parquet")], caption_sources=["any=0.5"])
    export(in_turn(), tmp_path / "out", tmp_path / "tars", form)
    sizes = json.loads((tmp_path / "tars" / "sizes.json").read_text("utf-8"))
    args = arguments(train_data=str(tmp_path / "tars" / "00000.tar"), train_num_samples=None)
    args.batch_size = 2
    reading = data.get_wds_dataset(args, lambda picture: picture.size, is_train=True, tokenizer=lambda text: [text])
    texts = [text for _, batch in reading.dataloader for text in batch]
    kept = {row["text"] for row in pq.read_table(tmp_path / "out" / "curated").to_pylist() if is_there(row["url"])}
    assert sizes == {"00000.tar": len(kept)}
    assert len(texts) >= len(kept) > 5
    assert {*texts} - kept == {"written"}
    assert {*texts} & kept


# The pages that say how


def test_the_pages_on_feeding_training_run_from_top_to_bottom(web, download, offline, tmp_path, monkeypatch, capsys):
    for module in ("datasets", "mlcroissant", "webdataset"):
        needed(module)
    run = finished_run(tmp_path / "out", [of_web(url) for url in web])
    download("curated")
    uids = [row["uid"] for row in run.images]
    pq.write_table(pa.table({"uid": uids, "caption": ["written"] * len(uids)}), tmp_path / "captions.parquet")
    write_folder(tmp_path / "clusters", cluster_rows(uids))
    monkeypatch.chdir(tmp_path)
    for words in commands():
        if words[0] == "clip-export":
            job.main(words[1:])
    for block in blocks("python"):
        if "from streaming import" not in block:
            exec(block, {})
        elif streaming.is_installed():
            streaming.printed(streaming.start(block, tmp_path))
    printed = capsys.readouterr().out
    assert run.kept[0]["text"] in printed
    assert run.kept[0]["url"] in printed
    assert min(row["uid"] for row in run.kept) in printed


def blocks(language: str) -> list[str]:
    """The pages' blocks of code in a language."""
    text = "".join(page.read_text("utf-8") for page in PAGES)
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """The pages' command lines, as words."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines]


def of_web(url: str) -> dict:
    return image(number_of(url), url) | {"uid": md5(url.encode()).hexdigest()}


def number_of(url: str) -> int:
    return int(Path(url).stem)


def is_there(url: str) -> bool:
    return number_of(url) % 3 != 1


def png(shade: int, side: int = 16) -> bytes:
    """A square of one grey, as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes([shade]) * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
