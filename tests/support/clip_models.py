"""Tiny CLIP models with random weights, saved as open_clip and transformers save theirs, and a plain twin of scores."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from tests.support.stand_ins import needed

SIDE, WIDTH, CONTEXT = 32, 32, 77
_TOWER = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def open_clip_model(folder: Path, seed: int = 0, side: int = SIDE) -> Path:
    """Save a model with open_clip's own tokenizer."""
    open_clip, torch = needed("open_clip"), needed("torch")
    tower = {"width": WIDTH, "layers": 2}
    config = {
        "embed_dim": 16,
        "vision_cfg": {**tower, "image_size": side, "patch_size": side // 4, "head_width": 16},
        "text_cfg": {**tower, "context_length": CONTEXT, "vocab_size": 49408, "heads": 2},
    }
    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**config)
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


def transformers_model(folder: Path, kind: str = "CLIP", seed: int = 0) -> Path:
    """Save a CLIPModel or MetaClip2Model with its processor and a tokenizer."""
    transformers, torch = needed("transformers"), needed("torch")
    tokenizer = transformers.CLIPTokenizer(vocab=_letters(), merges=[], model_max_length=CONTEXT)
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, **_special(tokenizer)}
    config = getattr(transformers, f"{kind}Config")(
        text_config={**_TOWER, **text},
        vision_config={**_TOWER, "image_size": SIDE, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(seed)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    transformers.CLIPImageProcessor(**size).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def twin_score(folder: Path, data: bytes, text: str) -> float:
    """Return the score of one image and one text, as the example of either library computes it."""
    torch, image = needed("torch"), needed("PIL.Image").open(io.BytesIO(data))
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = needed("PIL.Image").new("RGBA", image.size, "white")
        image.alpha_composite(shown)
    image = image.convert("RGB")
    with torch.no_grad():
        of_image, of_text = (_by_open_clip if (folder / "open_clip_config.json").exists() else _by_transformers)(
            folder, image, text
        )
    of_image, of_text = of_image.numpy()[0].astype(np.float64), of_text.numpy()[0].astype(np.float64)
    return float(of_image @ of_text / np.linalg.norm(of_image) / np.linalg.norm(of_text))


def _by_open_clip(folder: Path, image, text: str) -> tuple:
    open_clip = needed("open_clip")
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model.eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")([text])
    return model.encode_image(preprocess(image)[None]), model.encode_text(tokens)


def _by_transformers(folder: Path, image, text: str) -> tuple:
    transformers = needed("transformers")
    model, processor = (getattr(transformers, f"Auto{kind}").from_pretrained(folder) for kind in ("Model", "Processor"))
    inputs = processor(text=[text], images=[image], return_tensors="pt", padding=True, truncation=True)
    found = model(**inputs)
    return found.image_embeds, found.text_embeds


def _letters() -> dict[str, int]:
    """A vocabulary of single bytes, as CLIP's own begins."""
    bytes_to_unicode = needed("open_clip.tokenizer").bytes_to_unicode
    letters = [*bytes_to_unicode().values()]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


def _special(tokenizer) -> dict[str, int]:
    return {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
