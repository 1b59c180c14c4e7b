"""The name of a model tells which library loads it."""

import pytest

from curation.plugins.scoring.scorer import OPEN_CLIP, TRANSFORMERS, Checkpoint
from runtime.errors import InputError

KNOWN = {"ViT-B-32": ["openai", "metaclip_400m"], "ViT-H-14-worldwide": []}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, names in {
        "ours": ["open_clip_config.json", "model.safetensors"],
        "theirs": ["config.json"],
        "both": ["open_clip_config.json", "config.json"],
        "no/model": ["weights.pt"],
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()


@pytest.mark.parametrize(
    ("name", "pretrained", "expected"),
    [
        ("ViT-B-32", "openai", Checkpoint(OPEN_CLIP, "ViT-B-32", "openai")),
        ("ViT-B/32", "metaclip_400m", Checkpoint(OPEN_CLIP, "ViT-B-32", "metaclip_400m")),
        ("hf-hub:timm/some", None, Checkpoint(OPEN_CLIP, "hf-hub:timm/some")),
        ("local-dir:ours", None, Checkpoint(OPEN_CLIP, "local-dir:ours")),
        ("facebook/metaclip-b32-400m", None, Checkpoint(TRANSFORMERS, "facebook/metaclip-b32-400m")),
    ],
)
def test_names(name, pretrained, expected):
    assert Checkpoint.find(name, pretrained, KNOWN) == expected


def test_folders(tmp_path):
    for name, library, path in (
        ("ours", OPEN_CLIP, f"local-dir:{tmp_path / 'ours'}"),
        ("both", OPEN_CLIP, f"local-dir:{tmp_path / 'both'}"),
        ("./theirs", TRANSFORMERS, str(tmp_path / "theirs")),
    ):
        assert Checkpoint.find(name, None, KNOWN) == Checkpoint(library, path)


def test_weights_in_a_file(tmp_path):
    found = Checkpoint.find("ViT-H-14-worldwide", "ours/model.safetensors", KNOWN)
    assert found.pretrained == str(tmp_path / "ours" / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "pretrained", "sentence"),
    [
        ("ViT-B-32", None, "ViT-B-32 has no weights of its own; pass pretrained a file, or one of openai, metaclip"),
        ("ViT-B-32", "opneai", "ViT-B-32 has no weights called opneai; pass"),
        ("ViT-B-31", None, "neither a folder, nor a model of open_clip, nor OWNER/NAME .*; did you mean ViT-B-32"),
        ("./nothing", None, "nothing is neither a folder"),
        ("/no/folder", None, "folder is neither a folder"),
        ("theirs", "openai", "theirs has its own weights; pass pretrained only with"),
        ("facebook/some", "openai", "facebook/some has its own weights"),
        ("no/model", None, "no/model holds neither open_clip_config.json nor config.json"),
    ],
)
def test_what_stands_for_no_model_is_refused(name, pretrained, sentence):
    with pytest.raises(InputError, match=sentence):
        Checkpoint.find(name, pretrained, KNOWN)
