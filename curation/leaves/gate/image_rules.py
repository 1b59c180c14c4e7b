"""What the rules of `policies` check of single images: words of URLs, places on pages, stated sizes and licences.

The function of a rule takes a MATCHED batch, and returns a mask of the images that must go. Media archives are exempt
from some rules: their pictures have a subject also where they are drawings, logos, or on many pages.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.crawl.links import HOST_SIGNALS, IMAGE_PLACES, SIGNALS
from curation.leaves.gate.kernels import urls as kernels
from curation.leaves.gate.kernels.url_paths import find_paths
from curation.leaves.gate.word_tables import WordTable, listed, shared, word_key
from curation.licences import MASK, bits_of
from runtime.arrow import parts, string_buffers

ARCHIVES = (
    "wikimedia.org",
    "wikipedia.org",
    "openclipart.org",
    "freesvg.org",
    "publicdomainvectors.org",
    "svgsilh.com",
)
_HOSTS = rf"\A[a-z+.-]+://(?:[^/?#]*[.])?(?:{'|'.join(map(re.escape, ARCHIVES))})(?:[:/?#]|\z)"
OF_HOSTS = ("robots", "content_signal", "ai_txt")  # rules that only --robots feeds
# Where words of url_words.csv count, by the name of the place there.
PLACES = {
    "any": kernels.ANY,  # in the name of the file
    "edge": kernels.EDGE,  # first or last in a short name
    "only": kernels.ONLY,  # in a name of listed words only
    "beside": kernels.BESIDE,  # these may stand beside others
    "folder": kernels.FOLDER,  # in the name of a folder, if that has listed words only
    "folders": kernels.FOLDERS,  # last in the name of a folder
    "no": kernels.NO,  # before one of the next kind
    "picture": kernels.PICTURE,
    "host": kernels.HOST,  # a host with all that are below it: its only place
}
# How much each place of an image says that it is no picture which the page is about; weighed on 671 rows read by eye.
POINTS = {
    "in home link": 5,
    "in interface": 3,
    "in footer": 2,
    "in header": 1,
    "in menu": 1,
    "in advertisement": 1,
    "in link away": 1,
    "in contents": -3,
    "in figure": -4,
}
OFTEN = 3
_REPEATED = sum(IMAGE_PLACES[place] for place in ("in header", "in menu", "in advertisement"))
# Ratios that pages state in place of sizes: of width and height.
RATIOS = ((16, 9), (4, 3), (3, 2), (5, 4), (2, 1), (16, 10), (21, 9), (9, 16), (3, 4), (2, 3), (4, 5), (1, 2))
_RATIOS = pa.array([width * 1000 + height for width, height in RATIOS], pa.int32())


class Urls(NamedTuple):
    """The URLs of images: the offset of each, the bytes of all (`data`), and `paths`.

    paths: int64[image, 2], the begin of the host and the end of the path in `data`.
    """

    offsets: np.ndarray
    data: np.ndarray
    paths: np.ndarray


@shared
def urls_of(batch: pa.RecordBatch) -> Urls:
    """Return the URLs of a MATCHED batch, with the bounds of their hosts and paths."""
    offsets, data = string_buffers(batch["url"])
    paths = np.empty((batch.num_rows, 2), np.int64)
    find_paths(data, offsets, paths)
    return Urls(offsets, data, paths)


def outside_archives(images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return the mask `images`, bool[image], without the images whose host is one of ARCHIVES or a subdomain of one."""
    urls = batch["url"].filter(pa.array(images))
    archived = pc.match_substring_regex(urls, _HOSTS, ignore_case=True).fill_null(False)
    out = images.copy()
    out[images] = ~archived.to_numpy(zero_copy_only=False)
    return out


def has_signal(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return bool[image]: which images have the signal `name` of SIGNALS or HOST_SIGNALS; none if signals are null."""
    return _signals(batch) & (SIGNALS | HOST_SIGNALS)[name] != 0


def has_other_licence(batch: pa.RecordBatch, number: str) -> np.ndarray:
    """Return which images have no stated licence, or a stated one that is not named in `number`, as in "cc0,cc-by"."""
    stated = _signals(batch) & MASK
    return (stated == 0) | (stated & ~bits_of(number) != 0)


def has_points(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images have `number` points or more: the sum of POINTS of all places that pages give them.

    An image in a part that sites repeat, such as a header, has one more if pages show it OFTEN, or more often, with an
    alt.
    """
    return _points(batch) + (_is_shown(batch, OFTEN) & (_signals(batch) & _REPEATED != 0)) >= number


@shared
def _points(batch: pa.RecordBatch) -> np.ndarray:
    signals, points = _signals(batch), np.zeros(batch.num_rows, np.int8)
    for place, value in POINTS.items():
        points += np.int8(value) * (signals & IMAGE_PLACES[place] != 0)
    return points


def is_shown_away(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images are in a link to another site, in no figure, and have an alt on `number` places or more."""
    away, figure = IMAGE_PLACES["in link away"], IMAGE_PLACES["in figure"]
    return _is_shown(batch, number) & (_signals(batch) & (away | figure) == away)


def _is_shown(batch: pa.RecordBatch, number: int) -> np.ndarray:
    return pc.greater_equal(batch["shown"], number).fill_null(False).to_numpy(zero_copy_only=False)


def _signals(batch: pa.RecordBatch) -> np.ndarray:
    return batch["signals"].fill_null(0).to_numpy()


def has_url_word(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images outside ARCHIVES have a listed host, or a file or folder named by words of `url_words`."""
    _, data, paths = urls_of(batch)
    out = np.empty(batch.num_rows, bool)
    kernels.find_url_words(data, paths, *_url_table(), out)
    return outside_archives(out, batch)


def is_svg(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images outside ARCHIVES are SVG by the ending of the file in their URL."""
    offsets, data, paths = urls_of(batch)
    out = np.empty(batch.num_rows, bool)
    kernels.find_svg(data, offsets, paths, out)
    return outside_archives(out, batch)


def has_many_texts(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images outside ARCHIVES have more than `number` texts of one language."""
    texts, offsets = parts(batch["candidates"])
    counts = np.diff(offsets)
    out, may_have = np.zeros(batch.num_rows, bool), outside_archives(counts > number, batch)
    image, inside = np.repeat(np.arange(batch.num_rows), counts), np.repeat(may_have, counts)
    rows = pa.table({"image": image[inside], "language": texts.field("language").filter(pa.array(inside))})
    by_language = rows.group_by(["image", "language"], use_threads=False).aggregate([([], "count_all")])
    out[by_language.filter(pc.greater(by_language["count_all"], number))["image"].to_numpy()] = True
    return out


def is_stated_small(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images have a stated width or height below `number` pixels; one without a stated size has none.

    Two numbers that are a ratio, such as 16 by 9, are no size. Of a thumbnail, at most twice as long as wide and only
    in contents or a figure, the longer side counts.
    """
    sides = batch["stated_width"], batch["stated_height"]
    shorter, longer = pc.min_element_wise(*sides), pc.max_element_wise(*sides)
    is_small = pc.less(shorter, number).fill_null(False)
    is_thumbnail = pc.and_(pc.greater_equal(longer, number), pc.less_equal(longer, pc.multiply(shorter, 2)))
    is_thumbnail = pc.and_(is_thumbnail.fill_null(False), pa.array(_points(batch) <= POINTS["in contents"]))
    is_ratio = pc.is_in(pc.add(pc.multiply(sides[0].fill_null(0), 1000), sides[1].fill_null(0)), _RATIOS)
    return pc.and_not(is_small, pc.or_(is_ratio, is_thumbnail)).to_numpy(zero_copy_only=False)


def url_words() -> dict[str, int]:
    """Return the words and hosts of url_words.csv, each with the bits of the PLACES where it counts."""
    return {row["word"]: sum(int(PLACES[place]) for place in row["places"].split()) for row in listed("url_words.csv")}


@lru_cache(maxsize=1)
def _url_table() -> WordTable:
    return WordTable.of(
        {word_key(word.encode()[:: -1 if "." in word else 1]): flags for word, flags in url_words().items()}
    )
