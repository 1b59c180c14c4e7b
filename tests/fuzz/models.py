"""Damaged fastText models: refused, or texts get labels and scores, those that the definition gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.language import engines
from curation.language.engines import FastText
from runtime.errors import InputError
from tests.fuzz.target import Target, plain, require_named
from tests.naive.language_model import NaiveModel
from tests.support import language_models, small_model
from tests.support.language_models import ONE_VS_ALL, SOFTMAX, TREE, Layout

TEXTS = ["a black dog", "犬と猫", "", "x" * 300, "Hund und Katze", None, "internationalisation of été", "</s> a\0b"]
LID = Layout(loss=TREE, buckets=2_000_000, kept=tuple(range(0, 2_000_000, 3999)), part=2)  # lid.176.ftz's own shape
LAYOUTS = (
    LID,
    LID,
    Layout(loss=TREE, buckets=50, counts={f"l{i}": 2**i for i in range(30, 0, -1)}),
    Layout(width=20, buckets=50, word_ngrams=2),
    Layout(loss=TREE, buckets=50, kept=tuple(range(0, 50, 3)), part=3),
    Layout(loss=ONE_VS_ALL, buckets=50, part=2, norms=False, output_part=2),
    Layout(loss=SOFTMAX, buckets=50, part=2, norms=True, output_part=1, output_norms=False),
)
ODD = (b"__label__", b"</s>\0", b"\0", b"\xff", np.float32(np.nan).tobytes(), np.float32(1e30).tobytes())
SMALL = 100_000  # bytes of models that are compared with their definition


def wholes(folder: Path) -> list[bytes]:
    """Return small models of several shapes, and the default one."""
    models = [*map(language_models.model_bytes, LAYOUTS), small_model.model_bytes()]
    return [*models, engines.default_model().read_bytes()]


def look(folder: Path, data: bytes) -> str:
    """Identify texts, if the model is not refused."""
    path = folder / "model.bin"
    path.write_bytes(data)
    engines._opened.cache_clear()
    try:
        model = engines.Identifier.open(path)
        labels, scores = model.predict(pa.array(TEXTS))
        model.identify(pa.array(TEXTS))
    except InputError as refusal:
        require_named(path, refusal)
        return "refused"
    found = [*zip(labels.to_pylist(), scores.to_pylist(), strict=True)]
    assert len(found) == len(TEXTS)
    if not isinstance(model.engine, FastText) and len(data) < SMALL:
        _require_defined(data, found)
    return type(model.engine).__name__


def _require_defined(data: bytes, found: list[tuple[str, float]]) -> None:
    with np.errstate(all="ignore"):
        naive = NaiveModel(data)
        for text, (label, score) in zip(TEXTS, found, strict=True):
            if text is not None:
                expected = naive.predict(text.encode()) or ("other", 0.0)
                assert (label, score) == (expected[0], pytest.approx(expected[1], abs=1e-4)), text


MODELS = {"models": Target(wholes, look, plain(*ODD))}
