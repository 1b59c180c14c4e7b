"""Naive twins of metadata.words: words, n-grams and their association, from the definitions."""

import math
import unicodedata
from collections import Counter
from fractions import Fraction

from icu4py.breakers import WordBreaker

from tests.naive.matching import naive_form, naive_symbols

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TSHEG = "\u0f0b"
INSIDE = (".", "'", ",", ";")  # of a word of ASCII


def is_letter_or_digit(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def is_gap(character: str, code: str) -> bool:
    if character == TSHEG:
        return code in ("bo", "dz")
    return is_separator(character)


def is_separator(character: str) -> bool:
    return unicodedata.category(character) in ("Zs", "Cc") or character in "\u200b\ufeff"


def lines(text: str) -> list[str]:
    """Cut at each line end, one by one."""
    for line_end in LINE_ENDS:
        text = text.replace(line_end, "\n")
    return text.split("\n")


def icu_segments(line: str, code: str) -> list[str]:
    """All that ICU finds in one line of text in normal form."""
    read = line.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3").replace("\ufeff", "\u200b")
    found = [part for segment in WordBreaker(read, code) for part in around_separators(segment)]
    return [whole.replace("\u0e33", "\u0e4d\u0e32").replace("\u0eb3", "\u0ecd\u0eb2") for whole in of_symbols(found)]


def around_separators(segment: str) -> list[str]:
    """Cut a segment so that each separator of the `unicode` rules is alone."""
    parts = [""]
    for character in segment:
        if is_separator(character):
            parts += [character, ""]
        else:
            parts[-1] += character
    return [part for part in parts if part]


def of_symbols(segments: list[str]) -> list[str]:
    """Put together what is one symbol of the `unicode` rules."""
    found = []
    for segment in segments:
        apart = sum(len(naive_symbols(part)) for part in (*found[-1:], segment))
        if found and len(naive_symbols(found[-1] + segment)) < apart:
            found[-1] += segment
        else:
            found.append(segment)
    return found


def clauses(line: str, code: str) -> list[str]:
    """Cut a line of Tibetan at white space with Tibetan on both sides."""
    parts = [""]
    for part in line.split():
        if code in ("bo", "dz") and is_tibetan(parts[-1][-1:]) and is_tibetan(part[0]):
            parts.append(part)
        else:
            parts[-1] += " " + part
    return parts


def is_tibetan(character: str) -> bool:
    return character != "" and unicodedata.name(character, "").startswith("TIBETAN")


def runs(line: str, code: str, segments=icu_segments) -> list[list[str]]:
    """The words of one line, in runs that no punctuation interrupts."""
    found = [[]]
    for segment in segments(naive_form(line), code):
        if any(map(is_letter_or_digit, segment)):
            found[-1].append(segment)
        elif not all(is_gap(character, code) for character in segment):
            found.append([])
    return found


def count(texts, code: str, segments=icu_segments) -> tuple[Counter, Counter]:
    unigrams, bigrams = Counter(), Counter()
    for text in texts:
        for line in lines(text or ""):
            for clause in clauses(line, code):
                for run in runs(clause, code, segments):
                    unigrams.update(run)
                    bigrams.update(zip(run, run[1:], strict=False))
    return unigrams, bigrams


def ascii_segments(line: str, code: str) -> list[str]:
    """What a word of ASCII is, without ICU: letters, digits and _ in a row, also with one of .' between two letters, or
    one of .',; between two digits.
    """
    found = []
    for i, character in enumerate(line):
        before, after = line[i - 1 : i], line[i + 1 : i + 2]
        if character.isalnum() or character == "_":
            joins = before.isalnum() or before == "_" or (found and found[-1].endswith(INSIDE) and len(found[-1]) > 1)
        else:
            letters = before.isalpha() and after.isalpha() and character in ".'"
            digits = before.isdigit() and after.isdigit() and character in ".',;"
            joins = letters or digits
        if joins:
            found[-1] += character
        else:
            found.append(character)
    return found


def score(count: int, first: int, second: int, total: int, floor: float) -> float:
    return (count + 1) ** 0.7 * (pmi(count, first, second, total) - floor)


def pmi(count: int, first: int, second: int, total: int) -> float:
    return math.log2(count * total / (first * second))


def percentile(values: list[float], percent: float) -> float:
    """The value at that place of the sorted row, between two neighbours by the straight line."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def top(rows, most: int) -> list:
    return sorted(rows, key=lambda row: (-row[1], row[0].encode()))[:most]


def entries(texts, code: str, spaced: bool, config) -> tuple[list, list]:
    """The unigram and bigram entries of a language with their values, best first, from the definitions."""
    words, pairs = count(texts, code)
    able = [(word, number) for word, number in words.items() if can_be_entry(word, config.longest_entry)]
    enough = [row for row in able if code != "en" or row[1] >= config.english_unigram_count]
    share = 1 if code == "en" else config.unigram_share
    unigrams = top(enough, min(config.unigram_limit, part(len(able), share)))
    total = sum(words.values())
    mutual = {pair: pmi(number, words[pair[0]], words[pair[1]], total) for pair, number in pairs.items()}
    floor = percentile(list(mutual.values()), config.pmi_percentile) if mutual else 0.0
    best = {}
    for (first, second), number in pairs.items():
        value = mutual[first, second]
        if config.bigram_score == "association":
            value = math.pow(number + 1, config.count_exponent) * (value - floor)
        elif not value > config.bigram_min_pmi:
            continue
        entry = written(first, second, code, spaced)
        if can_be_entry(entry, config.longest_entry):
            best[entry] = max(value, best.get(entry, value))
    return unigrams, top(best.items(), min(config.bigram_limit, part(len(unigrams), config.bigram_share)))


def can_be_entry(entry: str, longest: int) -> bool:
    return len(entry) <= longest and not all(unicodedata.category(character)[0] == "P" for character in entry)


def part(rows: int, share: float) -> int:
    return math.ceil(rows * Fraction(str(share)))


def written(first: str, second: str, code: str, spaced: bool) -> str:
    """The pair with a space, or without one where the language has none and one side is of a script without any."""
    if not spaced and code in ("bo", "dz") and all(map(is_tibetan, first + second)):
        return first + TSHEG + second
    if not spaced and (is_spaceless(first) or is_spaceless(second)):
        return first + second
    return f"{first} {second}"


def is_spaceless(word: str) -> bool:
    scripts = ("CJK UNIFIED", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
    return any(unicodedata.name(character, "").startswith(scripts) for character in word)
