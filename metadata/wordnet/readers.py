"""Read wordnet files: Princeton's dict files, tab files of the Open Multilingual Wordnet, and WN-LMF.

For each format, one function returns the language codes of a file and another yields its lemmas.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.core import OpenFile

from metadata.languages import OTHER, Language, of_label, of_wordnet
from metadata.wordnet.lemmas import kept_words
from runtime.errors import InputError
from runtime.redaction import with_secrets

EXPECTED = "a wordnet is a folder, zip or tar with data.noun …, a tab file of OMW, or WN-LMF (.xml)"
PARTS = frozenset(f"data.{part}" for part in ("noun", "verb", "adj", "adv"))  # of Princeton's dict files

_LINE = re.compile(r"\d{8} \d\d [nvasr] [0-9a-f]{2} ")
_ADJECTIVE_MARKER = re.compile(r"\((a|p|ip)\)$")  # galore(ip): where in a phrase the adjective may stand
_KEY = re.compile(r"([a-z]{3}:)?lemma")  # not arb:lemma:root, als:def
_LEXICON = re.compile(rb"<Lexicon(?:Extension)?\s[^>]*?\blanguage\s*=\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True)
class WordnetFile:
    """One file of lemmas of one language; a file of WN-LMF with lexicons of two languages is two of these."""

    path: str  # a path or an fsspec URL, perhaps into an archive
    form: str  # a key of formats.FORMATS
    language: Language


def opened(path: str) -> OpenFile:
    """Return a context that opens a file, unpacked by its ending."""
    return fsspec.open(with_secrets(path), "rb", compression="infer")


def lines(path: str, tally: Counter) -> Iterator[str]:
    """Yield the lines of a file; those that are not UTF-8 are dropped, and counted."""
    with opened(path) as file:
        data = file.read()  # some MB: packed files are slow to iterate over
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        tally["lines"] += 1
        try:
            yield line.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            tally["dropped.encoding"] += 1


def language_of(code: str) -> Language:
    """Return the language that wordnets call `code`: ISO 639-3 in tab files, a tag such as pt-BR in WN-LMF."""
    plain = code.replace("_", "-").partition("-")[0].lower()
    by_label = of_label(plain)
    return of_wordnet(plain) if len(plain) == 3 or by_label is OTHER else by_label


def princeton_codes(path: str) -> list[str]:
    """Return the code of the one language that these files are of."""
    return ["eng"]


def princeton_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each synset line: `offset file type count word id word id … | gloss`, count in hex."""
    for line in lines(file.path, tally):
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition("|")[0].split(" ")
        count = int(fields[3], 16) if _LINE.match(line) else 0
        if not 0 < count <= (len(fields) - 4) // 2:
            tally["dropped.fields"] += 1
            continue
        tally["synsets"] += 1
        for word in fields[4 : 4 + 2 * (1 if names_only else count) : 2]:
            yield _ADJECTIVE_MARKER.sub("", word).replace("_", " ")


def tab_head(path: str) -> dict[str, str]:
    """Return what line 1 says (`# name TAB code TAB url TAB licence`); nothing where it is another line."""
    with opened(path) as file:
        head = file.readline().decode("utf-8-sig", "replace")
    fields = (field.strip() for field in head.removeprefix("#").split("\t"))
    return dict(zip(("name", "code", "url", "licence"), fields, strict=False)) if head.startswith("#") else {}


def tab_codes(path: str) -> list[str]:
    """Return the code in line 1, or else the one that ends the file's name."""
    if code := tab_head(path).get("code"):
        return [code]
    named = re.search(r"-([a-z]{3})\.tab", path)
    if not named:
        raise InputError(f"neither line 1 nor the name says the language; {EXPECTED}")
    return [named[1]]


def tab_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each line `synset TAB key TAB lemma` whose key says lemma."""
    for line in lines(file.path, tally):
        fields = line.split("\t")
        if line.startswith(("#", "\ufeff#")):
            continue
        if len(fields) < 3:
            tally["dropped.fields"] += 1
        elif not _KEY.fullmatch(fields[1]):
            tally["other_keys"] += 1
        else:
            yield from kept_words(fields[2], file.language.code, tally)


def lmf_codes(path: str) -> list[str]:
    """Return the language of each lexicon."""
    with opened(path) as file:
        found = _LEXICON.findall(file.read())
    if not found:
        raise InputError(f"XML without a Lexicon; {EXPECTED}")
    return [code.decode("utf-8", "replace") for code in found]


def lmf_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
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
