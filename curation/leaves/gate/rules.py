"""What the rules of `policies` check of single images and texts: words of URLs, phrases of templates, places on pages.

The function of a rule over images takes a MATCHED batch; that of a rule over texts takes `texts`, the candidates of all
images of a batch, `images`, the row of each text's image, and the batch. Each returns a mask of what must go. Words and
phrases are looked up by hash; `kernels.texts` has the same arithmetic. Media archives are exempt from some rules: their
pictures have a subject also where they are drawings, logos, or on many pages.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from importlib.resources import files
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes
from weakref import ref

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.crawl.links import HOST_SIGNALS, IMAGE_PLACES, SIGNALS
from curation.kernels import texts as words
from curation.kernels.texts import BASIS, PRIME, SPREAD
from curation.kernels.url_paths import find_names, find_paths
from curation.language.text_kinds import MarkedTexts
from curation.leaves.gate import kernels
from curation.licences import MASK, bits_of
from metadata.languages import LANGUAGES
from runtime.arrow import parts, string_buffers

_ALL = (1 << 64) - 1

Argument = TypeVar("Argument")
Result = TypeVar("Result")

ARCHIVES = (
    "wikimedia.org",
    "wikipedia.org",
    "openclipart.org",
    "freesvg.org",
    "publicdomainvectors.org",
    "svgsilh.com",
)
_HOSTS = rf"\A[a-z+.-]+://(?:[^/?#]*[.])?(?:{'|'.join(map(re.escape, ARCHIVES))})(?:[:/?#]|\z)"

# Where phrases of a kind of template_phrases.csv stand in a text.
WHOLES = {"generic": words.WHOLE, "control": words.WHOLE, "network": words.WHOLE}
PARTS = {
    "logo": words.WHOLE | words.FIRST | words.LAST,
    "icon": words.WHOLE | words.LAST,
    "icon of": words.FIRST,
    "avatar": words.WHOLE | words.LAST,
    "avatar of": words.FIRST,
    "share": words.FIRST,
    "share last": words.LAST,
    "attachment": words.HEAD,
}
_ALONE = (  # blocks whose characters are words: Thai to Lao, Burmese, Khmer, kana, Han
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)

# Languages in which a character is half a word: those that write no spaces, and Korean, whose words are long.
_HALVES = pa.array([language.code for language in LANGUAGES if not language.spaced or language.code == "ko"])

_HEADLINE = 3  # words

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


class WordTable(NamedTuple):
    """A hash table with open addressing: the key in each slot, 0 if the slot is empty, and the flags of the key."""

    keys: np.ndarray
    bits: np.ndarray

    @classmethod
    def of(cls, bits: Mapping[int, int]) -> WordTable:
        """Return a table of `bits`, flags by key, at most half full; ValueError for more keys than a table may have."""
        places = 1 << max(4, (2 * len(bits) - 1).bit_length())
        if places > words.PLACES:
            raise ValueError(f"{len(bits)} words are more than a table has place for")
        table = cls(np.zeros(places, np.uint64), np.zeros(places, np.uint8))
        for key, flags in bits.items():
            place = (key * int(SPREAD) & _ALL) >> 48 & (places - 1)
            while table.keys[place] != 0:
                place = (place + 1) & (places - 1)
            table.keys[place], table.bits[place] = key, flags
        return table


def word_key(units: Iterable[int]) -> int:
    """Return the hash of a word's bytes or characters."""
    key = int(BASIS)
    for unit in units:
        key = (key ^ unit) * int(PRIME) & _ALL
    return key


def phrase_key(words: Iterable[int]) -> int:
    """Return the hash of a phrase, given the hashes of its words."""
    key = 0
    for word in words:
        key = key * int(SPREAD) + word & _ALL
    return key


def listed(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this package, each as a dict by column."""
    return [*csv.DictReader(files("curation.leaves.gate").joinpath(name).read_text("utf-8").splitlines())]


def shared(make: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """Return `make` with a cache of its last result, which is dropped when the argument of that call is deleted."""
    last: list[tuple[ref[Argument], Result]] = []

    @wraps(make)
    def made(argument: Argument) -> Result:
        if not last or last[0][0]() is not argument:
            last[:] = [(ref(argument, lambda _: last.clear()), make(argument))]
        return last[0][1]

    return made


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


def has_phrase(texts: pa.Array, kinds: tuple[str, ...]) -> np.ndarray:
    """Return which texts are a phrase of these kinds, or begin or end with one and have few other words.

    Case, accents, digits and signs make no difference.
    """
    offsets, data = string_buffers(texts)
    out = np.empty(len(texts), bool)
    may_end = any((WHOLES | PARTS)[kind] & words.LAST for kind in kinds)
    words.find_candidates(data, offsets, letters(), *_table(kinds), may_end, out)
    rows = np.flatnonzero(out)
    is_phrase = np.empty(len(rows), bool)
    words.find_phrases(data, offsets, letters(), *_table(kinds), may_end, rows, is_phrase)
    out[rows] = is_phrase
    return out


def folded(text: str) -> list[str]:
    """Return the words of a text as they are compared.

    >>> folded("Logo: l’Équipe (2012)"), folded("東京のロゴ")
    (['logo', 'l', 'equipe'], ['東', '京', 'の', 'ロ', 'コ'])
    """
    codes, out, is_inside = letters(), [], False
    for character in text:
        letter = int(codes[ord(character)]) if ord(character) < words.LETTERS else words.APART
        if letter >= words.ALONE:
            out.append(chr(letter - words.ALONE))
        elif letter not in (words.MARK, words.APART):
            out[-1:] = [out[-1] + chr(letter)] if is_inside else [*out[-1:], chr(letter)]
        is_inside = letter < words.ALONE and letter != words.APART and (is_inside or letter != words.MARK)
    return out


@lru_cache(maxsize=1)
def letters() -> np.ndarray:
    """Return the class of each character, int32[LETTERS], by which `find_phrases` reads texts."""
    return np.array([_letter(chr(code)) for code in range(words.LETTERS)], np.int32)


def _letter(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return words.MARK
    base, marks = (whole := unicodedata.normalize("NFKD", character))[0], whole[1:]
    if ord(base) >= words.LETTERS or any(unicodedata.category(mark) != "Mn" for mark in marks):
        base = character
    if unicodedata.category(base)[0] not in "LM":
        return words.APART
    code = ord(base.lower()[0])
    return code + words.ALONE * any(first <= code <= last for first, last in _ALONE)


@lru_cache(maxsize=4)
def _table(kinds: tuple[str, ...]) -> WordTable:
    bits: defaultdict[int, int] = defaultdict(int)
    places = WHOLES | PARTS
    for row in listed("template_phrases.csv"):
        if row["kind"] in kinds:
            place, keys = int(places[row["kind"]]), [word_key(_units(word)) for word in folded(row["phrase"])]
            bits[phrase_key(keys)] |= place
            for number in range(1, len(keys) + 1) if place & ~int(words.LAST) else ():
                bits[phrase_key(keys[:number])] |= int(words.BEGINS)
            bits[keys[-1]] |= int(words.ENDS) if place & int(words.LAST) else 0
    return WordTable.of(bits)


def _units(word: str) -> list[int]:
    """Return the characters of a folded word as `find_phrases` hashes them."""
    return [int(letters()[ord(character)]) for character in word]


def has_few_words(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, number: int) -> np.ndarray:
    """Return which texts have fewer than `number` words.

    Words are separated by white space. In languages that write no spaces, and in Korean, whose words are long, n
    characters outside ASCII are 1 + n/2 words, rounded down: words of Chinese and Japanese have about two characters. A
    name in Latin letters stays one word.
    """
    spaced = pc.invert(pc.is_in(texts.field("language"), _HALVES))
    offsets, data = string_buffers(texts.field("text"))
    out = np.empty(len(texts), bool)
    words.find_few_words(data, offsets, spaced.to_numpy(zero_copy_only=False), number, out)
    return out


def is_of_kind(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch, kind: str) -> np.ndarray:
    """Return which texts are of a kind of `language.text_kinds`, such as html."""
    return marked(texts).are(kind)


@shared
def marked(texts: pa.StructArray) -> MarkedTexts:
    return MarkedTexts.of(texts.field("text"))


def is_generic(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts are phrases that say nothing of a picture."""
    return has_phrase(texts.field("text"), tuple(WHOLES))


def is_logo_text(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts of images outside archives are, begin or end with a phrase of logos, icons or avatars."""
    out = has_phrase(texts.field("text"), tuple(PARTS))
    may_go = np.zeros(batch.num_rows, bool)
    may_go[images[out]] = True
    return out & outside_archives(may_go, batch)[images]


def is_site_name(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts are the name in the host of their page: `Cookie and Kate` on www.cookieandkate.com.

    The page is the text's own, else that of the image; without one the host is that of the image's URL.
    """
    out = np.empty(len(texts), bool)
    pages = (texts.field("page_url"), batch["page_url"], batch["url"])
    buffers = [buffer for strings in pages for buffer in string_buffers(strings)]
    kernels.find_site_names(*string_buffers(texts.field("text")), *buffers, images, out)
    return out


def equals_url(texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    """Return which texts of fewer than _HEADLINE words are the URL of their image, or the name of its file.

    The name of the file is the last part of the path; its ending may be missing. Case and %-escapes make no difference.
    Longer texts are captions after which a site names its files.
    """
    strings = texts.field("text")
    offsets, data, paths = urls_of(batch)
    names = np.empty((batch.num_rows, 3), np.int64)
    find_names(data, paths, names)
    text_offsets, text_data = string_buffers(strings)
    verdicts = np.empty(len(texts), np.uint8)
    words.find_names_in_texts(text_data, text_offsets, images, data, offsets, names, verdicts)
    rows = np.flatnonzero(verdicts != words.NO)
    rows = rows[has_few_words(texts.take(pa.array(rows)), images[rows], batch, _HEADLINE)]
    out = np.zeros(len(texts), bool)
    out[rows] = verdicts[rows] == words.YES
    for text in rows[verdicts[rows] == words.UNSURE].tolist():
        first, last, dot = names[images[text]].tolist()
        whole = data[offsets[images[text]] : offsets[images[text] + 1]].tobytes()
        named = (data[first:end].tobytes() for end in (last, dot) if first < last)
        folded_text = _folded(strings[text].as_py().encode())
        out[text] = any(folded_text == _folded(candidate) for candidate in (whole, *named))
    return out


def _folded(written: bytes) -> str:
    """Return a string with %-escapes decoded and in lower case.

    A character stays as it is if its lower case has several characters, or if only one of the two is in ASCII.
    """
    text = unquote_to_bytes(written).decode("utf-8", "surrogateescape")
    lower = ((letter, letter.lower()) for letter in text)
    return "".join(low if len(low) == 1 and low.isascii() == letter.isascii() else letter for letter, low in lower)
