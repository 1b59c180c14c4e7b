"""Find wordnet files and read the lemmas in them, with a table that has one row per published wordnet format.

To add a format, add a row to FORMATS and a module with two functions like those in `readers`. `lemmas` cleans the
lemmas that these functions find.
"""

from __future__ import annotations

import lzma
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from posixpath import basename

from metadata.languages import Language
from metadata.wordnet import readers
from metadata.wordnet.readers import EXPECTED, PARTS, WordnetFile, language_of
from runtime.errors import InputError
from runtime.storage.listing import expand


@dataclass(frozen=True)
class Format:
    """A format of wordnets: its file names, and functions that read it."""

    names: re.Pattern[str]
    codes: Callable[[str], list[str]]  # path → codes of the languages in the file
    lemmas: Callable[[WordnetFile, Counter, bool], Iterable[str]]  # file, tally, names of synsets only → lemmas


FORMATS = {
    "dict": Format(re.compile(r"data\.(noun|verb|adj|adv)"), readers.princeton_codes, readers.princeton_lemmas),
    "tab": Format(re.compile(r".+\.tab(\.(gz|bz2|xz))?"), readers.tab_codes, readers.tab_lemmas),
    "lmf": Format(re.compile(r".+\.xml(\.(gz|bz2|xz))?"), readers.lmf_codes, readers.lmf_lemmas),
}
_ARCHIVE = re.compile(r".+\.(?:zip|(tar)(?:\.(?:gz|bz2|xz))?)")
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


def find(paths: Iterable[str]) -> list[WordnetFile]:
    """Return the wordnet files that `paths` are or hold, each once; a path that is or holds none is refused."""
    return list(dict.fromkeys(file for path in paths for file in _of_path(str(path))))


def lemmas(file: WordnetFile, tally: Counter, names_only: bool = False) -> list[str]:
    """Return the distinct lemmas of `file`, in its order, spaced by spaces, and count what it holds in `tally`.

    `names_only` keeps the first lemma of each synset, by which the synset is called; Princeton's files and WN-LMF whose
    synsets list their members state it.
    """
    try:
        found = list(dict.fromkeys(FORMATS[file.form].lemmas(file, tally, names_only)))
    except _UNREADABLE as error:
        raise InputError(f"{file.path} cannot be read to its end ({error}); fetch it again") from error
    tally["lemmas"] += len(found)
    return found


def licences(files: Iterable[WordnetFile]) -> dict[str, str]:
    """Return the licence of each wordnet by its name, where a file states both; only tab files do, in line 1."""
    heads = (readers.tab_head(file.path) for file in files if file.form == "tab")
    return {head["name"]: head["licence"] for head in heads if "licence" in head}


def _of_path(path: str) -> Iterator[WordnetFile]:
    inside = {member: form for member in _members(path) if (form := _form(member))}
    names = {basename(member) for member in inside}
    if not inside:
        raise InputError(f"{path} holds no wordnet; {EXPECTED}")
    if len(inside) > 1 and 0 < len(PARTS & names) < len(PARTS):
        raise InputError(f"{path} lacks {sorted(PARTS - names)} of Princeton's dict files; fetch it again")
    for member, form in inside.items():
        yield from (WordnetFile(member, form, language) for language in _languages(member, form))


def _form(path: str) -> str | None:
    name = basename(path.partition("::")[0])
    return next((form for form, row in FORMATS.items() if row.names.fullmatch(name)), None)


def _members(path: str) -> list[str]:
    """Return the file `path` itself, or the files in the folder, glob or archive that it is, and in archives there."""
    try:
        found = expand(_inside(path))
        if found is None:
            raise InputError(f"no file or folder at {path}; {EXPECTED}")
        archives = [] if found.is_file else filter(_is_archive, found.paths)
        inside = [each for archive in map(expand, map(_inside, archives)) if archive for each in archive.paths]
    except (ValueError, ImportError, *_UNREADABLE) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be opened ({error}); {EXPECTED}") from error
    return sorted({*found.paths, *inside})


def _is_archive(path: str) -> bool:
    return "::" not in path and _ARCHIVE.fullmatch(path) is not None


def _inside(path: str) -> str:
    """Return the URL that stands for the files in an archive; the path itself of anything else."""
    found = _ARCHIVE.fullmatch(path)
    return f"{found[1] or 'zip'}://::{path}" if found else path


def _languages(path: str, form: str) -> list[Language]:
    """Return the languages of the file at `path`; all but WN-LMF hold one."""
    try:
        return list(dict.fromkeys(language_of(code) for code in FORMATS[form].codes(path)))
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({error}); fetch it again") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
