"""Matched images with what their pages state of them."""

import pyarrow as pa

from curation.schemas import MATCHED

STATED = ("signals", "stated_width", "stated_height", "surroundings")
IMAGES = pa.schema(
    [field for field in MATCHED if field.name not in STATED] + [pa.field(each, pa.int32()) for each in STATED]
)


def image(url: str | None = "http://a.example/b.jpg", texts=("a dog",), language: str = "en", **more) -> dict:
    """Return an image with these texts, each a string, or one with its language."""
    pairs = [text if isinstance(text, tuple) else (text, language) for text in texts]
    candidates = [{"text": text, "kind": "alt", "language": code, "entries": [1]} for text, code in pairs]
    return {"uid": "0" * 32, "url": url, "candidates": candidates, **dict.fromkeys(STATED), **more}


def batch(*images: dict) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(images), IMAGES)
