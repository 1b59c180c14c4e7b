"""Merging the sources of a language: order, owners, form, and what is left out with its reason."""

import random

import pytest

from metadata.build import NUMBERS, EntrySource, merged_entries
from metadata.rules import are_plain, is_plain, meta_entry, meta_text, normalise


def test_the_first_source_owns_an_entry_and_all_are_recorded():
    merged = merged_entries(
        "en",
        [
            EntrySource("numbers", NUMBERS[:2]),
            EntrySource("titles", ["dog", "1"], [9.0, 8.0]),
            EntrySource("x", ["dog"]),
        ],
    )
    assert merged.table().to_pylist() == [
        {"language": "en", "entry": "0", "sources": ["numbers"], "score": None},
        {"language": "en", "entry": "1", "sources": ["numbers", "titles"], "score": None},
        {"language": "en", "entry": "dog", "sources": ["titles", "x"], "score": 9.0},
    ]
    assert merged.by_source() == {"numbers": 2, "titles": 1}


def test_an_entry_that_a_source_brings_twice_is_recorded_once():
    assert merged_entries("fr", [EntrySource("titles", ["l’été", "l'été", "l'e\u0301te\u0301"])]).sources == {
        "l'été": ["titles"]
    }


@pytest.mark.parametrize(
    ("written", "reason"),
    [("", "empty"), (" \u3000", "empty"), ("x" * 257, "too_long"), ("...", "punctuation"), ("«»", "punctuation")],
)
def test_what_is_never_an_entry_is_listed_with_its_reason(written, reason):
    merged = merged_entries("en", [EntrySource("titles", [written])])
    assert merged.sources == {}
    assert merged.dropped == {reason: [written]}


def test_a_symbol_that_is_no_punctuation_is_an_entry():
    assert list(merged_entries("en", [EntrySource("titles", ["€", "+", "🐕"])]).sources) == ["€", "+", "🐕"]


ODD = [
    "dog",
    "Dog",
    "l’été",
    "l'été",
    "ＡＢＣ",
    "ABC",
    "e\u0301",
    "\u0301e",
    "...",
    "",
    "a\nb",
    "x" * 300,
    "7",
    "ʼn",
    "œ",
]


def naive_merge(sources):
    """Return [entry, sources, score] for each entry, and the dropped strings, one string after the other."""
    rows, dropped = {}, []
    for source in sources:
        for place, written in enumerate(source.entries):
            entry = " ".join(normalise(written).split())
            if entry in ("", "...") or len(entry) > 256:
                dropped.append(written)
                continue
            row = rows.setdefault(entry, [entry, [], source.scores[place] if source.scores else None])
            if source.name not in row[1]:
                row[1].append(source.name)
    return [*rows.values()], dropped


def test_random_sources_are_merged_as_one_string_after_the_other():
    chance = random.Random(0)
    for _ in range(200):
        sources = []
        for name in sorted(chance.choices("abc", k=4)):
            entries = chance.choices(ODD, k=chance.randrange(9))
            scores = [*map(float, range(len(entries)))] if chance.random() < 0.5 else None
            sources.append(EntrySource(name, entries, scores))
        merged = merged_entries("en", sources)
        rows, dropped = naive_merge(sources)
        assert [[*row.values()][1:] for row in merged.table().to_pylist()] == rows
        assert sorted(each for some in merged.dropped.values() for each in some) == sorted(dropped)
        firsts = [names[0] for _, names, _ in rows]
        assert merged.by_source() == {name: firsts.count(name) for name in dict.fromkeys(firsts)}


def test_plain_texts_are_told_alike_together_and_one_by_one():
    for texts in (ODD, ["dog", "Dog"], ["Ǆ"], ["aʼb"], []):
        assert are_plain(texts) == [is_plain(text) for text in texts]


def test_no_sources_give_an_empty_table():
    assert len(merged_entries("en", []).table()) == 0


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ("St. Louis", False),
        ("a , b", True),
        ("a, b", False),
        (", b", True),
        ("U.S.", False),
        ("a\tb", False),
        ("C++", True),
    ],
)
def test_what_the_meta_rules_can_never_find_is_left_out(entry, kept):
    assert (entry in merged_entries("en", [EntrySource("titles", [entry])], rules="meta").sources) == kept


@pytest.mark.slow
def test_whether_an_entry_can_match_under_meta_is_what_trying_texts_says():
    rng = random.Random(0)
    texts = ["".join(rng.choices("ab ,.\t", k=rng.randint(0, 6))) for _ in range(20_000)]
    entries = {"".join(rng.choices("ab ,.", k=rng.randint(1, 3))).strip() for _ in range(500)} - {
        "",
        ",",
        ".",
        ",.",
        ".,",
    }
    for entry in sorted(entries):
        found = any(meta_entry(entry) in meta_text(text) for text in texts)
        dropped = merged_entries("en", [EntrySource("titles", [entry])], rules="meta").dropped
        assert found == ("never_matches" not in dropped) or "punctuation" in dropped, entry
