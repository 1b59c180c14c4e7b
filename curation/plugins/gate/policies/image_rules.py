"""Check single images for the rules of `policies`: words of URLs, stated sizes and licences.

The function of a rule takes an ImageBatch, and returns a mask of the images that are removed. Media archives are exempt
from some rules: their pictures have a subject even if they are drawings or logos, or appear on many pages.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.licences import MASK, bits_of
from curation.plugins.gate.filters import ImageBatch, shared
from curation.plugins.gate.kernels import urls as kernels
from curation.plugins.gate.kernels.url_paths import find_paths
from curation.plugins.gate.policies.word_tables import WordTable, rows_in, word_key
from curation.schemas import HOST_SIGNALS, SIGNALS
from runtime.arrow import string_buffers

ARCHIVES = (
    "wikimedia.org",
    "wikipedia.org",
    "openclipart.org",
    "freesvg.org",
    "publicdomainvectors.org",
    "svgsilh.com",
)
_HOSTS = rf"\A[a-z+.-]+://(?:[^/?#]*[.])?(?:{'|'.join(map(re.escape, ARCHIVES))})(?:[:/?#]|\z)"
OF_HOSTS = ("robots", "content_signal", "ai_txt")  # the rules about signals that come only from files of --robots
# The flag of each place that url_words.csv names; a word of the file counts only in its places.
PLACES = {
    "any": kernels.ANY,  # anywhere in the name of the file
    "edge": kernels.EDGE,  # as the first or last word of a short name of a file
    "only": kernels.ONLY,  # in the name of a file that has only listed words
    "beside": kernels.BESIDE,  # beside a word that counts in another place, so that all words of the name are listed
    "folder": kernels.FOLDER,  # in the name of a folder that has only listed words
    "folders": kernels.FOLDERS,  # as the last word of the name of a folder
    "no": kernels.NO,  # before a word whose place is "picture"
    "picture": kernels.PICTURE,  # after a word whose place is "no"
    "host": kernels.HOST,  # as a host, with all hosts below it; such a word has no other place
}
# Pages state these ratios, (width, height), instead of sizes.
RATIOS = ((16, 9), (4, 3), (3, 2), (5, 4), (2, 1), (16, 10), (21, 9), (9, 16), (3, 4), (2, 3), (4, 5), (1, 2))
_RATIOS = pa.array([width * 1000 + height for width, height in RATIOS], pa.int32())


class Urls(NamedTuple):
    """The URLs of images: the offset of each URL, the bytes of all URLs (`data`), and `paths`.

    paths: int64[image, 2], the begin of the host and the end of the path in `data`.
    """

    offsets: np.ndarray
    data: np.ndarray
    paths: np.ndarray


@shared
def urls_of(batch: ImageBatch) -> Urls:
    """Return the URLs of images, with the bounds of their hosts and paths."""
    offsets, data = string_buffers(batch.images["url"])
    paths = np.empty((batch.images.num_rows, 2), np.int64)
    find_paths(data, offsets, paths)
    return Urls(offsets, data, paths)


def outside_archives(mask: np.ndarray, batch: ImageBatch) -> np.ndarray:
    """Return a copy of `mask`, False where the image's host is one of ARCHIVES or a subdomain of one."""
    urls = batch.images["url"].filter(pa.array(mask))
    archived = pc.match_substring_regex(urls, _HOSTS, ignore_case=True).fill_null(False)
    out = mask.copy()
    out[mask] = ~archived.to_numpy(zero_copy_only=False)
    return out


def has_signal(batch: ImageBatch, kind: str) -> np.ndarray:
    """Return which images have a signal, a key of SIGNALS or HOST_SIGNALS; an image whose signals are null has none."""
    return _signals(batch) & (SIGNALS | HOST_SIGNALS)[kind] != 0


def has_other_licence(batch: ImageBatch, names: str) -> np.ndarray:
    """Return which images have no stated licence, or a stated one that is not in `names`, such as "cc0,cc-by"."""
    stated = _signals(batch) & MASK
    return (stated == 0) | (stated & ~bits_of(names) != 0)


def _signals(batch: ImageBatch) -> np.ndarray:
    return batch.images["signals"].fill_null(0).to_numpy()


def has_url_word(batch: ImageBatch) -> np.ndarray:
    """Return which images outside ARCHIVES have a listed host, or a file or folder named by words of `url_words`."""
    _, data, paths = urls_of(batch)
    table = _url_table()
    out = np.empty(batch.images.num_rows, bool)
    kernels.find_url_words(data, paths, table.keys, table.bits, out)
    return outside_archives(out, batch)


def is_stated_small(batch: ImageBatch, number: int) -> np.ndarray:
    """Return which images have a stated width or height below `number` pixels; False if neither is stated.

    A width and a height that are a ratio in RATIOS, such as 16 by 9, are not a size.
    """
    width = batch.images["stated_width"]
    height = batch.images["stated_height"]
    is_small = pc.less(pc.min_element_wise(width, height), number).fill_null(False)
    is_ratio = pc.is_in(pc.add(pc.multiply(width.fill_null(0), 1000), height.fill_null(0)), _RATIOS)
    return pc.and_not(is_small, is_ratio).to_numpy(zero_copy_only=False)


def url_words() -> dict[str, int]:
    """Return the words and hosts of url_words.csv, each with the bits of the PLACES where it counts."""
    words = {}
    for row in rows_in("url_words.csv"):
        words[row["word"]] = sum(int(PLACES[place]) for place in row["places"].split())
    return words


@lru_cache(maxsize=1)
def _url_table() -> WordTable:
    bits = {}
    for word, flags in url_words().items():
        spelled = word.encode()
        is_host = "." in word
        bits[word_key(reversed(spelled) if is_host else spelled)] = flags
    return WordTable.of(bits)
