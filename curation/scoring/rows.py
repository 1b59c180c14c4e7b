"""Turn the scores of a batch into rows, one an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curation.hashing.pictures import OK
from curation.scoring.decoding import Batch

NOT_FINITE = "not_finite"  # half precision can overflow; and to Spark a NaN is above every cut
# One row per image of a tar, in its order.
SCORED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("key", pa.string()),  # of the sample in its tar
        pa.field("clip_score", pa.float32()),  # cosine of image and text, the highest where there are several texts
        pa.field("status", pa.string()),  # ok, or the reason why there is no score
    ]
)
# With the texts of a run, where an image may have several.
SCORED_OF_RUN = pa.schema(
    [
        *SCORED,
        pa.field("language", pa.string()),  # of the text with the highest score
        pa.field("scores", pa.list_(pa.float32())),  # of each text, in the order of `candidates` in matched/
    ]
)


def rows_of(batch: Batch, scores: Sequence[np.ndarray]) -> pa.RecordBatch:
    """Return the rows of a batch, given the scores of the texts of each image that could be decoded."""
    samples = batch.tar.samples.slice(batch.begin, len(batch.images))
    seen, rows = iter(scores), []
    for number, (uid, key) in enumerate(zip(*(samples[name].to_pylist() for name in ("uid", "key")), strict=True)):
        status = batch.images[number].status
        row: dict[str, Any] = {"uid": uid, "key": key, "status": status}
        if status == OK:
            languages = batch.tar.languages[batch.begin + number] if batch.tar.languages else None
            row |= _of_image(next(seen), languages)
        rows.append(row)
    schema = SCORED if batch.tar.languages is None else SCORED_OF_RUN
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def _of_image(scores: np.ndarray, languages: list[str] | None) -> dict[str, Any]:
    """Return what is said of an image whose texts have these scores and languages."""
    finite = np.isfinite(scores)
    if not finite.any():
        return {"status": NOT_FINITE}
    best = int(np.where(finite, scores, -np.inf).argmax())
    all_scores = pa.array(scores, pa.float32(), mask=~finite).to_pylist()
    return {"clip_score": scores[best], "scores": all_scores, "language": languages[best] if languages else None}
