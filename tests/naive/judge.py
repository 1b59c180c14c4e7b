"""The judge from its definition, one text at a time: features of the format `clip-curation judge 2`, and their sums."""

import base64
import json
import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from curation.schemas import IMAGE_PLACES, PAGE_KINDS
from tests.support.checkout import ROOT

ALL = 2**64
BASIS, PRIME = 0xCBF29CE484222325, 0x100000001B3  # of FNV-1a
SPREAD, SPREAD_KINDS = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
KINDS = """word|pair of words|whole text|first word|last word|letters|words|length|capitals|capital words|digits|sign
end|begin|words of its file's name|site|kind|width|height|size|ratio|shown|place|places|places and words
places and side|host|page|ending|word of the file's name|letters of the file's name|word of a folder|folders
images beside it|words of images beside it|bytes of images beside it|related images beside it|small images beside it
linked images beside it|equal texts beside it|words behind|heading|first h1|link text|caption"""
NUMBER_OF = {name: number for number, name in enumerate(re.split(r"[|\n]", KINDS))}
SURROUNDINGS_SIZES = (8, 6, 9, 5, 5, 5, 5, 6, 6, 6, 6, 6)
SIGNS = [":", "?", "!", ",", "_", "|", "-", "\"'", "(", "/", "&", "@", "#", "=", "{", "."]
WORDS, LETTERS = 24, 96  # so many of a text are read


class NaiveFeature(NamedTuple):
    kind: str
    value: str
    number: int


@cache
def naive_judge() -> SimpleNamespace:
    """Return the judge that the package brings."""
    stated = json.loads((ROOT / "curation/plugins/gate/judge/judge.json").read_bytes())
    weights = np.frombuffer(zlib.decompress(base64.b64decode(stated["weights"])), np.int8).reshape(-1, 2)
    return SimpleNamespace(weights=weights, step=stated["step"], bias=stated["bias"])


def naive_features(text: dict, image: dict) -> list[NaiveFeature]:
    """Return the features of one text of an image."""
    said = text["text"] or ""
    url, page = image["url"] or "", text.get("page_url") or image["page_url"] or ""
    kind = text.get("kind")
    number = PAGE_KINDS.index(kind) if kind in PAGE_KINDS else len(PAGE_KINDS)
    words = []
    found = [*of_text(said, words)]
    found += of_url(url.encode(), words)
    found.append(("kind", number, str(number)))
    found += of_image(image, min(len(words), 7))
    found += of_page(said, url, "" if number == 3 else page, min(len(words), 7))
    found += [] if number == 3 else of_surroundings(image.get("surroundings"))
    return [NaiveFeature(name, value, naive_number(name, key)) for name, key, value in found]


def naive_number(kind: str, value: int) -> int:
    return (value + NUMBER_OF[kind] * SPREAD_KINDS) * SPREAD % ALL >> 48


def naive_key(units: Iterable[int]) -> int:
    key = BASIS
    for unit in units:
        key = (key ^ unit) * PRIME % ALL
    return key


def naive_step(value: int) -> int:
    """The number of a step: four of an octave."""
    octave = max(0, value.bit_length() - 3)
    return 4 * octave + (value >> octave)


def is_alone(character: str) -> bool:
    code = ord(character)
    blocks = ((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF))
    blocks += ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
    return any(first <= code <= last for first, last in blocks)


def is_mark(character: str) -> bool:
    return ord(character) < 0x10000 and unicodedata.category(character) in ("Mn", "Me")


def letter_of(character: str) -> str:
    """The letter of a character without marks, in lower case; empty for one that parts words."""
    base, *marks = unicodedata.normalize("NFKD", character)
    if ord(base) >= 0x10000 or any(unicodedata.category(mark) != "Mn" for mark in marks):
        base = character
    is_letter = unicodedata.category(base)[0] in "LM" and ord(character) < 0x10000
    return base.lower()[0] if is_letter else ""


def is_capital(character: str) -> bool:
    return letter_of(character) != "" and unicodedata.category(character) in ("Lu", "Lt")


def of_text(text: str, words: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield kind, value and words of the features of a text alone; put its words into `words`."""
    counts, seen, read, word = Counter(), "", " ", ""
    for character in [*text, " "]:
        if len(words) == WORDS or counts["letters"] >= LETTERS:
            break
        seen += character
        if is_mark(character):
            continue
        letter = letter_of(character)
        if word and (not letter or is_alone(letter)):
            words.append(word)
            word = ""
        read += letter or " " * (read[-1] != " ")
        if letter and is_alone(letter):
            counts["letters"] += len(words) < WORDS
            words += [letter] * (len(words) < WORDS)
        elif letter:
            counts["letters"] += 1
            counts["capitals"] += is_capital(character)
            counts["capital words"] += is_capital(character) and not word
            word += letter
    ended = words[:]
    words += [word] * (word != "" and len(words) < WORDS)
    yield from of_pairs(ended)
    for begin in range(len(read) - 3):
        units = [0 if unit == " " else ord(unit) for unit in read[begin : begin + 4]]
        yield (
            "letters",
            sum(unit << 16 * (3 - place) for place, unit in enumerate(units)),
            f"“{read[begin : begin + 4]}”",
        )
    if words:
        yield "first word", key_of(words[0]), f"“{words[0]}”"
        yield "last word", key_of(words[-1]), f"“{words[-1]}”"
        yield "whole text", naive_key(map(key_of, ended)), f"“{' '.join(words)}”"
    for number, alike in enumerate(SIGNS, 1):
        if any(sign in seen for sign in alike):
            yield "sign", number, alike
    yield from of_counts(text, counts, len(words), sum(character in "0123456789" for character in seen))


def key_of(word: str) -> int:
    return naive_key([ord(word) + 2**24] if is_alone(word[0]) else map(ord, word))


def of_pairs(words: list[str]) -> Iterator[tuple[str, int, str]]:
    before, spelled = 0, ""
    for word in words:
        yield "word", key_of(word), f"“{word}”"
        yield "pair of words", (before + key_of(word) * SPREAD) % ALL, f"“{spelled} {word}”"
        before, spelled = key_of(word), word


def of_counts(text: str, counts: Counter, number: int, digits: int) -> Iterator[tuple[str, int, str]]:
    letters, capitals, size = counts["letters"], counts["capitals"], len(text.encode())
    yield "words", naive_step(number), str(number)
    yield "length", naive_step(size), f"{size} bytes"
    yield "capitals", 8 * capitals // max(letters, 1), f"{capitals} of {letters} letters"
    share = 4 * counts["capital words"] // max(number, 1)
    yield "capital words", 8 * share + min(number, 7), f"{counts['capital words']} of {number}"
    yield "digits", naive_step(digits), str(digits)
    last = text[-1:] if text[-1:].isascii() and text and not letter_of(text[-1]) else ""
    yield "end", ord(last) if last else 0, last or "a letter"
    first = text[:1] or " "
    begin = 0 if is_mark(first) else 1 if is_capital(first) else 0 if letter_of(first) else 2
    yield "begin", begin, ["a small letter", "a capital", "a sign"][begin]


def of_url(url: bytes, words: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield the features of a URL, and of the words that its file's name shares with the text."""
    _, slash, path = re.split(b"[?#]", behind_scheme(url), maxsplit=1)[0].partition(b"/")
    folders, slash_of_name, name = (slash + path).rpartition(b"/")
    folders += slash_of_name
    stem, dot, ending = name.rpartition(b".")
    stem, ending = (stem, dot + ending) if stem else (name, b"")
    named = path_words(stem)[:16]
    for word in path_words(folders)[:16]:
        yield "word of a folder", naive_key(word), word.decode()
    yield "folders", min(folders.count(b"/"), 8), str(folders.count(b"/"))
    for word in named:
        yield "word of the file's name", naive_key(word), word.decode()
    yield "ending", naive_key(ending[:6].lower()), ending[:6].decode(errors="replace")
    grams = b"/" + re.sub(b"[0-9]", b"0", stem.lower() + b"/")[:49]
    for begin in range(len(grams) - 3):
        gram = grams[begin : begin + 4]
        yield "letters of the file's name", int.from_bytes(gram, "big"), gram.decode(errors="replace")
    share = 4 * sum(word.encode() in named for word in words) // max(len(words), 1)
    few = min(len(words), 7)
    yield "words of its file's name", 8 * share + few, f"{25 * share} % of {few}"


def behind_scheme(url: bytes) -> bytes:
    scheme, colon, _ = url.partition(b":")
    return url[len(scheme) + 3 :]


def path_words(path: bytes) -> list[bytes]:
    """Words of letters without escapes, in lower case; a capital behind a small letter begins a word."""
    plain = re.sub(b"%.{0,2}", b" ", path, flags=re.DOTALL)
    return [word.lower() for word in re.findall(b"[A-Z]+[a-z]*|[a-z]+", plain)]


def of_image(image: dict, few: int) -> Iterator[tuple[str, int, str]]:
    names = [name for name, bit in IMAGE_PLACES.items() if (image["signals"] or 0) & bit]
    numbers = [[*IMAGE_PLACES].index(name) for name in names]
    places, where = sum(1 << number for number in numbers), ", ".join(names) or "none"
    for name, number in zip(names, numbers, strict=True):
        yield "place", number, name
    yield "places", places, where
    yield "places and words", 8 * places + few, f"{where}; {few}"
    width, height = image["stated_width"], image["stated_height"]
    side = None if width is None or height is None else min(width, height)
    side_step = 0 if side is None else naive_step(side) + 1
    yield "places and side", 64 * places + side_step, f"{where}; {stated(side)}"
    for name, value in (("width", width), ("height", height), ("shown", image["shown"] or None)):
        yield name, 0 if value is None else naive_step(value) + 1, stated(value)
    if width is not None and height:
        yield "size", width * 65536 + height, f"{width} × {height}"
        yield "ratio", naive_step(16 * width // height), f"{width / height:.2f}"


def of_surroundings(number: int | None) -> Iterator[tuple[str, int, str]]:
    fields = [name for name, kind in NUMBER_OF.items() if kind >= NUMBER_OF["images beside it"]]
    divided = 1
    for name, size in zip(fields, SURROUNDINGS_SIZES, strict=True):
        if number is not None:
            value = number // divided % size
            yield name, value, str(value)
        divided *= size


def stated(number: int | None) -> str:
    return "not stated" if number is None else str(number)


def of_page(text: str, url: str, page: str, few: int) -> Iterator[tuple[str, int, str]]:
    _, slashes, rest = page.partition("://")
    host = re.split(r"[/?#\\]", rest)[0].rpartition("@")[2] if slashes else ""
    host = (host if host.startswith("[") else host.partition(":")[0]).rstrip(".")
    label = max(host.encode().split(b".")[:-1], key=len, default=b"")
    site = 1 + holds(text.encode()[:160], label) if page else 0
    same = behind_scheme(url.encode()).lower().startswith(host.encode().lower())
    host_number = (1 if same else 2) if page else 0
    yield "site", 8 * site + few, f"{['no page', 'is not in the text', 'is in the text'][site]}; {few}"
    yield "host", host_number, ["no page", "the host of the page", "another host than the page's"][host_number]
    yield "page", 8 * (page != "") + few, f"{'stated' if page else 'none'}; {few}"


def holds(text: bytes, label: bytes) -> bool:
    """Whether the letters and digits of a label stand in a text from one of its first bytes on, with signs between."""
    wanted = re.sub(b"[^0-9a-z\x80-\xff]", b"", label.lower())
    between = b"[^0-9a-z\x80-\xff]*"
    pattern = between.join(re.escape(bytes([byte])) for byte in wanted)
    found = re.search(pattern, text.lower(), re.DOTALL)
    return len(label) > 2 and wanted != b"" and found is not None and found.start() < LETTERS


def naive_sums(judge, features: Iterable[NaiveFeature]) -> list[int]:
    """Return the sum of the weights of features, by output."""
    return [
        sum(int(weight) for weight in column)
        for column in zip(*(judge.weights[each.number] for each in features), strict=True)
    ]


def naive_probabilities(judge, text: dict, image: dict) -> list[float]:
    """Return how probable each output is; what is left is the probability that a text describes its picture."""
    sums = naive_sums(judge, naive_features(text, image))
    odds = [math.exp(judge.step * number + bias) for number, bias in zip(sums, judge.bias, strict=True)]
    return [each / (1 + sum(odds)) for each in odds]


def naive_why(judge, output: int, text: dict, image: dict) -> str:
    """Return how probable an output is, and the three features that weigh most for it."""
    weight_of: Counter[str] = Counter()
    for feature in naive_features(text, image):
        weight_of[f"{feature.kind} {feature.value}"] += int(judge.weights[feature.number, output])
    said = ", ".join(name for name, weight in weight_of.most_common(3) if weight > 0)
    share = f"{min(int(100 * naive_probabilities(judge, text, image)[output]), 99)} %"
    return f"{share}: {said}" if said else share
