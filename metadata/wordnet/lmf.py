"""Read WN-LMF, the XML of the Global WordNet Association: the lexical entries of each lexicon."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from metadata.wordnet.files import EXPECTED, WordnetFile, language_of, opened
from metadata.wordnet.lemmas import kept_words
from runtime.errors import InputError

_LEXICON = re.compile(rb"<Lexicon(?:Extension)?\s[^>]*?\blanguage\s*=\s*[\"']([^\"']+)[\"']")


def codes(path: str) -> list[str]:
    """Return the language of each lexicon; the file is scanned in pieces that overlap by more than a lexicon's tag."""
    found: list[str] = []
    kept = b""
    with opened(path) as file:
        while piece := file.read(1 << 20):
            tags = list(_LEXICON.finditer(text := kept + piece))
            found += [tag[1].decode("utf-8", "replace") for tag in tags]
            kept = text[max(len(text) - (1 << 14), tags[-1].end() if tags else 0) :]
    if not found:
        raise InputError(f"XML without a Lexicon; {EXPECTED}")
    return found


def lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each lexical entry in the language of `file`; `names_only`: of those that name a synset."""
    for lexicon in _lexicons(file.path):
        if language_of(lexicon["language"]) != file.language:
            continue
        named = _namesakes(lexicon, tally) if names_only else None
        for entry in lexicon.get("entries", []):
            if not entry.get("external"):  # an entry of the lexicon that this one extends
                tally["lexical_entries"] += 1
                if named is None or entry["id"] in named:
                    yield from kept_words(entry["lemma"]["writtenForm"], file.language.code, tally)


def _namesakes(lexicon: Mapping[str, Any], tally: Counter) -> set[str] | None:
    """Return the ids of the entries that are the first member of a synset; None if no synset lists its members.

    Members are ids of entries in Open English WordNet, and may be ids of senses.
    """
    entry_of = {entry["id"]: entry["id"] for entry in lexicon.get("entries", [])}
    for entry in lexicon.get("entries", []):
        entry_of.update({sense["id"]: entry["id"] for sense in entry.get("senses", [])})
    members = [synset.get("members") for synset in lexicon.get("synsets", []) if not synset.get("external")]
    if unnamed := members.count(None) + members.count([]):
        tally["synsets_without_members"] += unnamed
    return {entry_of[each[0]] for each in members if each and each[0] in entry_of} or None


def _lexicons(path: str) -> Sequence[Mapping[str, Any]]:
    """Return the lexicons of a WN-LMF file, read by `wn`, which takes files that are not compressed."""
    from wn import Error, lmf  # here, as it brings an HTTP client along that nothing else needs

    with tempfile.NamedTemporaryFile(suffix=".xml") as plain:
        with opened(path) as file:
            shutil.copyfileobj(file, plain)
        plain.flush()
        try:
            return lmf.load(plain.name, progress_handler=None)["lexicons"]
        except (Error, AssertionError, LookupError, ValueError) as error:
            raise InputError(f"{path} is no WN-LMF that wn can read ({error}); see globalwordnet.github.io") from error
