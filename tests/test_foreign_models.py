"""A model whose configuration asks a library for code is refused before the library reads it, in one sentence."""

import json

import pytest

from curation.foreign_models import OPEN_CLIP_CONFIG, open_clip_towers, require_no_code
from runtime.errors import InputError

TEXT = {"context_length": 77, "hf_tokenizer_name": "a/b", "tokenizer_kwargs": {"clean": "canonicalize"},
    "hf_model_name": "xlm-roberta-base", "norm_kwargs": {"eps": 1e-6}, "act_kwargs": None}  # fmt: skip
VISION = {"timm_model_name": "vit_so400m_patch14_siglip_384", "timm_pool": "map", "image_size": [384, 384]}
MODULES = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
DENSE = {"activation_function": "torch.nn.modules.activation.Tanh", "in_features": 8}
CONFIG = {"model_type": "clip", "auto_map": {"AutoConfig": "own.Own"}, "attn_implementation": "sdpa"}


def open_clip_config(folder, text=None, vision=None):
    model = {"embed_dim": 16, "text_cfg": TEXT | (text or {}), "vision_cfg": VISION | (vision or {})}
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {"mean": [0.5] * 3}}))
    return folder / OPEN_CLIP_CONFIG


def test_models_as_their_libraries_save_them_pass(tmp_path):
    assert open_clip_towers(open_clip_config(tmp_path))["text_cfg"] == TEXT
    (tmp_path / "1_Dense").mkdir()
    for name, content in {"modules": MODULES, "1_Dense/config": DENSE, "config": CONFIG, "vocab": {"犬": 1}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656, "a": NaN}')
    require_no_code(tmp_path)


@pytest.mark.parametrize(
    ("text", "vision", "fault"),
    [
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, {}, "has trust_remote_code, with which a model can run"),
        ({"tokenizer_kwargs": {"tokenizer_type": "own"}}, {}, "text_cfg has 'tokenizer_type' in tokenizer_kwargs"),
        (
            {"tokenizer_kwargs": {"clean": "no", "vocab_file": "/etc/passwd"}},
            {},
            "expected only clean, language, strip_sep",
        ),
        ({"tokenizer_kwargs": [["trust_remote_code", True]]}, {}, "in tokenizer_kwargs"),
        ({"act_kwargs": {"own": 1}}, {}, "'own' in act_kwargs"),
        ({}, {"norm_kwargs": {"own": 1}}, "vision_cfg has 'own' in norm_kwargs"),
        ({"hf_model_name": "/data/own"}, {}, "the hf_model_name '/data/own'"),
        ({"hf_model_name": "../own"}, {}, "the hf_model_name"),
        ({"hf_model_name": "hf-hub:a/b"}, {}, "the hf_model_name"),
        ({"hf_model_name": ["a"]}, {}, "the hf_model_name"),
        ({}, {"timm_model_name": "hf-hub:a/b"}, "the timm_model_name 'hf-hub:a/b'"),
        ({}, {"timm_model_name": "local-dir:own"}, "the timm_model_name"),
        ({}, {"timm_model_name": "own/model"}, "the timm_model_name"),
    ],
)
def test_open_clips_arguments_and_names_beyond_the_known_are_refused(text, vision, fault, tmp_path):
    with pytest.raises(InputError, match=fault) as refused:
        open_clip_towers(open_clip_config(tmp_path, text, vision))
    assert str(tmp_path / OPEN_CLIP_CONFIG) in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"model_cfg": []}', b"[" * 100_000, b"\xff{}", b'{"text_cfg": {}}']
)
def test_what_is_no_configuration_of_open_clip_is_refused(content, tmp_path):
    (tmp_path / OPEN_CLIP_CONFIG).write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as JSON|has no object model_cfg"):
        open_clip_towers(tmp_path / OPEN_CLIP_CONFIG)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("modules.json", [*MODULES, {"type": "own.Own"}], "the class own.Own"),
        ("modules.json", [{"type": "sentence_transformers_own.Own"}], "the class sentence_transformers_own.Own"),
        ("router_config.json", {"types": {"query_0": "own.Own"}}, "the class own.Own"),
        ("wordembedding_config.json", {"tokenizer_class": "own.Own"}, "the class own.Own"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "the class os.system"),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": 1}}, "trust_remote_code"),
        (
            "config.json",
            {"vision_config": {"attn_implementation": "own/kernel"}},
            "the attn_implementation 'own/kernel'",
        ),
        ("config.json", {"_experts_implementation": {"": "own/kernel"}}, "the _experts_implementation"),
    ],
)
def test_a_folder_that_names_foreign_classes_or_kernels_is_refused(name, content, fault, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=fault) as refused:
        require_no_code(tmp_path)
    assert str(path) in str(refused.value)
