"""Wordnet files, as they are distributed, to the lemmas in them.

Three forms: Princeton's dict files (data.noun …), the tab files of the Open Multilingual Wordnet, and WN-LMF (XML).
What stands in a lemma's field besides words is a matter of `lemmas`.
"""

import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from posixpath import basename

import fsspec

from metadata.languages import OTHER, Language, of_label, of_wordnet
from metadata.wordnet.lemmas import refusal, words
from runtime.errors import InputError
from runtime.storage.listing import expand

_DICT_PARTS = {f"data.{part}" for part in ("noun", "verb", "adj", "adv")}
_FORMS = {  # of a file, by its name
    "dict": re.compile(r"data\.(noun|verb|adj|adv)"),
    "tab": re.compile(r".+\.tab(\.(gz|bz2|xz))?"),
    "lmf": re.compile(r".+\.xml(\.(gz|bz2|xz))?"),
}
_EXPECTED = "a wordnet is a folder or zip with data.noun …, a tab file of OMW, or WN-LMF (.xml)"
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile)

_DICT_LINE = re.compile(r"\d{8} \d\d [nvasr] [0-9a-f]{2} ")
_ADJECTIVE_MARKER = re.compile(r"\((a|p|ip)\)$")  # galore(ip): where in a phrase the adjective may stand
_TAB_KEY = re.compile(r"([a-z]{3}:)?lemma")  # not arb:lemma:root, als:def
_LEXICON = re.compile(rb"<Lexicon(?:Extension)?\s[^>]*?\blanguage\s*=\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True)
class WordnetFile:
    """One file of lemmas of one language; a file of WN-LMF with lexicons of two languages is two of these."""

    path: str  # a path or an fsspec URL, perhaps into a zip
    form: str  # dict, tab or lmf
    language: Language


def find(paths: Iterable[str]) -> list[WordnetFile]:
    """Return the wordnet files that `paths` are or hold, each once; a path that is or holds none is refused."""
    return list(dict.fromkeys(file for path in paths for file in _of_path(str(path))))


def lemmas(file: WordnetFile, tally: Counter, names_only: bool = False) -> list[str]:
    """Return the distinct lemmas of `file`, in its order, spaced by spaces, and count what it holds in `tally`.

    `names_only` keeps the first lemma of each synset, by which the synset is called; only dict files tell it.
    """
    try:
        found = list(dict.fromkeys(_READERS[file.form](file, tally, names_only)))
    except _UNREADABLE as error:
        raise InputError(f"{file.path} cannot be read to its end ({error}); fetch it again") from error
    tally["lemmas"] += len(found)
    return found


def _of_path(path: str) -> Iterator[WordnetFile]:
    inside = [member for member in _members(path) if _form(member)]
    names = {basename(member) for member in inside}
    if not inside:
        raise InputError(f"{path} holds no wordnet; {_EXPECTED}")
    if len(inside) > 1 and 0 < len(_DICT_PARTS & names) < len(_DICT_PARTS):
        raise InputError(f"{path} lacks {sorted(_DICT_PARTS - names)} of Princeton's dict files; fetch it again")
    for member in inside:
        yield from (WordnetFile(member, _form(member), language) for language in _languages(member))


def _form(path: str) -> str | None:
    return next((form for form, name in _FORMS.items() if name.fullmatch(basename(path.partition("::")[0]))), None)


def _members(path: str) -> list[str]:
    """Return the file `path` itself, or the files in the folder, glob or zip that it is."""
    try:
        found = expand(f"zip://::{path}" if path.endswith(".zip") else path)
    except (ValueError, ImportError, *_UNREADABLE) as error:
        raise InputError(f"{path} cannot be opened ({error}); {_EXPECTED}") from error
    if found is None:
        raise InputError(f"no file or folder at {path}; {_EXPECTED}")
    return sorted(found.paths)


def _open(path: str):
    return fsspec.open(path, "rb", compression="infer")


def _languages(path: str) -> list[Language]:
    """Return the languages of the file at `path`; all but WN-LMF hold one."""
    try:
        codes = {"dict": _dict_codes, "tab": _tab_codes, "lmf": _lmf_codes}[_form(path)](path)
        return list(dict.fromkeys(_language(code) for code in codes))
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _language(code: str) -> Language:
    """Return the language that wordnets call `code`: ISO 639-3 in tab files, a tag such as pt-BR in WN-LMF."""
    plain = code.replace("_", "-").partition("-")[0].lower()
    by_label = of_label(plain)
    return of_wordnet(plain) if len(plain) == 3 or by_label is OTHER else by_label


def _dict_codes(path: str) -> list[str]:
    return ["eng"]


def _tab_codes(path: str) -> list[str]:
    """Return the code in line 1 (`# name TAB code TAB url TAB licence`), or else the one that ends the file's name."""
    with _open(path) as file:
        head = file.readline().decode("utf-8-sig", "replace").split("\t")
    if head[0].startswith("#") and len(head) > 1:
        return [head[1].strip()]
    named = re.search(r"-([a-z]{3})\.tab", path)
    if not named:
        raise InputError(f"neither line 1 nor the name says the language; {_EXPECTED}")
    return [named[1]]


def _lmf_codes(path: str) -> list[str]:
    """Return the language of each lexicon; the file is scanned in pieces that overlap by more than a lexicon's tag."""
    codes, kept = [], b""
    with _open(path) as file:
        while piece := file.read(1 << 20):
            found = list(_LEXICON.finditer(text := kept + piece))
            codes += [match[1].decode("utf-8", "replace") for match in found]
            kept = text[max(len(text) - (1 << 14), found[-1].end() if found else 0) :]
    if not codes:
        raise InputError(f"XML without a Lexicon; {_EXPECTED}")
    return codes


def _lines(path: str, tally: Counter) -> Iterator[str]:
    with _open(path) as file:
        for line in file:
            tally["lines"] += 1
            try:
                yield line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                tally["dropped.encoding"] += 1


def _dict_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each synset line: `offset file type count word id word id … | gloss`, count in hex."""
    for line in _lines(file.path, tally):
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition("|")[0].split(" ")
        count = int(fields[3], 16) if _DICT_LINE.match(line) else 0
        if not 0 < count <= (len(fields) - 4) // 2:
            tally["dropped.fields"] += 1
            continue
        tally["synsets"] += 1
        for word in fields[4 : 4 + 2 * (1 if names_only else count) : 2]:
            yield _ADJECTIVE_MARKER.sub("", word).replace("_", " ")


def _tab_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each line `synset TAB key TAB lemma` whose key says lemma."""
    for line in _lines(file.path, tally):
        fields = line.split("\t")
        if line.startswith(("#", "\ufeff#")):
            continue
        if len(fields) < 3:
            tally["dropped.fields"] += 1
        elif not _TAB_KEY.fullmatch(fields[1]):
            tally["other_keys"] += 1
        else:
            yield from _words(fields[2], file.language, tally)


def _lmf_lemmas(file: WordnetFile, tally: Counter, names_only: bool) -> Iterator[str]:
    """Yield the words of each lexical entry in the language of `file`."""
    for lexicon in _lexicons(file.path):
        if _language(lexicon["language"]) != file.language:
            continue
        for entry in lexicon.get("entries", []):
            if not entry.get("external"):  # an entry of the lexicon that this one extends
                tally["lexical_entries"] += 1
                yield from _words(entry["lemma"]["writtenForm"], file.language, tally)


def _lexicons(path: str) -> list[dict]:
    """Return the lexicons of a WN-LMF file, read by `wn`, which takes files that are not compressed."""
    from wn import Error, lmf  # here, as it brings an HTTP client along that nothing else needs

    with tempfile.NamedTemporaryFile(suffix=".xml") as plain:
        with _open(path) as file:
            shutil.copyfileobj(file, plain)
        plain.flush()
        try:
            return lmf.load(plain.name, progress_handler=None)["lexicons"]
        except (Error, AssertionError, LookupError, ValueError) as error:
            raise InputError(f"{path} is no WN-LMF that wn can read ({error}); see globalwordnet.github.io") from error


def _words(lemma: str, language: Language, tally: Counter) -> list[str]:
    reason = refusal(lemma)
    found = [] if reason else words(lemma, language.code)
    if not found:
        tally[f"dropped.{reason or 'empty'}"] += 1
    return found


_READERS = {"dict": _dict_lemmas, "tab": _tab_lemmas, "lmf": _lmf_lemmas}
