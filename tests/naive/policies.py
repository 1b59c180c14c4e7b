"""The rules of policies from their definitions: one image or text at a time."""

import re
from urllib.parse import unquote_to_bytes

from curation.gate.image_rules import url_words
from metadata.languages import language
from tests.naive.text_kinds import naive_kinds

BITS = {"noai": 1, "noimageai": 2, "noml": 64, "tdm_reservation": 16, "data_noai": 32}
BITS |= {"robots": 128, "content_signal": 256, "ai_txt": 1024}


def naive_fails_image(rule: str, number: int | None, image: dict) -> bool:
    if rule in BITS:
        return (image["signals"] or 0) & BITS[rule] != 0
    if rule == "url_words":
        return any(word in url_words() for word in naive_url_words(image["url"] or ""))
    sides = [side for side in (image["stated_width"], image["stated_height"]) if side is not None]
    return bool(sides) and min(sides) < number


def naive_fails_text(rule: str, number: int | None, text: dict, image: dict) -> bool:
    if rule == "min_words":
        return naive_words(text["text"] or "", language(text["language"]).spaced) < number
    if rule == "equals_url":
        return naive_equals_url(text["text"], image["url"])
    return rule in naive_kinds(text["text"])


def path_of(url: str) -> str:
    return re.sub("[?#].*", "", url.partition("://")[2], flags=re.S).partition("/")[2]


def unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def naive_url_words(url: str) -> list[str]:
    path = "".join("x" if ord(each) > 127 else each for each in unescaped(path_of(url)))
    parts = re.findall("[A-Za-z]+", path)
    return [word.lower() for part in parts for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part)]


def naive_words(text: str, spaced: bool) -> int:
    if spaced:
        return len(text.split())
    foreign = [each for each in text if ord(each) > 127 and not each.isspace()]
    plain = "".join(each if ord(each) < 128 else " " for each in text)
    return len(plain.split()) + (len(foreign) + 1) // 2


def naive_equals_url(text: str | None, url: str | None) -> bool:
    if not text or not url:
        return False
    name = path_of(url).rpartition("/")[2]
    stem = name.rpartition(".")[0]
    return any(one and folded(text) == folded(one) for one in (url, name, stem))


def folded(text: str) -> str:
    lower = [(each, each.lower()) for each in unescaped(text)]
    return "".join(low if len(low) == 1 and low.isascii() == each.isascii() else each for each, low in lower)
