"""open_clip and webdataset train on curated tars and on a balanced dataset."""

import io
import json
import tarfile
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import clusters, online
from curation.balancing.sampling import sample_batch
from curation.runs.results import Results
from tests.naive.clusters import naive_chance, naive_takes
from tests.support.checkout import ROOT
from tests.support.cluster_tables import cluster_rows, write_folder, write_table
from tests.support.online_run import FORKS, add, batch, image, pairs, write_run
from tests.support.stand_ins import needed

PAGE = ROOT / "docs" / "online-balancing.md"
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
PLACES = {"north": (0, 8), "south": (0, -8), "west": (8, 0), "east": (-8, 0)}


@pytest.fixture
def patches(tmp_path):
    """Tars of all pictures of coloured patches, a run of curate over them, and tars of those that it kept."""
    pictures = needed("PIL.Image")
    rows, jpegs = [], {}
    for number in range(320):
        colour, place = list(COLOURS)[number % 4], list(PLACES)[number // 4 % 4]
        row = image(number, [[number % 4], [4, number % 4]])
        row["candidates"][0]["text"] = f"{colour} patch in the {place}"
        row["candidates"][1]["text"] = f"photo of a {colour} thing, {place}"
        picture = pictures.new("RGB", (32, 32), (90 + number % 9, 90, 90))
        picture.paste(
            COLOURS[colour], tuple(8 - way for way in PLACES[place]) + tuple(24 - way for way in PLACES[place])
        )
        out = io.BytesIO()
        picture.save(out, "JPEG")
        rows.append(row)
        jpegs[row["uid"]] = out.getvalue()
    write_run(tmp_path / "curated", rows)
    write_pictures(tmp_path / "images" / "00000.tar", [(row["uid"], "unused") for row in rows], jpegs)
    kept = sample_batch(batch(rows), np.full(5, 0.5), 0)
    write_pictures(
        tmp_path / "kept" / "00000.tar", zip(kept["uid"].to_pylist(), kept["text"].to_pylist(), strict=True), jpegs
    )
    return tmp_path


def write_pictures(path, chosen, jpegs):
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for number, (uid, text) in enumerate(chosen):
            add(tar, f"{number:09d}.jpg", jpegs[uid])
            add(tar, f"{number:09d}.txt", text.encode())
            add(tar, f"{number:09d}.json", json.dumps({"uid": uid}).encode())


class Losses(list):
    """In the place of open_clip's writer for TensorBoard: the loss of each step."""

    def add_scalar(self, name, value, step):
        if name == "train/loss":
            self.append(value)


def tiny_clip():
    """A model of two layers for pictures of 32 pixels, its tokenizer, and what it wants of a picture."""
    torch, open_clip = needed("torch"), needed("open_clip")
    from torchvision.transforms.functional import normalize, to_tensor

    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other where the tests share cores
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    model = open_clip.CLIP(32, vision, text, output_dict=True)
    return (
        model,
        open_clip.SimpleTokenizer(context_length=12),
        lambda picture: normalize(to_tensor(picture), [0.45], [0.27]),
    )


def trained(model, data, args, epochs) -> Losses:
    """Train with open_clip's own loop; return the losses."""
    import torch
    from open_clip import ClipLoss
    from open_clip_train.train import train_one_epoch

    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-4), Losses()
    for epoch in range(epochs):
        train_one_epoch(model, {"train": data}, ClipLoss(), epoch, optimizer, None, None, None, args, losses)
    return losses


def arguments(**more):
    """The command line of open_clip's training, as far as its loop and its loader look at it."""
    numbers = {
        "batch_size": 16,
        "workers": 0,
        "world_size": 1,
        "rank": 0,
        "seed": 0,
        "accum_freq": 1,
        "log_every_n_steps": 1,
    }
    off = ("distill", "horovod", "wandb", "distributed", "dataset_resampled")
    none = ("grad_clip_norm", "train_data_upsampling_factors")
    switches = dict.fromkeys(off, False) | dict.fromkeys(none) | {"skip_scheduler": True}
    return SimpleNamespace(device="cpu", precision="fp32", **numbers, **switches, **more)


def falls(losses) -> bool:
    return np.mean(losses[-8:]) < 0.75 * np.mean(losses[:8])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves tars open
@pytest.mark.feeds
def test_open_clip_learns_from_the_tars_of_a_curated_manifest(patches):
    model, tokenizer, preprocess = tiny_clip()
    from open_clip_train.data import get_wds_dataset

    args = arguments(train_data=str(patches / "kept" / "00000.tar"), train_num_samples=160)
    data = get_wds_dataset(args, preprocess, is_train=True, tokenizer=tokenizer)
    assert falls(trained(model, data, args, epochs=7))


def decoded(tokenizer, preprocess):
    """A transform of samples for the model."""
    pictures = needed("PIL.Image")

    def pair(sample):
        picture = pictures.open(io.BytesIO(sample["jpg"])).convert("RGB")
        return preprocess(picture), tokenizer(sample["txt"].decode())[0]

    return pair


def batches_of(dataset):
    """A balanced dataset as open_clip's loop takes its data."""
    import torch
    from open_clip_train.data import DataInfo

    loader = torch.utils.data.DataLoader(dataset, batch_size=16, drop_last=True)
    loader.num_batches = dataset.steps(16)
    loader.num_samples = 16 * loader.num_batches
    data = DataInfo(loader)
    data.set_epoch = dataset.set_epoch
    return data


@pytest.mark.feeds
def test_open_clip_learns_from_balancing_while_it_trains(patches):
    model, *of_model = tiny_clip()
    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5), transform=decoded(*of_model))
    losses = trained(model, batches_of(dataset), arguments(), epochs=7)
    assert falls(losses)
    assert 50 < len(losses) < 100


@pytest.mark.feeds
def test_open_clip_learns_from_one_coarse_cluster_and_outsiders(patches):
    """Each colour is a cluster; the blue one is the expert's."""
    model, *of_model = tiny_clip()
    uids = pq.read_table(patches / "curated" / "matched", columns=["uid"])["uid"].to_pylist()
    coarse = {uid: number % 4 for number, uid in enumerate(uids)}
    rows = [{"uid": uid, "coarse": cluster} for uid, cluster in coarse.items()]
    table = write_table(patches / "clusters.parquet", rows, ["uid", "coarse"])
    found = clusters.build([table], Results.open(patches / "curated"), patches / "store").clusters
    config = online.OnlineConfig(mixed_blocks=4, expert=online.Expert(found, (2,), outsiders=0.1))
    seen, pair = [], decoded(*of_model)

    def transform(sample):
        seen.append((sample["__uid__"], sample["txt"].decode()))
        return pair(sample)

    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.9), config, transform)
    losses = trained(model, batches_of(dataset), arguments(), epochs=20)
    assert falls(losses)
    assert 70 < len(losses) < 110
    kept = pq.read_table(patches / "curated" / "curated", columns=["uid"])["uid"].to_pylist()
    chance = naive_chance(kept, coarse, {2}, Fraction(1, 10))
    expected = {uid for uid, takes in zip(uids, naive_takes(uids, coarse, {2}, chance, 0), strict=True) if takes}
    assert {uid for uid, _ in seen} == expected  # in twenty epochs each is kept at least once
    assert 0 < sum("blue" not in text for _, text in seen) < 0.2 * len(seen)


@pytest.mark.feeds
def test_a_balanced_dataset_is_the_first_stage_of_a_webdataset_pipeline(patches):
    wds = needed("webdataset")
    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5))
    stages = [wds.decode("pilrgb"), wds.rename(image="jpg;png", text="txt"), wds.to_tuple("image", "text")]
    found = list(wds.DataPipeline(dataset, *stages))
    assert [text for _, text in found] == [text for _, text in pairs(dataset)]
    assert {picture.size for picture, _ in found} == {(32, 32)}


@FORKS
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.feeds
def test_the_examples_of_the_page_on_online_balancing_run(patches, monkeypatch):
    needed("torchdata")
    model, tokenizer, preprocess = tiny_clip()
    batches = []
    names = {"tokenizer": tokenizer, "preprocess": preprocess, "args": arguments(), "train": batches.append}
    monkeypatch.chdir(patches)
    uids = pq.read_table(patches / "curated" / "matched", columns=["uid"])["uid"].to_pylist()
    pq.write_table(pa.table({"uid": uids[:40], "caption": ["a patch"] * 40}), "captions.parquet")
    write_folder(patches / "clusters", cluster_rows(uids))
    for example in PAGE.read_text(encoding="utf-8").split("```python\n")[1:]:
        exec(example.partition("```")[0], names)
    assert names["index"].matched == 320
    assert 0 < len(names["found"].clusters) < 320
    assert len(batches) == names["done"] > 0
    assert len(trained(model, names["data"], names["args"], epochs=1)) == names["loader"].num_batches > 0
