"""Training by open_clip's own loop, with a tiny model and pictures of coloured patches."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.support.online_run import add, image, write_run
from tests.support.stand_ins import needed

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
PLACES = {"north": (0, 8), "south": (0, -8), "west": (8, 0), "east": (-8, 0)}


def write_patches(folder) -> list[dict]:
    """Write tars of all pictures of coloured patches, a run of curate over them, and tars of those that it kept.

    Return the matched images.
    """
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
    kept = write_run(folder / "curated", rows, rates=np.full(5, 0.5, np.float32))
    write_pictures(folder / "images" / "00000.tar", [(row["uid"], "unused") for row in rows], jpegs)
    write_pictures(
        folder / "kept" / "00000.tar", zip(kept["uid"].to_pylist(), kept["text"].to_pylist(), strict=True), jpegs
    )
    return rows


def write_pictures(path, chosen, jpegs):
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for number, (uid, text) in enumerate(chosen):
            add(tar, f"{number:09d}.jpg", jpegs[uid])
            add(tar, f"{number:09d}.txt", text.encode())
            add(tar, f"{number:09d}.json", json.dumps({"uid": uid}).encode())


VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
OPEN_CLIP = """import sys, open_clip, torch
from open_clip_train.main import main
torch.set_num_threads(1)
open_clip.add_model_config("tiny.json")
main(sys.argv[1:])"""


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
    model = open_clip.CLIP(32, VISION, TEXT, output_dict=True)
    return (
        model,
        open_clip.SimpleTokenizer(context_length=12),
        lambda picture: normalize(to_tensor(picture), [0.45], [0.27]),
    )


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


def trained(model, data, args, epochs) -> Losses:
    """Train with open_clip's own loop; return the losses."""
    import torch
    from open_clip import ClipLoss
    from open_clip_train.train import train_one_epoch

    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-4), Losses()
    for epoch in range(epochs):
        train_one_epoch(model, {"train": data}, ClipLoss(), epoch, optimizer, None, None, None, args, losses)
    return losses


def run_open_clip(words: list[str], folder: Path) -> list[float]:
    """Run open_clip's program with the model `tiny` in a folder; return the losses of its steps."""
    needed("open_clip_train")
    (folder / "tiny.json").write_text(json.dumps({"embed_dim": 32, "vision_cfg": VISION, "text_cfg": TEXT}))
    command = [sys.executable, "-c", OPEN_CLIP, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return [float(loss) for loss in re.findall(r"Contrastive_loss: (\S+)", done.stderr)]


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
