"""Find wordnet files, and read clean lemmas from each format: Princeton's dict files, OMW's tab files, and WN-LMF.

To add a format, add a row to FORMATS with two functions: one returns the language codes of a file, the other yields
the file's lemmas, cleaned by `words` where the format needs it. The package clip-curation-wordnets, if installed, holds
wordnets whose licence permits it; tools/pack_wordnets.py makes the package.
"""

import html
import lzma
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from posixpath import basename
from typing import Any
from urllib.parse import unquote

import fsspec
from fsspec.core import OpenFile

from metadata.languages import OTHER, Language, of_label, of_wordnet
from runtime.errors import InputError
from runtime.packages import table_rows
from runtime.redaction import with_secrets
from runtime.storage.listing import expand
from runtime.tallies import Tally

PACKAGE, MODULE = "clip-curation-wordnets", "clip_curation_wordnets"

_INVISIBLE = "\u00ad\u200b\u200e\u200f\ufeff"  # without the joiners, which the spelling of Persian and Hindi needs

# Repairs are applied in the order of the table: a gloss is recognised only after the markup around it is removed.
_REPAIRS = [(re.compile(row["pattern"]), row["replacement"]) for row in table_rows("metadata", "wordnet_repairs.csv")]
_BETWEEN_WORDS = re.compile(r"[;|]|\s,|(?<!\d),(?=[^\d\s])")  # "Atlanta, Georgia" and "3,14" are not split
_ODD = re.compile(rf"[&%<|\[{{#:+!?*();,\"{_INVISIBLE}]|''")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")

_PLACEHOLDERS = {"GAP!", "PSEUDOGAP!"}
_LOST_LETTER = re.compile(r"\w\?+\w|[\s-]\?|\ufffd")  # sva?a, latón ?

# Dictionaries write these vowel signs, but captions omit them. Yiddish and Urdu keep theirs: their spelling needs some.
_ARABIC_POINTS = re.compile("[\u0640\u064b-\u0652\u0670]")
_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_POINTS = {"ar": _ARABIC_POINTS, "fa": _ARABIC_POINTS, "he": _HEBREW_POINTS}

EXPECTED_FORMATS = "a wordnet is a folder, zip or tar with data.noun …, a tab file of OMW, or WN-LMF (.xml)"
PRINCETON_FILES = frozenset(f"data.{part}" for part in ("noun", "verb", "adj", "adv"))  # of Princeton's dict files

_LINE = re.compile(r"\d{8} \d\d [nvasr] [0-9a-f]{2} ")
_ADJECTIVE_MARKER = re.compile(r"\((a|p|ip)\)$")  # as in galore(ip), which states where an adjective may stand
_KEY = re.compile(r"([a-z]{3}:)?lemma")  # other keys are arb:lemma:root and als:def, for example
_LEXICON = re.compile(rb"<Lexicon(?:Extension)?\s[^>]*?\blanguage\s*=\s*[\"']([^\"']+)[\"']")
_ARCHIVE = re.compile(r".+\.(?:zip|(tar)(?:\.(?:gz|bz2|xz))?)")
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class WordnetFile:
    """One file with the lemmas of one language; a WN-LMF file with lexicons in two languages gives two objects."""

    path: str  # a path or an fsspec URL, perhaps into an archive
    format: str  # a key of FORMATS
    language: Language


def unpacked_bytes(path: str) -> OpenFile:
    """Return a context manager that opens a file for reading bytes, decompressed by its ending."""
    return fsspec.open(with_secrets(path), "rb", compression="infer")


def lines_in(path: str, tally: Tally) -> Iterator[str]:
    """Yield the lines of a file without line ends; lines that are not UTF-8 are dropped and counted in `tally`."""
    with unpacked_bytes(path) as file:
        data = file.read()  # The file has some MB; iterating over a compressed file is slow.
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        tally["lines"] += 1
        try:
            yield line.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            tally["dropped", "encoding"] += 1


def language_of(code: str) -> Language:
    """Return the language of a wordnet's code: ISO 639-3 in tab files, a tag such as pt-BR in WN-LMF.

    InputError for an unknown code.
    """
    plain = code.replace("_", "-").partition("-")[0].lower()
    by_label = of_label(plain)
    return of_wordnet(plain) if len(plain) == 3 or by_label is OTHER else by_label


def princeton_lemmas(file: WordnetFile, tally: Tally, names_only: bool) -> Iterator[str]:
    """Yield the words of each synset, which is a line `offset file type count word id word id … | gloss`.

    The count of words is in hexadecimal. With `names_only` yield only the first word of each synset. `tally` counts
    synsets and dropped lines.
    """
    for line in lines_in(file.path, tally):
        if line.startswith("  "):  # Lines of the licence begin with two spaces.
            continue
        fields = line.partition("|")[0].split(" ")
        count = int(fields[3], 16) if _LINE.match(line) else 0
        if not 0 < count <= (len(fields) - 4) // 2:
            tally["dropped", "fields"] += 1
            continue
        tally["synsets"] += 1
        for word in fields[4 : 4 + 2 * (1 if names_only else count) : 2]:
            yield _ADJECTIVE_MARKER.sub("", word).replace("_", " ")


def tab_head(path: str) -> dict[str, str]:
    """Return name, code, url and licence as line 1 states them (`# name TAB code TAB url TAB licence`).

    The dictionary lacks fields that line 1 lacks, and is empty if line 1 does not begin with #.
    """
    with unpacked_bytes(path) as file:
        head = file.readline().decode("utf-8-sig", "replace")
    fields = (field.strip() for field in head.removeprefix("#").split("\t"))
    return dict(zip(("name", "code", "url", "licence"), fields, strict=False)) if head.startswith("#") else {}


def tab_codes(path: str) -> list[str]:
    """Return a list with the language code in line 1, or else in the file's name (-xxx.tab); InputError without one."""
    if code := tab_head(path).get("code"):
        return [code]
    named = re.search(r"-([a-z]{3})\.tab", path)
    if not named:
        raise InputError(f"neither line 1 nor the file's name states the language; {EXPECTED_FORMATS}")
    return [named[1]]


def tab_lemmas(file: WordnetFile, tally: Tally, names_only: bool) -> Iterator[str]:
    """Yield the words of each line `synset TAB key TAB lemma` whose key is `lemma` or `xxx:lemma`.

    `names_only` is ignored. `tally` counts dropped lines and lemmas.
    """
    for line in lines_in(file.path, tally):
        fields = line.split("\t")
        if line.startswith(("#", "\ufeff#")):
            continue
        if len(fields) < 3:
            tally["dropped", "fields"] += 1
        elif not _KEY.fullmatch(fields[1]):
            tally["other_keys"] += 1
        else:
            yield from kept_words(fields[2], file.language.code, tally)


def lmf_codes(path: str) -> list[str]:
    """Return the language code of each lexicon in a WN-LMF file; InputError if there is no lexicon."""
    with unpacked_bytes(path) as file:
        codes = _LEXICON.findall(file.read())
    if not codes:
        raise InputError(f"the XML does not have a Lexicon; {EXPECTED_FORMATS}")
    return [code.decode("utf-8", "replace") for code in codes]


def lmf_lemmas(file: WordnetFile, tally: Tally, names_only: bool) -> Iterator[str]:
    """Yield the words of each lexical entry in the language of `file`; `tally` counts entries and dropped lemmas.

    With `names_only`, yield only words of entries that are the first member of a synset. If no synset of a lexicon
    lists members, yield the words of all its entries.
    """
    for lexicon in _lexicons(file.path):
        if language_of(lexicon["language"]) != file.language:
            continue
        named = _namesakes(lexicon, tally) if names_only else None
        for entry in lexicon.get("entries", []):
            if not entry.get("external"):  # An external entry belongs to the lexicon that this lexicon extends.
                tally["lexical_entries"] += 1
                if named is None or entry["id"] in named:
                    yield from kept_words(entry["lemma"]["writtenForm"], file.language.code, tally)


def _namesakes(lexicon: Mapping[str, Any], tally: Tally) -> set[str] | None:
    """Return the ids of entries that name a synset, being its first member; None if there are no such entries.

    A synset's members are ids of entries (as in Open English WordNet) or of senses. `tally` counts synsets without
    members.
    """
    entry_of = {entry["id"]: entry["id"] for entry in lexicon.get("entries", [])}
    for entry in lexicon.get("entries", []):
        entry_of.update({sense["id"]: entry["id"] for sense in entry.get("senses", [])})
    members = [synset.get("members") for synset in lexicon.get("synsets", []) if not synset.get("external")]
    if unnamed := members.count(None) + members.count([]):
        tally["synsets_without_members"] += unnamed
    return {entry_of[ids[0]] for ids in members if ids and ids[0] in entry_of} or None


def _lexicons(path: str) -> Sequence[Mapping[str, Any]]:
    """Return the lexicons of a WN-LMF file, read by `wn` from an uncompressed copy; InputError if `wn` cannot."""
    from wn import Error, lmf  # This import is here because it imports an HTTP client.

    with tempfile.NamedTemporaryFile(suffix=".xml") as plain:
        with unpacked_bytes(path) as file:
            shutil.copyfileobj(file, plain)
        plain.flush()
        try:
            return lmf.load(plain.name, progress_handler=None)["lexicons"]
        except (Error, AssertionError, LookupError, ValueError) as error:
            raise InputError(
                f"{path} is not a WN-LMF file that wn can read ({error}); see globalwordnet.github.io for the format"
            ) from error


@dataclass(frozen=True)
class WordnetFormat:
    """A format of wordnets: the pattern of its file names, and the two functions that read its files."""

    names: re.Pattern[str]
    codes: Callable[[str], list[str]]  # path → codes of the languages in the file
    lemmas: Callable[[WordnetFile, Tally, bool], Iterable[str]]  # (file, tally, names_only) → lemmas


FORMATS = {
    "dict": WordnetFormat(re.compile(r"data\.(noun|verb|adj|adv)"), lambda _: ["eng"], princeton_lemmas),
    "tab": WordnetFormat(re.compile(r".+\.tab(\.(gz|bz2|xz))?"), tab_codes, tab_lemmas),
    "lmf": WordnetFormat(re.compile(r".+\.xml(\.(gz|bz2|xz))?"), lmf_codes, lmf_lemmas),
}


def find(paths: Iterable[str]) -> list[WordnetFile]:
    """Return the wordnet files at `paths`, which are files, folders, globs, archives or URLs, each once.

    InputError for a path without wordnet files.
    """
    return list(dict.fromkeys(chain.from_iterable(map(_of_path, map(str, paths)))))


def lemmas(file: WordnetFile, tally: Tally, names_only: bool = False) -> list[str]:
    """Return the distinct lemmas of `file`, in the file's order and with spaces instead of underscores.

    `names_only` keeps only the first lemma of each synset, which names the synset. Only dict files, and WN-LMF files
    whose synsets list members, tell which lemma is the first; other files give all lemmas. `tally` counts the lemmas
    read and dropped. InputError if the file cannot be read to its end.
    """
    try:
        distinct = list(dict.fromkeys(FORMATS[file.format].lemmas(file, tally, names_only)))
    except _UNREADABLE as error:
        raise InputError(f"{file.path} cannot be read to its end ({error}); fetch it again") from error
    tally["lemmas"] += len(distinct)
    return distinct


def licences(files: Iterable[WordnetFile]) -> dict[str, str]:
    """Return the licence of each wordnet by the wordnet's name, from line 1 of tab files; other files state none."""
    heads = (tab_head(file.path) for file in files if file.format == "tab")
    return {head["name"]: head["licence"] for head in heads if "licence" in head}


def package_folder() -> str | None:
    """Return the folder of the package clip-curation-wordnets; None if the package is not installed."""
    spec = find_spec(MODULE)
    return str(Path(spec.origin).parent) if spec and spec.origin else None


def package_versions(paths: Iterable[str]) -> dict[str, str]:
    """Return {package name: version} of clip-curation-wordnets if one of `paths` is in that package, else {}."""
    folder = package_folder()
    return {PACKAGE: version(PACKAGE)} if folder and any(path.startswith(folder) for path in paths) else {}


def _of_path(path: str) -> Iterator[WordnetFile]:
    formats = {member: _format(member) for member in _members(path)}
    inside = {member: format for member, format in formats.items() if format}
    names = {basename(member) for member in inside}
    if not inside:
        raise InputError(f"{path} does not hold a wordnet; {EXPECTED_FORMATS}")
    if len(inside) > 1 and 0 < len(PRINCETON_FILES & names) < len(PRINCETON_FILES):
        raise InputError(f"{path} lacks {sorted(PRINCETON_FILES - names)} of Princeton's dict files; download it again")
    for member, format in inside.items():
        yield from (WordnetFile(member, format, language) for language in _languages(member, format))


def _format(path: str) -> str | None:
    name = basename(path.partition("::")[0])
    return next((format for format, row in FORMATS.items() if row.names.fullmatch(name)), None)


def _members(path: str) -> list[str]:
    """Return the sorted paths of all files at `path`: the file itself, or the files in a folder, glob or archive.

    Files in archives in the folder are included. InputError if `path` does not exist or cannot be opened.
    """
    try:
        contents = expand(_inside(path))
        if contents is None:
            raise InputError(f"there is no file or folder at {path}; {EXPECTED_FORMATS}")
        in_folder = [] if contents.is_file else contents.paths
        archives = (file for file in in_folder if "::" not in file and _ARCHIVE.fullmatch(file))
        opened = filter(None, map(expand, map(_inside, archives)))
        inside = [*chain.from_iterable(archive.paths for archive in opened)]
    except (ValueError, ImportError, *_UNREADABLE) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be opened ({error}); {EXPECTED_FORMATS}") from error
    return sorted({*contents.paths, *inside})


def _inside(path: str) -> str:
    """Return the fsspec URL of the files in an archive, such as zip://::PATH; for other files, return `path`."""
    match = _ARCHIVE.fullmatch(path)
    return f"{match[1] or 'zip'}://::{path}" if match else path


def _languages(path: str, format: str) -> list[Language]:
    """Return the distinct languages of the file at `path`, several only for WN-LMF; `format` is a key of FORMATS."""
    try:
        return list(dict.fromkeys(language_of(code) for code in FORMATS[format].codes(path)))
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def refusal_of_lemma(lemma: str) -> str | None:
    """Return the reason why `lemma` is not a word (placeholder or lost_letter), or None if it may be one.

    >>> refusal_of_lemma("GAP!"), refusal_of_lemma("sva?a"), refusal_of_lemma("wat is je baan?")
    ('placeholder', 'lost_letter', None)
    """
    if lemma in _PLACEHOLDERS:
        return "placeholder"
    odd = "?" in lemma or "\ufffd" in lemma  # Without these, the slower pattern cannot match.
    return "lost_letter" if odd and _LOST_LETTER.search(lemma) else None


def kept_words(lemma: str, language: str, tally: Tally) -> list[str]:
    """Return the words in a lemma; if it has none, count the lemma in `tally` by the reason why it is dropped.

    `language` is a metadata code.
    """
    reason = refusal_of_lemma(lemma)
    kept = [] if reason else words_of_lemma(lemma, language)
    if not kept:
        tally["dropped", reason or "empty"] += 1
    return kept


def words_of_lemma(lemma: str, language: str) -> list[str]:
    """Return the cleaned words, often one, perhaps none, in a lemma of a wordnet of `language` (a metadata code).

    The repairs are for the Open Multilingual Wordnet, which has many contributors: remnants of wiki markup and HTML
    (French), glosses in parentheses (Slovak), several words in one field (Thai), morpheme signs (Chinese), placeholders
    for English words without an equivalent (Italian, Hebrew), vowel points that nobody types (Hebrew, Arabic).

    >>> words_of_lemma("morse_(animal)|fr:morse", "fr"), words_of_lemma("napeti,napenjati", "sl")
    (['morse'], ['napeti', 'napenjati'])
    >>> words_of_lemma("(Ath", "is")
    []
    """
    if lemma.isalnum() and language not in _POINTS:
        return [lemma]
    lemma = lemma.replace("_", " ")
    if language in _POINTS:
        lemma = _POINTS[language].sub("", lemma)
    parts = _repaired(lemma) if _ODD.search(lemma) else [lemma]
    spaced = (" ".join(part.split()) for part in parts)
    return [part for part in spaced if part]


def _repaired(lemma: str) -> list[str]:
    lemma = _unescaped(lemma)
    for pattern, replacement in _REPAIRS:
        lemma = pattern.sub(replacement, lemma).strip()
    return [*map(_without_stray_quote, _BETWEEN_WORDS.split(lemma))]


def _without_stray_quote(part: str) -> str:
    """Return a word without a quotation mark at its start or end that has no partner; the one inside דו"ח is kept."""
    return part.strip('" ') if part.count('"') == 1 else part


def _unescaped(lemma: str) -> str:
    while lemma != (once := html.unescape(lemma)):  # mo&amp;amp;#269;virniki is escaped three times.
        lemma = once
    return unquote(lemma) if _ESCAPED.search(lemma) else lemma
