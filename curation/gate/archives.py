"""Media archives, whose pictures have a subject also where they are drawings, logos, or on many pages."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ARCHIVES = (
    "wikimedia.org",
    "wikipedia.org",
    "openclipart.org",
    "freesvg.org",
    "publicdomainvectors.org",
    "svgsilh.com",
)
_HOSTS = rf"\A[a-z+.-]+://(?:[^/?#]*[.])?(?:{'|'.join(map(re.escape, ARCHIVES))})(?:[:/?#]|\z)"


def outside_archives(images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return bool[image]: those of `images`, likewise, whose URL has no host of ARCHIVES and none below one."""
    urls = batch["url"].filter(pa.array(images))
    found = pc.match_substring_regex(urls, _HOSTS, ignore_case=True).fill_null(False)
    out = images.copy()
    out[images] = ~found.to_numpy(zero_copy_only=False)
    return out
