"""Policy rules over images: usage signals of their pages, words in their URLs, and sizes that pages state."""

from __future__ import annotations

from functools import lru_cache, partial
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.gate.rule import IMAGES, Rule, numbered
from curation.inputs.crawl.page_signals import DATA_NOAI, HOST_SIGNALS, SIGNALS, TDM_RESERVATION
from curation.kernels.url_paths import find_url_words
from runtime.arrow.buffers import string_buffers

_LONGEST_WORD = 16  # bytes, which are compared as two numbers


def has_signal(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Return which images have a signal of SIGNALS or HOST_SIGNALS; a null has none."""
    signals = batch["signals"].fill_null(0).to_numpy()
    return signals & (SIGNALS | HOST_SIGNALS)[name] != 0


def has_url_word(batch: pa.RecordBatch) -> np.ndarray:
    """Return which images have one of `url_words` in the path of their URL, as a whole word in any case."""
    offsets, data = string_buffers(batch["url"])
    out = np.empty(batch.num_rows, bool)
    find_url_words(data, offsets, _keys(), out)
    return out


def is_stated_small(batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which images have a stated side below `number` pixels; one without a stated size has none."""
    least = pc.min_element_wise(batch["stated_width"], batch["stated_height"])
    return pc.less(least, number).fill_null(False).to_numpy(zero_copy_only=False)


@lru_cache(maxsize=1)
def url_words() -> tuple[str, ...]:
    """Return the words of url_words.txt."""
    lines = files("curation.gate").joinpath("url_words.txt").read_text("utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=1)
def _keys() -> np.ndarray:
    words = sorted(word.encode().rjust(_LONGEST_WORD, b"\0") for word in url_words())
    return np.frombuffer(b"".join(words), ">u8").astype(np.uint64).reshape(-1, 2)


def _signal(name: str, signal: str, removes: str, is_recommended: bool = True) -> Rule:
    return Rule(name, IMAGES, removes, partial(has_signal, name=signal), is_recommended=is_recommended)


def _of_hosts(name: str, signal: str, removes: str) -> Rule:
    return _signal(name, signal, f"{removes}; needs `--robots`", is_recommended=False)


_TDM = "images of pages, and with `--robots` of hosts, that reserve text and data mining (`tdm-reservation: 1`)"
_ROBOTS = "images whose URL or page robots.txt forbids to one of the agents of `--robots-agents`"
_CONTENT_SIGNAL = "images whose URL or page robots.txt keeps from training (`Content-Signal: ai-train=no`)"
_AI_TXT = "images whose URL or page ai.txt forbids"
_SIZE = "images that a page shows with a side below N pixels; those without a stated size pass"
_URL_WORDS = "images with a word such as logo, icon or banner in the path of their URL"
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
    numbered(Rule("min_stated_size", IMAGES, _SIZE, is_stated_small), (2, 10_000), recommended=64),
)
