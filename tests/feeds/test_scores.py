"""Scores of tiny random models, saved as their libraries save them, equal those of the libraries' own examples."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.plugins.scoring.clip_score import main
from curation.plugins.scoring.scorer import ScoringConfig
from tests.support.checkout import program
from tests.support.clip_models import open_clip_model, transformers_model, twin_score
from tests.support.downloaded import all_bytes
from tests.support.pictures import downloaded_tar, picture, stored, write_tar
from tests.support.refusals import refusal
from tests.support.stand_ins import needed

pytestmark = pytest.mark.filterwarnings("default")  # those of other people's code
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
MODELS = {
    "open_clip": open_clip_model,
    "CLIP": lambda folder: transformers_model(folder, "CLIP"),
    "MetaClip2": lambda folder: transformers_model(folder, "MetaClip2"),
}
TEXTS = ["a dog", "犬が走る", "собака 🐕", "a dog in the park " * 500, "é" * 3000, "!", "A  Dog\n&amp; a\tcat"]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """A folder of each kind of model."""
    for module in ("open_clip", "transformers"):
        needed(module)
    needed("torch").set_num_threads(1)  # many wait for one another on a busy machine
    return {name: make(tmp_path_factory.mktemp("models") / name) for name, make in MODELS.items()}


def odd_images() -> dict[str, bytes]:
    """Pictures in all modes and of odd sizes, by the names of their files."""
    colours = picture(5, 70, 50)
    seen = colours.copy()
    seen.putalpha(Image.linear_gradient("L").resize(colours.size))
    grey = Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20)
    return {
        "colour.jpg": stored(colours),
        "cmyk.jpg": stored(colours.convert("CMYK")),
        "grey.jpg": stored(colours.convert("L")),
        "alpha.png": stored(seen, "PNG"),
        "palette.png": stored(colours.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "bits.png": stored(colours.convert("1"), "PNG"),
        "sixteen.png": stored(grey, "PNG"),
        "pixel.png": stored(picture(1, 1, 1), "PNG"),
        "row.png": stored(picture(2, 3, 1), "PNG"),
        "column.png": stored(picture(3, 1, 90), "PNG"),
        "large.webp": stored(picture(4, 900, 1100), "WEBP"),
    }


def tar_of(path: Path, images: dict[str, bytes], texts: list[str]) -> Path:
    members = {}
    for number, (name, data) in enumerate(images.items()):
        key, _, ending = name.partition(".")
        text = texts[number % len(texts)].encode()
        members |= {f"{key}.{ending}": data, f"{key}.txt": text, f"{key}.json": {"uid": key}}
    return write_tar(path, members)


def score(tars: Path, model: Path, output: Path, *more: object, workers: int = 2) -> dict[str, dict]:
    main([str(each) for each in ("--input", tars, "--model", model, "--output", output, "--workers", workers, *more)])
    return {row["key"]: row for row in pq.read_table(output).to_pylist()}


@pytest.mark.parametrize("kind", MODELS)
def test_scores_of_odd_images_and_texts_are_those_of_a_plain_loop(models, kind, tmp_path):
    images = {name: data for name, data in odd_images().items() if name != "sixteen.png"}
    tar_of(tmp_path / "tars" / "0.tar", images, TEXTS)
    found = score(tmp_path / "tars", models[kind], tmp_path / "scores", "--batch-size", 3)
    for number, (name, data) in enumerate(images.items()):
        expected = twin_score(models[kind], data, TEXTS[number % len(TEXTS)])
        assert found[name.partition(".")[0]]["clip_score"] == pytest.approx(expected, abs=1e-5), name
    assert np.std([row["clip_score"] for row in found.values()]) > 0.01


@pytest.mark.parametrize("kind", MODELS)
def test_broken_images_and_empty_texts_have_no_score(models, kind, tmp_path):
    images = odd_images() | {"html.jpg": b"<html>", "cut.jpg": stored(picture())[:300], "none.jpg": b""}
    tar_of(tmp_path / "tars" / "0.tar", images, ["a dog"])
    found = score(tmp_path / "tars", models[kind], tmp_path / "scores")
    reasons = {"html": "not_an_image", "cut": "truncated", "none": "not_an_image"}
    assert {key: row["status"] for key, row in found.items() if row["clip_score"] is None} == reasons
    tar_of(tmp_path / "empty" / "0.tar", odd_images(), ["", " \t"])
    found = score(tmp_path / "empty", models[kind], tmp_path / "none")
    assert {row["status"] for row in found.values()} == {"no_text"}


def test_the_same_settings_give_the_same_bytes_and_other_ones_nearly_the_same_scores(models, tmp_path):
    downloaded_tar(tmp_path / "tars" / "0.tar", range(20))

    def scored(name: str, *more: object, workers: int = 2) -> np.ndarray:
        found = score(tmp_path / "tars", models["open_clip"], tmp_path / name, *more, workers=workers)
        return np.array([row["clip_score"] for row in found.values()])

    first = scored("a", "--batch-size", 8)
    scored("b", "--batch-size", 8, workers=4)
    assert all_bytes(tmp_path / "a") == all_bytes(tmp_path / "b")
    assert np.abs(scored("c", "--batch-size", 3) - first).max() < 1e-6
    assert 0 < np.abs(scored("d", "--precision", "bf16") - first).max() < 0.02


def test_a_run_that_was_killed_goes_on_and_writes_the_same(models, tmp_path):
    for number in range(8):
        downloaded_tar(tmp_path / "tars" / f"{number:05}.tar", range(number * 30, number * 30 + 30))
    arguments = ["--input", tmp_path / "tars", "--model", models["open_clip"], "--batch-size", 5]
    command = [program("clip-score"), *map(str, arguments)]
    started = subprocess.Popen([*command, "--output", tmp_path / "scores"], stderr=subprocess.DEVNULL, env=ONE_THREAD)
    until = time.monotonic() + 120
    while len(list((tmp_path / "scores").glob("*.parquet"))) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "scores").glob("*.parquet")}
    assert 3 <= len(left) < 8
    for output in ("scores", "whole"):
        main([*map(str, arguments), "--output", str(tmp_path / output)])
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "scores").glob("*.parquet")}
    assert len(left.items() & now.items()) >= 2  # the last may have had no stamp yet
    assert all_bytes(tmp_path / "scores") == all_bytes(tmp_path / "whole")


def test_ctrl_c_ends_a_run_with_a_sentence(models, tmp_path):
    downloaded_tar(tmp_path / "tars" / "0.tar", range(600))
    arguments = ["--input", tmp_path / "tars", "--model", models["open_clip"], "--batch-size", 2]
    command = [program("clip-score"), *arguments, "--output", tmp_path / "scores"]
    started = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, env=ONE_THREAD)
    until = time.monotonic() + 120
    while not list((tmp_path / "scores").glob(".*.partial")) and time.monotonic() < until:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "clip-score: stopped; run the same command again to resume" in said
    assert "Traceback" not in said


def test_a_model_with_other_weights_is_refused_in_the_same_folder(models, tmp_path, capsys):
    downloaded_tar(tmp_path / "tars" / "0.tar", range(2))
    score(tmp_path / "tars", models["open_clip"], tmp_path / "scores")
    given = ["--input", tmp_path / "tars", "--output", tmp_path / "scores", "--model"]
    capsys.readouterr()
    moved = models["open_clip"].rename(tmp_path / "moved")
    open_clip_model(models["open_clip"], seed=1)
    assert "holds scores of images made differently (other weights" in refusal(
        capsys, main, *given, models["open_clip"]
    )
    for file in models["open_clip"].iterdir():
        file.unlink()
    models["open_clip"].rmdir()
    moved.rename(models["open_clip"])
    assert "(library open_clip, not transformers, " in refusal(capsys, main, *given, models["CLIP"])


def test_a_model_that_lacks_weights_or_texts_is_refused(models, tmp_path, capsys):
    transformers = needed("transformers")
    downloaded_tar(tmp_path / "tars" / "0.tar", range(2))
    whole = transformers.AutoModel.from_pretrained(models["CLIP"])
    weights = whole.state_dict()
    weights.pop("visual_projection.weight")
    whole.save_pretrained(tmp_path / "part", state_dict=weights)
    whole.vision_model.config.save_pretrained(tmp_path / "vision")
    given = ["--input", tmp_path / "tars", "--output", tmp_path / "scores", "--model"]
    assert "lacks weights, such as visual_projection.weight" in refusal(capsys, main, *given, tmp_path / "part")
    assert "transformers cannot load" in refusal(capsys, main, *given, tmp_path / "vision")
    (models["CLIP"] / "open_clip_config.json").write_text("{}")
    said = refusal(capsys, main, *given, models["CLIP"])
    (models["CLIP"] / "open_clip_config.json").unlink()
    assert "open_clip_config.json has no object model_cfg; pass a model as open_clip saves it" in said


def test_names_of_the_family_are_known(models):
    from curation.plugins.scoring.scorer import known_models

    known = known_models()
    assert "metaclip_400m" in known["ViT-B-32-quickgelu"]
    assert "metaclip2_worldwide" in known["ViT-H-14-worldwide-quickgelu"]
    mapping = needed("transformers").models.auto.modeling_auto.MODEL_MAPPING_NAMES
    assert mapping["metaclip_2"] == "MetaClip2Model"


def test_memory_that_is_used_up_ends_with_a_sentence(models, tmp_path, capsys, monkeypatch):
    torch = needed("torch")
    from curation.plugins.scoring.scorer import Scorer

    def full(self, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(Scorer, "_moved", full)
    downloaded_tar(tmp_path / "tars" / "0.tar", range(2))
    given = ["--input", tmp_path / "tars", "--output", tmp_path / "scores", "--model", models["open_clip"]]
    assert "has too little memory for batches of 256 images; pass a smaller --batch-size" in refusal(
        capsys, main, *given
    )
    assert "sees 0 GPUs" in refusal(capsys, main, *given, "--device", "cuda") or torch.cuda.is_available()


def test_an_image_of_several_texts_has_the_score_of_each(models, tmp_path):
    from curation.plugins.scoring.scorer import open_scorer

    scorer = open_scorer(str(models["open_clip"]), None, ScoringConfig(batch_size=2))
    prepared = [scorer.prepare(picture(seed)) for seed in range(3)]
    texts = [["a dog", "犬", "a cat", "!"], ["a dog"], ["a cat", "a dog"]]
    for seed, (found, own) in enumerate(zip(scorer.scores(prepared, texts), texts, strict=True)):
        expected = [twin_score(models["open_clip"], stored(picture(seed), "PNG"), text) for text in own]
        assert found.tolist() == pytest.approx(expected, abs=1e-5)
