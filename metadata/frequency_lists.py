"""Find and read frequency lists, the words of a language with their frequencies, from files or the package wordfreq.

The frequency of a word is its Zipf value: the decimal logarithm of its occurrences per billion words. Each line of a
file is a word, a tab and a number. The first line may name the numbers: `count` (the default), `zipf` or `rank`. A
count is divided by the sum of all counts in the file. Ranks give no frequency, so all words of a ranked list are taken.

Matching is sensitive to case, and a list in lower case lacks the capitals of names. So in a list without any capital
letter, each word also gives an entry that begins with a capital: `istanbul` gives `istanbul` and `İstanbul`.
"""

import lzma
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, compress, repeat
from operator import ne
from pathlib import PurePosixPath
from typing import TypeVar

import fsspec

from metadata.languages import OTHER, Language, of_label, of_tag
from runtime.errors import InputError
from runtime.messages import quoted
from runtime.packages import require_packages
from runtime.redaction import with_secrets
from runtime.storage.listing import expand, without_query
from runtime.tallies import Tally

WORDFREQ = "wordfreq"  # the package, and the argument that names its lists
LICENCE = "CC BY-SA 4.0"  # the licence of wordfreq's lists, as the package states it
EXPECTED_LIST = (
    "a frequency list has a word, a tab and a number on each line, and may have the heading `word`, a tab and `count`, "
    "`zipf` or `rank`"
)
_KINDS = ("count", "zipf", "rank")
_NAMES = re.compile(r".+\.(tsv|txt)(\.(gz|bz2|xz))?")
_ONE_LIST = {"sh": ("sh", "bs", "hr", "sr")}  # code in wordfreq → the languages that share this list
_NUMERAL = re.compile(r"\d[\d.,]")  # wordfreq writes each digit of a long number as 0: 00 is any number of two digits
_DOTTED = ("az", "crh", "gag", "tr")  # languages in which the capital of i is İ

T = TypeVar("T")
Rated = tuple[list[str], list[float] | None]  # words, the most frequent first, and their Zipf values; None for ranks


@dataclass(frozen=True)
class FrequencyList:
    """The frequency list of a language in a file.

    `read(path, least, tally)` returns the words with a Zipf value of at least `least`, and their Zipf values.
    """

    path: str
    language: Language
    read: Callable[[str, float, Tally], Rated]

    @property
    def source(self) -> str:
        """The name of the list's source: `wordfreq`, or the path of the file."""
        return WORDFREQ if self.read is _read_package else self.path

    @property
    def licence(self) -> str | None:
        """The licence of the list; None for a file, which states none."""
        return LICENCE if self.source == WORDFREQ else None


def find(arguments: Iterable[str]) -> list[FrequencyList]:
    """Return the lists, each once, that arguments name: `wordfreq`, a file, a folder, or LANGUAGE=PATH.

    InputError for a path without a list, or if neither the argument nor the path names a language.
    """
    lists: list[FrequencyList] = []
    for argument in map(str, arguments):
        lists += _of_package() if argument == WORDFREQ else _of_path(argument)
    return list(dict.fromkeys(lists))


def words_of_list(frequency_list: FrequencyList, least: float, tally: Tally) -> Rated:
    """Return the words of a list with a Zipf value of at least `least`, the most frequent first, and their Zipf values.

    In a list without capitals, each word is followed by the same word with a capital, if that differs. A ranked list
    gives all its words, and None instead of the values. `tally` counts words, and dropped lines or words by reason.
    """
    listed, zipf = frequency_list.read(frequency_list.path, least, tally)
    tally["words"] += len(listed)
    if any(map(ne, listed, map(str.lower, listed))):
        return listed, zipf
    first_letters = {word[0] for word in listed}
    capitals = {first: capitalised(first, frequency_list.language.code) for first in first_letters}
    cased = [capitals[word[0]] + word[1:] for word in listed]
    is_new = [*_in_turns(repeat(True), map(ne, listed, cased))]
    return [*compress(_in_turns(listed, cased), is_new)], zipf and [*compress(_in_turns(zipf, zipf), is_new)]


def _in_turns(first: Iterable[T], second: Iterable[T]) -> Iterator[T]:
    return chain.from_iterable(zip(first, second))  # noqa: B905  # One of the two may be endless.


def capitalised(word: str, code: str) -> str:
    """Return a word of the language `code` with a capital as its first letter.

    >>> capitalised("istanbul", "tr"), capitalised("istanbul", "en"), capitalised("東京", "ja")
    ('İstanbul', 'Istanbul', '東京')
    """
    first = "İ" if word[0] == "i" and code in _DOTTED else word[0].title()
    return first + word[1:]


def _of_package() -> Iterator[FrequencyList]:
    require_packages([WORDFREQ])
    from wordfreq import available_languages

    for code, path in sorted(available_languages().items()):
        for language in map(of_label, _ONE_LIST.get(code, (code,))):
            if language is not OTHER:
                yield FrequencyList(str(path), language, _read_package)


def _read_package(path: str, least: float, tally: Tally) -> Rated:
    from wordfreq import read_cBpack

    words: list[str] = []
    zipf: list[float] = []
    # Item i of the list has the words whose frequency is i centibels below a share of 1 of all words.
    for centibels, alike in enumerate(read_cBpack(path)):
        value = (900 - centibels) / 100
        if value < least:
            break
        kept = [word for word in alike if not ("0" in word and _NUMERAL.search(word))]
        tally["dropped", "numeral"] += len(alike) - len(kept)
        words += kept
        zipf += [value] * len(kept)
    return words, zipf


def _of_path(argument: str) -> Iterator[FrequencyList]:
    code, equals, path = argument.partition("=")
    language = of_tag(code) if equals else None
    path = path if language else argument
    contents = expand(path)
    if contents is None:
        raise InputError(f"there is no file or folder at {path}; {EXPECTED_LIST}")
    paths = [file for file in contents.paths if contents.is_file or _NAMES.fullmatch(_name(file))]
    if not paths:
        raise InputError(f"{path} holds no .tsv or .txt file; {EXPECTED_LIST}")
    for file in paths:
        yield FrequencyList(file, language or _language_of(file), _read_file)


def _name(path: str) -> str:
    return PurePosixPath(without_query(path)).name


def _language_of(path: str) -> Language:
    """Return the language in the name of a file or its folder: en.tsv, en-news.tsv.gz, news_en.tsv, en/a.tsv.

    InputError if there is none.
    """
    stem = _name(path).partition(".")[0]
    parts = re.split("[-_]", stem)
    for name in (stem, parts[0], parts[-1], PurePosixPath(path).parent.name):
        if language := of_tag(name):
            return language
    raise InputError(
        f"neither the name of {path} nor the name of its folder states a language; call it en.tsv, for example, or "
        f"pass LANGUAGE={path}"
    )


def _read_file(path: str, least: float, tally: Tally) -> Rated:
    try:
        with fsspec.open(with_secrets(path), "rb", compression="infer") as file:
            lines = file.read().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save the list as UTF-8") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({error}); {EXPECTED_LIST}") from error
    kind, rows = _rows(path, lines, tally)
    if kind == "rank":
        return [word for word, _ in sorted(rows, key=lambda row: (row[1], row[0]))], None
    if kind == "count":
        total = math.fsum(count for _, count in rows)
        rows = [(word, math.log10(count / total) + 9) for word, count in rows]
    rows = sorted((row for row in rows if row[1] >= least), key=lambda row: (-row[1], row[0]))
    return [word for word, _ in rows], [zipf for _, zipf in rows]


def _rows(path: str, lines: list[str], tally: Tally) -> tuple[str, list[tuple[str, float]]]:
    """Return the kind of a file's numbers (count, zipf or rank), and each word with its number.

    Lines without a word and a valid number are dropped and counted in `tally`. InputError if no line is left.
    """
    head = lines[0].split("\t")
    kind = "count"
    if len(head) > 1 and _number(head[1]) is None:
        kind = head[1].strip().lower()
        lines = lines[1:]
        if kind not in _KINDS:
            raise InputError(f"the heading of the numbers in {path} is {quoted(head[1])!r}; {EXPECTED_LIST}")
    rows = []
    for line in filter(None, lines):
        word, number = (*line.split("\t"), "")[:2]
        value = _number(number)
        if word.strip() and value is not None and (value > 0 or kind == "zipf"):
            rows.append((word, value))
        else:
            tally["dropped", "fields"] += 1
    if not rows:
        raise InputError(f"{path} does not hold any word with a number; {EXPECTED_LIST}")
    return kind, rows


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
