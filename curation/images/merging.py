"""Turn matched images into pairs again, so that those of the copies of a picture come together as one image's do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.images.uids import hashes, uid_hashes
from curation.schemas import MATCHED, PAIRS
from runtime.arrow.lists import parts

_OF_IMAGE = [name for name in MATCHED.names if name in PAIRS.names]


def pairs_of(images: pa.RecordBatch, copy_of: pa.Array) -> pa.RecordBatch:
    """Return PAIRS of MATCHED images, which are copies of the images with these uids; a leader is its own copy."""
    texts, offsets = parts(images["candidates"])
    image = pa.array(np.repeat(np.arange(images.num_rows), np.diff(offsets)))
    uids, stays = copy_of.take(image), pc.equal(images["uid"], copy_of)
    columns = {name: images[name].take(image) for name in _OF_IMAGE}
    columns |= {field.name: texts.field(field.name) for field in texts.type}
    columns |= {
        "url": pc.if_else(stays, images["url"], None).take(image),  # of the image that stays: null is never smallest
        "page_url": pc.coalesce(texts.field("page_url"), images["page_url"].take(image)),
        "key": pa.array(uid_hashes(uids).view(np.uint64)),
        "hash": pa.array(hashes(uids, texts.field("text"))),
        "uid": uids,
        "given": _origins(texts),
        "page_language": pa.nulls(len(texts), pa.string()),
        "copies": pa.array(np.ones(len(texts), np.int32)),
        "undetermined": pa.nulls(len(texts), pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in PAIRS.names], schema=PAIRS)


def _origins(texts: pa.StructArray) -> pa.Array:
    """Return the language of each text, marked where the input stated it: of equal texts the smallest counts."""
    stated = pc.binary_join_element_wise(texts.field("language"), "", "!")
    return pc.if_else(texts.field("lid_score").is_null(), stated, texts.field("language"))
