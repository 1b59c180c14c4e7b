"""From a crawl to batches, as the tutorial says: curated, downloaded, exported, and each form read by its reader."""

import io
import json
import re
import shlex
import shutil
import subprocess
import tarfile
from itertools import pairwise, product
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.plugins.export import clip_export as export
from curation.plugins.online.batches import OnlineConfig
from curation.run.results import Results
from metadata import Entries
from tests.naive.loaders import FirstLoader, SecondLoader
from tests.support.checkout import ROOT, of_a_user, program
from tests.support.crawl_records import image as link
from tests.support.crawl_records import warc, wat
from tests.support.http_server import Answer, serving
from tests.support.img2dataset import require_img2dataset, run_img2dataset
from tests.support.meta_clip_tars import placed
from tests.support.spark_jobs import run_here
from tests.support.stand_ins import needed
from tests.support.training import arguments, batches_of, decoded, falls, run_open_clip, tiny_clip, trained

pytestmark = [
    pytest.mark.feeds,
    pytest.mark.filterwarnings("default"),  # those of other people's code
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # webdataset leaves tars open
]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
GERMAN = {"red": "rotes", "green": "grünes", "blue": "blaues", "white": "weißes"}
THINGS = ("house", "boat", "chair", "flag")
GERMAN_THINGS = {"house": "Haus", "boat": "Boot", "chair": "Sitzkissen", "flag": "Fähnchen"}
SOURCES = {"altogether": 0.3, "dfn": 0.2}  # shares of captions by two models, as on the page
ALIKE = 25  # pictures of each thing of a colour, by language
PAGE = ROOT / "docs" / "start" / "crawl-to-training.md"
FEW = {"--processes_count": "1", "--thread_count": "8"}  # in place of those of the page


def texts_of(colour: str, thing: str) -> dict[str, str]:
    """Return the texts of a picture on an English page and on a German one."""
    german = f"Auf dem Bild ist ein {GERMAN[colour]} {GERMAN_THINGS[thing]} zu sehen"
    return {"en": f"this is a picture of a {colour} {thing} in the garden", "de": german}


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """A folder with `out`, the run over a crawl of pages in two languages, and `images`, the tars of its pictures."""
    require_img2dataset()
    folder = tmp_path_factory.mktemp("chain")
    with serving() as server:
        write_crawl(folder / "crawl", server)
        words = {"en": [*COLOURS, *THINGS], "de": [*GERMAN.values(), *GERMAN_THINGS.values()]}
        Entries.build(words).save(folder / "metadata")
        curate, verify, download, *_ = commands(PAGE.read_text("utf-8"))
        run_ours(curate, folder)
        run_ours(verify, folder)
        run_img2dataset([FEW.get(flag, word) for flag, word in pairwise(download)], folder)
    return folder


def commands(page: str) -> list[list[str]]:
    """Return the command lines of a page, as words."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    return [shlex.split(line) for line in blocks.replace("\\\n", " ").splitlines()]


def run_ours(words: list[str], folder: Path) -> None:
    """Run a command of the project in a folder."""
    done = subprocess.run(
        [program(words[0]), *words[1:]], cwd=folder, env=of_a_user(), capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write_crawl(folder: Path, server) -> None:
    """Write pages of all pictures, those in English as WARC and those in German as WAT; every tenth picture is gone."""
    folder.mkdir()
    kinds = [*product(COLOURS, THINGS)]
    for code, name in (("en", "00000.warc.gz"), ("de", "00001.warc.wat.gz")):
        pairs = [(of_server(server, code, n, kind), texts_of(*kind)[code]) for n, kind in enumerate(kinds * ALIKE)]
        (folder / name).write_bytes(b"".join(page(code, pairs[n : n + 20]) for n in range(0, len(pairs), 20)))


def page(code: str, pairs: list[tuple[str, str]]) -> bytes:
    """Return the record of a page that shows pictures with their texts."""
    if code == "de":
        return wat(*(link(url, alt=text) for url, text in pairs))
    return warc("".join(f'<img src="{url}" alt="{text}">' for url, text in pairs))


def of_server(server, code: str, number: int, kind: tuple[str, str]) -> str:
    """Return the URL at which a picture is served: a square in its colour, the place of which stands for the thing."""
    pictures = needed("PIL.Image")
    picture, place = pictures.new("RGB", (32, 32), (90 + number % 9, 90, 90)), THINGS.index(kind[1])
    corner = 16 * (place % 2), 16 * (place // 2)
    picture.paste(COLOURS[kind[0]], (*corner, corner[0] + 16, corner[1] + 16))
    out = io.BytesIO()
    picture.save(out, "PNG")
    answer = Answer(404) if number % 10 == 9 else Answer(200, out.getvalue(), {"Content-Type": "image/png"})
    return server.serve(f"/{code}-{number}.png", answer)


@pytest.fixture
def tars(chain) -> list[Path]:
    return sorted((chain / "images").glob("*.tar"))


def uids_of(tars: list[Path]) -> dict[Path, dict[str, str]]:
    """Return the uid of each key of each tar."""
    found: dict[Path, dict[str, str]] = {}
    for path in tars:
        with tarfile.open(path) as tar:
            members = [member for member in tar if member.name.endswith(".json")]
            found[path] = {member.name[:-5]: json.load(tar.extractfile(member))["uid"] for member in members}
    return found


def exported(chain: Path, to: Path, form: str, *more: object) -> Path:
    """Write a form of the run."""
    export.main([str(chain / "out"), "--output", str(to), "--format", form, *map(str, more)])
    return to


def test_the_crawl_is_matched_and_what_exists_of_it_is_downloaded(chain, tars):
    run = Results.open(chain / "out")
    number = len(COLOURS) * len(THINGS) * ALIKE
    assert run.facts["rows"]["matched"] == 2 * number
    assert {code: run.facts["languages"][code]["matched"] for code in ("en", "de")} == {"en": number, "de": number}
    downloaded = [uid for keys in uids_of(tars).values() for uid in keys.values()]
    assert len(downloaded) == len({*downloaded}) == 2 * number * 9 / 10


def test_the_tutorial_balances_what_exists_and_writes_tars_of_it(chain, tars, tmp_path):
    shutil.copytree(chain / "out", tmp_path / "before")
    *_, curate, export_tars, _ = commands(PAGE.read_text("utf-8"))
    run_ours(curate, chain)
    run_ours(export_tars, chain)
    there = {uid for keys in uids_of(tars).values() for uid in keys.values()}
    gated = pq.read_table(chain / "out" / "gated", columns=["uid"])["uid"].to_pylist()
    kept = pq.read_table(chain / "out" / "curated", columns=["uid"])["uid"].to_pylist()
    written = uids_of(sorted((chain / "tars").glob("*.tar")))
    shutil.rmtree(chain / "out")
    (tmp_path / "before").rename(chain / "out")  # the other tests read the run before
    assert {*gated} == there
    assert {uid for keys in written.values() for uid in keys.values()} == {*kept} < there


def test_both_loaders_of_meta_clip_keep_what_our_probabilities_say(chain, tars, tmp_path):
    written, uids = exported(chain, tmp_path / "loaders", "metaclip", "--tars", chain / "images"), uids_of(tars)
    run = Results.open(chain / "out")
    placed(tars, tmp_path)
    loaders = [
        FirstLoader(written / "text_probabilities", tmp_path / "first"),
        SecondLoader(written / "text_entries", tmp_path / "second", str(run.facts["languages"]["en"]["t"])),
    ]
    expected = run.facts["expected"]["kept"] * 9 / 10  # what exists of it
    for loader in loaders:
        kept = {uids[tar][key]: text for tar in tars for key, text in loader.kept(int(tar.stem), Random(1)).items()}
        assert all([*loader.texts(int(tar.stem))] == [*uids[tar]] for tar in tars)
        assert abs(len(kept) - expected) < 5 * run.facts["expected"]["standard_deviation"]
        texts = {row["uid"]: row["candidates"][0]["text"] for batch in run.matched(None) for row in batch.to_pylist()}
        assert kept.items() <= texts.items()


def test_datacomp_s_file_of_uids_selects_the_manifest_from_the_tars(chain, tars, tmp_path):
    uids = np.load(exported(chain, tmp_path / "datacomp", "datacomp") / "uids.npy")
    kept = {f"{high:016x}{low:016x}" for high, low in uids.tolist()}
    assert kept == {*pq.read_table(chain / "out" / "curated")["uid"].to_pylist()}
    there = {uid for keys in uids_of(tars).values() for uid in keys.values()}
    assert 0.8 * len(kept) < len(kept & there) < len(kept)


def test_datasets_loads_the_manifest(chain, tmp_path, monkeypatch):
    for name, value in (("HF_HOME", str(tmp_path / "hub")), ("HF_HUB_OFFLINE", "1"), ("HF_DATASETS_OFFLINE", "1")):
        monkeypatch.setenv(name, value)
    datasets = needed("datasets")
    folder = exported(chain, tmp_path / "pairs", "huggingface")
    pairs = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert pairs.to_list() == pq.read_table(chain / "out" / "curated").to_pylist()


@pytest.fixture(scope="module")
def captioned(chain) -> Path:
    """The folder of the chain, with captions of each picture by two models and tars of the manifest with them."""
    texts = pq.read_table(chain / "out" / "matched", columns=["uid", "candidates"]).to_pylist()
    rows = [
        {"uid": row["uid"], "caption": f"{source}: {row['candidates'][0]['text']}", "source": source}
        for row in texts
        for source in SOURCES
    ]
    pq.write_table(pa.Table.from_pylist(rows), chain / "captions.parquet")
    run_ours(commands(PAGE.read_text("utf-8"))[-1], chain)
    return chain


def require_shares(texts: list[str]) -> None:
    """Refuse texts of which those of a source, or those of pages, are not the share that is asked for."""
    found = [next((source for source in SOURCES if text.startswith(f"{source}: ")), "") for text in texts]
    for source, share in (SOURCES | {"": 1 - sum(SOURCES.values())}).items():
        assert abs(found.count(source) - len(found) * share) < 5 * (len(found) * share * (1 - share)) ** 0.5


def test_open_clip_s_program_learns_from_tars_with_two_captions_a_picture(captioned, tars):
    curated = pq.read_table(captioned / "out" / "curated", columns=["uid"])["uid"].to_pylist()
    written = sorted((captioned / "captioned-tars").glob("*.tar"))
    there = {uid for keys in uids_of(tars).values() for uid in keys.values()}
    found = [uid for keys in uids_of(written).values() for uid in keys.values()]
    assert len(found) == len({*found})
    assert {*found} == there & {*curated}
    require_shares(texts_in(written))
    (line,) = re.findall(r"^python -m open_clip_train.main (.*\n.*)\n", PAGE.read_text("utf-8"), re.M)
    own = {"{00000..00003}": "00000", "ViT-B-32": "tiny", "256": "16", "workers 4": "workers 0", "epochs 4": "epochs 5"}
    for theirs, ours in own.items():
        line = line.replace(theirs, ours)
    words = shlex.split(line.replace("\\\n", " "))
    few = ["--precision", "fp32", "--log-every-n-steps", "1", "--lr", "3e-4", "--warmup", "1", "--device", "cpu"]
    losses = run_open_clip([*words, *few, "--lr-scheduler", "const"], captioned)
    assert len(losses) >= 5 * (len(found) // 16)
    assert falls(losses)


def texts_in(tars: list[Path]) -> list[str]:
    """Return the texts with which a trainer sees the samples of tars."""
    found = []
    for path in tars:
        with tarfile.open(path) as tar:
            texts = [member for member in tar if member.name.endswith(".txt") and ".alt." not in member.name]
            found += [tar.extractfile(member).read().decode() for member in texts]
    return found


def test_open_clip_s_loop_learns_from_two_captions_a_picture_in_batches_by_entries(captioned, monkeypatch):
    model, *of_model = tiny_clip()
    seen, pair = [], decoded(*of_model)

    def seeing(sample):
        seen.append(sample)
        return pair(sample)

    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for theirs, ours in (("(256)", "(16), mixed_blocks=3"), ('images-index"', 'images-index", 16')):
        assert theirs in example
        example = example.replace(theirs, ours)
    monkeypatch.chdir(captioned)
    names: dict = {"pair": seeing}
    exec(example, names)
    dataset, begin = names["dataset"], 0
    assert falls(trained(model, batches_of(dataset), arguments(), epochs=6))
    for epoch in range(6):
        dataset.set_epoch(epoch)
        of_epoch = seen[begin : begin + 16 * dataset.steps(16)]
        assert len(of_epoch) == len({sample["__uid__"] for sample in of_epoch}) > 160
        require_shares([sample["txt"].decode() for sample in of_epoch])
        begin += len(of_epoch)
    assert begin == len(seen)


def test_open_clip_learns_from_one_coarse_cluster_with_some_outsiders(chain, tars, tmp_path):
    model, tokenizer, preprocess = tiny_clip()
    from open_clip_train.data import get_wds_dataset

    rows, chance = (
        pq.read_table(chain / "out" / "curated", columns=["uid", "text"]).to_pylist(),
        np.random.default_rng(1),
    )
    colours = [
        next(n for n, word in enumerate(COLOURS) if {word, GERMAN[word]} & {*row["text"].split()}) for row in rows
    ]
    embeddings = np.eye(8)[colours] + 0.1 * chance.normal(size=(len(rows), 8))
    columns = {"uid": [row["uid"] for row in rows], "embedding": [*embeddings]}
    pq.write_table(pa.table(columns), tmp_path / "embeddings.parquet")
    where = [chain / "out", "--output", tmp_path / "clusters", "--embeddings", tmp_path / "embeddings.parquet"]
    assert run_here("jobs/run.py", "clip-cluster", *where, "--fine", 16) == 0
    clustered = pq.read_table(tmp_path / "clusters" / "clusters").to_pylist()
    coarse = {row["uid"]: row["coarse"] for row in clustered}
    assert len(coarse) == len(rows)
    more = ["--tars", chain / "images", "--clusters", tmp_path / "clusters", "--expert", 2, "--outsiders", 0.1]
    written = sorted(exported(chain, tmp_path / "tars", "webdataset", *more).glob("*.tar"))
    there = {uid for keys in uids_of(tars).values() for uid in keys.values()}
    found = {uid for keys in uids_of(written).values() for uid in keys.values()}
    own = {uid for uid in coarse if coarse[uid] == 2} & there
    assert own < found
    assert len(found - own) < 0.3 * len(found)
    args = arguments(train_data=str(written[0]), train_num_samples=None)
    data = get_wds_dataset(args, preprocess, is_train=True, tokenizer=tokenizer)
    assert falls(trained(model, data, args, epochs=24))


def test_balancing_while_training_gives_batches_of_each_epoch(chain, tmp_path):
    torch = needed("torch")
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    index = online.build(chain / "images", chain / "out", tmp_path / "index", 16)

    def pair(sample: dict):
        return (
            to_tensor(Image.open(io.BytesIO(sample["jpg"])).convert("RGB")),
            sample["txt"].decode(),
            sample["__uid__"],
        )

    dataset = online.BalancedDataset(index, chain / "out" / "counts.parquet", OnlineConfig(seed=1), transform=pair)
    loader, epochs = torch.utils.data.DataLoader(dataset, batch_size=16, drop_last=True), []
    for epoch in range(2):
        dataset.set_epoch(epoch)
        batches = [*loader]
        assert len(batches) == dataset.steps(16) > 5
        assert {tuple(pictures.shape) for pictures, _, _ in batches} == {(16, 3, 32, 32)}
        epochs.append([uid for _, _, uids in batches for uid in uids])
    assert len({*epochs[0]}) == len(epochs[0])
    assert {*epochs[0]} != {*epochs[1]}
