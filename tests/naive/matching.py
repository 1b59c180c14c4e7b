"""Naive twins of matching: each rule set from its definition, in the plainest Python."""

import re
import unicodedata
from functools import cache

import regex

SPACELESS = r"[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}\p{scx=Tibt}]"

OPEN_MARKS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
OPEN_RANGES = [
    [int(bound, 16) for bound in both.split("–")]
    for both in """4E00–9FFF 3400–4DBF 20000–2A6DF 2A700–2B73F 2B740–2B81F 2B820–2CEAF 2CEB0–2EBEF F900–FAFF 2E80–2EFF
2F00–2FDF 2FF0–2FFF 0E00–0E7F 0E80–0EFF 1000–109F 1780–17FF 0F00–0FFF""".split()
]


def naive_form(text: str) -> str:
    text = text.replace("™", " ").replace("℠", " ")
    for apostrophe in "\u2018\u2019\u02bc\u00b4":
        text = text.replace(apostrophe, "'")
    text = unicodedata.normalize("NFKC", text)
    for apostrophe in "\u2018\u2019\u02bc":
        text = text.replace(apostrophe, "'")
    return text


@cache
def naive_kind(character: str) -> str:
    """A letter: space, punctuation, one of a spaceless script, mark, or any other part of a word."""
    category = unicodedata.category(character)
    if category == "Cn" or regex.match(r"\p{Cn}", character):
        return "w"
    if category[0] == "Z" or category == "Cc" or character in "\u200b\ufeff":
        return " "
    if category[0] in "PS":
        return "p"
    if category[0] == "M":
        return "m"
    if category != "Cf" and regex.match(SPACELESS, character):
        return "s"
    return "w"


def naive_symbols(text: str) -> list[str]:
    form = naive_form(text)
    kinds = "".join(map(naive_kind, form))
    return [form[found.start() : found.end()] for found in re.finditer("p|sm*|[wm]+", kinds)]


def naive_is_open(character: str) -> bool:
    return character in OPEN_MARKS or any(low <= ord(character) <= high for low, high in OPEN_RANGES)


def naive_meta_text(text: str) -> str:
    for mark in ",.:;?!`":
        text = text.replace(mark, f" {mark} ")
    for space in "\t\n\r":
        text = text.replace(space, " ")
    return f" {text} "


def naive_meta_entry(entry: str) -> str:
    return " " * (not naive_is_open(entry[0])) + entry + " " * (not naive_is_open(entry[-1]))


def naive_unicode_matches(texts: list[str | None], entries: list[str]) -> list[list[int] | None]:
    positions: dict[tuple, list[int]] = {}
    for position, entry in enumerate(entries):
        positions.setdefault(tuple(naive_symbols(entry)), []).append(position)
    longest = max(map(len, positions), default=0)

    def matches(text):
        found = set()
        symbols = naive_symbols(text)
        for begin in range(len(symbols)):
            for end in range(begin + 1, min(begin + longest, len(symbols)) + 1):
                found.update(positions.get(tuple(symbols[begin:end]), []))
        return sorted(found)

    return [None if text is None else matches(text) for text in texts]


def naive_meta_matches(texts: list[str | None], entries: list[str]) -> list[list[int] | None]:
    padded = [naive_meta_entry(entry) for entry in entries]

    def matches(text):
        return [position for position, entry in enumerate(padded) if entry in text]

    return [None if text is None else matches(naive_meta_text(text)) for text in texts]


def naive_matches(texts, entries, rules) -> list[list[int] | None]:
    return {"unicode": naive_unicode_matches, "meta": naive_meta_matches}[rules](texts, entries)
