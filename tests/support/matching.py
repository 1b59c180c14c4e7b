"""Texts and entries that provoke trouble, and the ways to a finder."""

from functools import cache
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

from curation.matching.matcher import Matcher
from tests.naive.matching import naive_matches

RULES = ("unicode", "meta")
ENTRIES = ["dog", "a dog", "a", "été", "犬", "C++", "d", "dog", "กา", " "]
TEXTS = ["a dog", None, "", "l'été", "犬C++ กา", "no", "dog!", "hot-dog's \u200bdog", "﻿ a  dog a"]
# What provokes trouble: every class of character, and what normalising makes of it.
NASTY = [
    *"aab e.,!'`-_$ \t\n\r\x00\x1f\x7f\xa0",
    *"\u2018\u2019\u02bc\u00b4\u2032™℠®\u0149\ufb01ﬀ½²",  # apostrophes, signs, ligatures
    *"\u0301\u0323\u0327\u0345\u20dd\u0900\u3099\uff9e",  # marks, of several combining classes
    *"é\u1e9b\u0344\u0958\u2126\u212b\u0958",
    *"\u00ad\u200b\u200c\u200d\u2060\ufeff\u180e\U000e0001",  # format characters
    *"犬々〆ーラﾗﾊﾟ、。「（！ａ～\u3000\u3031\ufa1e\u2e80\u2fd5",
    *"กาำ\u0e31ໍາ\u0eb3ကြ\u1039\u200dខ្មែ\u17b4བོད\u0f0b\u0f73\u0f43",
    *"한\u1100\u1161\u11a8\u3131ᅟ",
    *"дЁѣשׁ\ufb2aعربي\ufdfa\ufefbहि",
    *"\U0002000b\U0001f600\U0001d400\U0010ffff\ue000\U000f0000\u0378\uffff\ufdd0",
]
CHARACTERS = st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"])
# ASCII words of all lengths, so that texts meet the loops over bytes at a time at each of their seams.
PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "word",
        "sevenlt",
        "eightlet",
        "ninelette",
        "sixteen-letters",
        "x" * 15,
        "x" * 16,
        "y" * 65,
        " ",
        " ",
    ]
    + [" ", "  ", "     ", ". ", ", ", "'", "-", "é", "犬", "ﬁ", "\x00"]
)
LINES = st.lists(CHARACTERS, max_size=30).map("".join) | st.lists(PIECES, max_size=40).map("".join)


@st.composite
def texts_and_entries(draw):
    """Texts, some of them null, and entries of which most are cut from the texts."""
    texts = draw(st.lists(st.none() | LINES, max_size=6))
    sources = [text for text in texts if text] + ["a犬 "]

    def cut():
        text = draw(st.sampled_from(sources))
        begin = draw(st.integers(0, len(text) - 1))
        return text[begin : begin + draw(st.integers(1, 12) | st.just(10_000))]

    entries = [cut() for _ in range(draw(st.integers(0, 12)))] + draw(st.lists(LINES.filter(bool), max_size=4))
    return texts, entries


def saved(matcher: Matcher, folder: Path) -> Matcher:
    matcher.save(folder)
    return Matcher.open(folder)


def large(texts) -> pa.Array:
    return pa.array(texts, pa.large_string())


def answers(finder, texts) -> list:
    return finder.find(texts).to_pylist()


def expected(texts: list, entries: list, rules: str) -> list:
    """Return the answers of the naive twin, which is slow and so is asked once for all engines."""
    return _expected(tuple(texts), tuple(entries), rules)


@cache
def _expected(texts: tuple, entries: tuple, rules: str) -> list:
    return naive_matches(list(texts), list(entries), rules)
