"""Policy rules over images: signals of their pages, sizes that these state, the names of files, the number of texts."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.crawl.links import DATA_NOAI, HOST_SIGNALS, IMAGE_PLACES, SIGNALS, TDM_RESERVATION
from curation.leaves.gate import kernels as kernel
from curation.leaves.gate.rule import IMAGES, Rule, WordTable, listed, numbered, urls_of, word_key
from curation.leaves.gate.text_rules import outside_archives
from runtime.arrow import parts

# Where words of url_words.csv count, by the name of the place there.
PLACES = {
    "any": kernel.ANY,  # in the name of the file
    "edge": kernel.EDGE,  # first or last in a short name
    "only": kernel.ONLY,  # in a name of listed words only
    "beside": kernel.BESIDE,  # these may stand beside others
    "folder": kernel.FOLDER,  # in the name of a folder, if that has listed words only
    "folders": kernel.FOLDERS,  # last in the name of a folder
    "no": kernel.NO,  # before one of the next kind
    "picture": kernel.PICTURE,
}

# Ratios that pages state in place of sizes: of width and height.
RATIOS = ((16, 9), (4, 3), (3, 2), (5, 4), (2, 1), (16, 10), (21, 9), (9, 16), (3, 4), (2, 3), (4, 5), (1, 2))
_RATIOS = pa.array([width * 1000 + height for width, height in RATIOS], pa.int32())


def has_signal(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return which images have a signal of SIGNALS or HOST_SIGNALS; a null has none."""
    signals = batch["signals"].fill_null(0).to_numpy()
    return signals & (SIGNALS | HOST_SIGNALS)[name] != 0


def is_home_link(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images are in a link to the root of a site and, on all pages, outside of figures."""
    return _is_placed(batch, "in home link")


def is_shown_away(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images with an alt on `number` places of pages or more are in a link to another site, likewise."""
    often = pc.greater_equal(batch["shown"], number).fill_null(False).to_numpy(zero_copy_only=False)
    return often & _is_placed(batch, "in link away")


def _is_placed(batch: pa.RecordBatch, place: str) -> np.ndarray:
    bit, figure = IMAGE_PLACES[place], IMAGE_PLACES["in figure"]
    return batch["signals"].fill_null(0).to_numpy() & (bit | figure) == bit


def has_url_word(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images outside archives have, in the path of their URL, a name that `url_words` make."""
    _, data, paths = urls_of(batch)
    out = np.empty(batch.num_rows, bool)
    kernel.find_url_words(data, paths, *_table(), out)
    return outside_archives(out, batch)


def is_svg(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images are SVG by the ending of their file, without those of archives."""
    offsets, data, paths = urls_of(batch)
    out = np.empty(batch.num_rows, bool)
    kernel.find_svg(data, offsets, paths, out)
    return outside_archives(out, batch)


def has_many_texts(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images have more than `number` texts of one language, without those of archives."""
    texts, offsets = parts(batch["candidates"])
    counts = np.diff(offsets)
    out = np.zeros(batch.num_rows, bool)
    may_have = outside_archives(counts > number, batch)
    rows = np.flatnonzero(may_have)
    if len(rows):
        inside = np.repeat(may_have, counts)
        languages = texts.field("language").filter(pa.array(inside)).dictionary_encode()
        codes = languages.indices.fill_null(len(languages.dictionary)).to_numpy()
        keys = np.repeat(np.arange(len(rows)), counts[rows]) * (len(languages.dictionary) + 1) + codes
        found, often = np.unique(keys, return_counts=True)
        out[rows[found[often > number] // (len(languages.dictionary) + 1)]] = True
    return out


def is_stated_small(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images have a stated side below `number` pixels; one without a stated size has none.

    What states a ratio, such as 16 by 9, states no size.
    """
    sides = batch["stated_width"], batch["stated_height"]
    is_small = pc.less(pc.min_element_wise(*sides), number).fill_null(False)
    is_ratio = pc.is_in(pc.add(pc.multiply(sides[0].fill_null(0), 1000), sides[1].fill_null(0)), _RATIOS)
    return pc.and_not(is_small, is_ratio).to_numpy(zero_copy_only=False)


def url_words() -> dict[str, int]:
    """Return the words of url_words.csv, with the bits of their places."""
    return {row["word"]: sum(int(PLACES[place]) for place in row["places"].split()) for row in listed("url_words.csv")}


@lru_cache(maxsize=1)
def _table() -> WordTable:
    return WordTable.of({word_key(word.encode()): bits for word, bits in url_words().items()})


def _signal(name: str, signal: str, removes: str, is_recommended: bool = True) -> Rule:
    return Rule(name, IMAGES, removes, partial(has_signal, name=signal), is_recommended=is_recommended)


def _of_hosts(name: str, signal: str, removes: str) -> Rule:
    return _signal(name, signal, f"{removes}; needs `--robots`", is_recommended=False)


_TDM = "images of pages, and with `--robots` of hosts, that reserve text and data mining (`tdm-reservation: 1`)"
_ROBOTS = "images whose URL or page robots.txt forbids to one of the agents of `--robots-agents`"
_CONTENT_SIGNAL = "images whose URL or page robots.txt keeps from training (`Content-Signal: ai-train=no`)"
_AI_TXT = "images whose URL or page ai.txt forbids"
_SIZE = "images that a page shows with a side below N pixels; those without a stated size pass"
_HOME = "images in a link to the home page of a site, if in no figure: logos and banners, in any language"
_AWAY = "images in a link to another site, if in no figure, that pages show N times or more: advertisements"
_URL_WORDS = "images whose file or folder has the name of a part of the page, such as logo, icons or placeholder"
_SVG = "images in SVG, unless from a media archive such as Wikimedia Commons"
_TEXTS = "images with more than N texts of one language: what many pages show in place of other pictures"
OF_HOSTS = ("robots", "content_signal", "ai_txt")  # rules that only --robots feeds
ROWS = (
    _signal("noai", "noai", "images of pages that state `noai` to robots"),
    _signal("noimageai", "noimageai", "images of pages that state `noimageai` to robots"),
    _signal("noml", "noml", "images of pages that state `noml` to robots"),
    _signal("tdm_reservation", TDM_RESERVATION, _TDM),
    _signal("data_noai", DATA_NOAI, "images whose element has the attribute `data-noai`"),
    _of_hosts("robots", "robots", _ROBOTS),
    _of_hosts("content_signal", "content-signal", _CONTENT_SIGNAL),
    _of_hosts("ai_txt", "ai.txt", _AI_TXT),
    Rule("url_words", IMAGES, _URL_WORDS, has_url_word, is_recommended=True),
    Rule("svg", IMAGES, _SVG, is_svg, is_recommended=True),
    Rule("home_link", IMAGES, _HOME, is_home_link, is_recommended=True),
    numbered(Rule("link_away", IMAGES, _AWAY, is_shown_away), (1, 1_000_000)),
    numbered(Rule("max_texts_per_image", IMAGES, _TEXTS, has_many_texts), (1, 1_000), recommended=4),
    numbered(Rule("min_stated_size", IMAGES, _SIZE, is_stated_small), (2, 10_000), recommended=64),
)
