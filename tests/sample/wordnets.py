"""Wordnets: English as Princeton's dict files, some other languages as tab files of the Open Multilingual Wordnet."""

from collections import defaultdict
from itertools import zip_longest
from pathlib import Path

from tests.sample.texts import NO_SLOTS, sections

CODES = {
    **{"ar": "arb", "bg": "bul", "es": "spa", "fr": "fra", "he": "heb", "id": "ind", "ja": "jpn", "pl": "pol"},
    **{"pt": "por", "th": "tha", "zh": "cmn"},
}
PARTS = {
    "adj": "adj",
    "colour": "adj",
    "doing": "verb",
    "action": "verb",
    "place": "adv",
}  # of a slot; others are nouns
LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
LICENCE = "  1 This made-up wordnet has no licence, as its facts are not its own.  \n"


def write_wordnets(folder: Path) -> None:
    """Write the dict files of English into a folder of their own, and a tab file of each other language."""
    (folder / "dict").mkdir(exist_ok=True)
    for part, synsets in _english().items():
        lines = (_synset(number, LETTERS[part], words) for number, words in enumerate(synsets))
        (folder / "dict" / f"data.{part}").write_text(LICENCE + "".join(lines), "utf-8")
    for language, code in CODES.items():
        (folder / f"wn-data-{code}.tab").write_text(_tab(language, code), "utf-8")


def _english() -> dict[str, list[list[str]]]:
    """Return the synsets by part of speech: an item of a slot, by which the synset is called, with the next one."""
    parts = defaultdict(list)
    for slot, items in sections("en").items():
        if slot not in NO_SLOTS:
            pairs = zip_longest(items[::2], items[1::2])
            parts[PARTS.get(slot, "noun")] += [list(filter(None, pair)) for pair in pairs]
    return parts


def _synset(number: int, letter: str, words: list[str]) -> str:
    spelled = " ".join(f"{word.replace(' ', '_')} 0" for word in words)
    return f"{number:08} 03 {letter} {len(words):02x} {spelled} 000 | glossary  \n"


def _tab(language: str, code: str) -> str:
    """Return every other item as a lemma, under either of the keys that such files use, and definitions."""
    lines = [f"# Sample\t{code}\thttps://example.org\tCC0"]
    slots = [items for slot, items in sections(language).items() if slot not in NO_SLOTS]
    for number, item in enumerate(item for items in slots for item in items[::2]):
        synset, key = f"{number:08}-n", "lemma" if number % 5 else f"{code}:lemma"
        lines += [f"{synset}\t{key}\t{item}", f"{synset}\t{code}:def\t0\tglossary"]
    return "\n".join(lines) + "\n"
