"""Cut texts of every language into words, at ICU's word boundaries.

A word is a segment with a letter or a digit, in the normal form of the `unicode` rules. A symbol of these rules stays
whole, even if ICU cuts the symbol, such as the Korean `18일`. Boundaries may differ between ICU versions, above all the
boundaries from ICU's dictionaries. `ICU_VERSION` is the version in use.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from itertools import chain
from math import ceil

import icu4py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
from icu4py.breakers import WordBreaker

from metadata import kernels
from metadata.config import ENGLISH, MetadataConfig
from metadata.languages import LOCALE, Language
from metadata.rules import MARK, SEPARATOR, SPACELESS, WORD, character_classes, normalise
from runtime.arrow import gather
from runtime.tallies import TaskResult

ICU_VERSION = icu4py.icu_version

Segmenter = Callable[[str], Iterable[str]]  # text → its segments; joined, they give the text

LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
TSHEG = "\u0f0b"  # ends a syllable of Tibetan
TIBETAN = ("bo", "dz")
_CLAUSE_END = regex.compile(r"(?<=\p{Tibetan})[^\S\n]+(?=\p{Tibetan})")  # Tibetan has a space only where a clause ends
_BYTE_ORDER_MARK = "\ufeff"  # It is a separator in the `unicode` rules, but ICU would keep it in the word before.
_SEPARATES_IN_ICU = "\u200b"
# Thai and Lao AM are each listed as NFKC decomposes them and as ICU's dictionaries spell them.
_RESPELLED = (("\u0e4d\u0e32", "\u0e33"), ("\u0ecd\u0eb2", "\u0eb3"))


@dataclass(frozen=True)
class Words:
    """The words of a text in reading order, as `strings` in normal form, and a bool per word in `follows`.

    `follows[i]` is True if only white space, or in Tibetan a tsheg, is between words i - 1 and i: no punctuation, no
    symbol, no line end.
    """

    strings: pa.Array
    follows: np.ndarray


def segment(text: str, code: str) -> Words:
    """Return the words of a text, or of several texts joined by line feeds, in the language `code`.

    >>> segment("The 3.5 cats' U.S. house, isn’t it?", "en").strings.to_pylist()
    ['The', '3.5', 'cats', 'U.S', 'house', "isn't", 'it']
    >>> segment("ภาษาไทย", "th").strings.to_pylist(), segment("བོད་ཡིག", "bo").strings.to_pylist()
    (['ภาษา', 'ไทย'], ['བོད', 'ཡིག'])
    """
    text = text.replace(_BYTE_ORDER_MARK, _SEPARATES_IN_ICU)
    if code in TIBETAN:
        text = _CLAUSE_END.sub("\n", text)
    text = _readable(text)
    kinds = _kinds(code in TIBETAN)[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    begins = np.zeros(len(text) + 1, np.bool_)
    begins[np.cumsum(np.fromiter(map(len, SEGMENTERS.get(code, icu)(text)), np.int32))] = True
    starts, ends = np.empty(len(text), np.int32), np.empty(len(text), np.int32)
    follows = np.empty(len(text), np.bool_)
    count = kernels.find_words(kinds, begins, starts, ends, follows)
    spans = zip(starts[:count].tolist(), ends[:count].tolist(), strict=True)
    strings = pa.array([text[start:end] for start, end in spans], pa.string())
    for normal, read in _RESPELLED:
        strings = pc.replace_substring(strings, read, normal)
    return Words(strings, follows[:count])


def icu(text: str) -> Iterable[str]:
    """Return the segments into which ICU cuts a text; joined, they give the text again."""
    return WordBreaker(text, LOCALE)


# Segmenters by language code, for languages where another segmenter is better than ICU, such as "zh": jieba.cut.
SEGMENTERS: dict[str, Segmenter] = {}


def _readable(text: str) -> str:
    """Return a text as ICU should read it: in normal form, but with Thai and Lao AM as ICU's dictionaries spell it."""
    text = "\n".join(map(normalise, text.split("\n")))  # No mark joins a line feed.
    for normal, read in _RESPELLED:
        text = text.replace(normal, read)
    return text


@lru_cache(maxsize=2)
def _kinds(tsheg_is_gap: bool) -> np.ndarray:
    """Return the kind of each code point, uint8 of shape (0x110000,), in bits of `kernels` such as LETTER.

    If `tsheg_is_gap`, a Tibetan tsheg is a GAP.
    """
    categories = np.array([unicodedata.category(chr(code))[0] for code in range(0x110000)])
    kinds = np.zeros(0x110000, np.uint8)
    kinds[(categories == "L") | (categories == "N")] = kernels.LETTER
    classes = character_classes()
    kinds[classes == SEPARATOR] = kernels.SEPARATOR | kernels.GAP
    kinds[classes == SPACELESS] |= kernels.SPACELESS
    kinds[classes == MARK] |= kernels.MARK
    kinds[classes == WORD] |= kernels.IN_WORD
    kinds[[ord(am) for _, am in _RESPELLED]] |= kernels.MARK  # In normal form AM begins with a mark.
    kinds[[*map(ord, LINE_ENDS)]] = kernels.SEPARATOR
    if tsheg_is_gap:
        kinds[ord(TSHEG)] = kernels.GAP
    return kinds


# Arrow's regular expressions lack script extensions, so the length mark of Hiragana and Katakana is listed.
_SPACELESS = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}ー]"
_TIBETAN = r"^\p{Tibetan}+$"

COUNTS = pa.schema([("first", pa.string()), ("second", pa.string()), ("count", pa.int64())])

MAX_WORDS_COUNTED = 1 << 23  # words that are counted together, in some 400 MB beside the batch that is cut

_MAX_TABLE_ROWS = 1 << 18  # most pairs in a yielded table

RATED = pa.schema([("language", pa.string()), ("entry", pa.string()), ("score", pa.float64())])

_PUNCTUATION = r"^\p{P}*$"  # The pattern also matches the empty string.


def count_batches(batches: Iterable[pa.Array], language: Language, most: int = MAX_WORDS_COUNTED) -> Iterator[pa.Table]:
    """Yield tables with the schema COUNTS that together count all words (`second` is null) and word pairs in the texts.

    `batches` are arrays of texts, each below 2 GB. A word or pair is in more than one table only if the texts have more
    than `most` words.

    >>> from metadata.languages import LOCALE, language
    >>> tables = count_batches([pa.array(["New York, New York", None])], language("en"))
    >>> [tuple(row.values()) for table in tables for row in table.to_pylist()]
    [('New', None, 2), ('York', None, 2), ('New', 'York', 2)]
    """
    cut = (_words(texts, language) for texts in batches)
    for words in gather(cut, lambda part: len(part.strings), most):
        yield from _counted(words)


def _words(texts: pa.Array, language: Language) -> Words:
    words = segment("\n".join(filter(None, texts.to_pylist())), language.code)
    return Words(words.strings.dictionary_encode(), words.follows)


def _counted(words: list[Words]) -> Iterator[pa.Table]:
    """Yield the counts of all words in one table, then of all pairs in further tables, each with the schema COUNTS."""
    encoded = pa.chunked_array([part.strings for part in words]).unify_dictionaries().combine_chunks()
    strings = encoded.dictionary
    numbers = encoded.indices.to_numpy()
    counts = pa.array(np.bincount(numbers, minlength=len(strings)), pa.int64())
    yield pa.table([strings, pa.nulls(len(strings), pa.string()), counts], COUNTS)
    follows = np.concatenate([part.follows for part in words])[1:]
    pairs = numbers[:-1][follows].astype(np.int64) << 32
    pairs |= numbers[1:][follows]
    distinct, counts = np.unique(pairs, return_counts=True)
    for begin in range(0, len(distinct), _MAX_TABLE_ROWS):
        some = distinct[begin : begin + _MAX_TABLE_ROWS]
        first, second = (strings.take(pa.array(side)) for side in (some >> 32, some & 0xFFFFFFFF))
        yield pa.table([first, second, counts[begin : begin + _MAX_TABLE_ROWS]], COUNTS)


def pair_entries(first: pa.Array, second: pa.Array, language: Language) -> pa.Array:
    """Return the entry of each pair: both words with a space between, or without if the language writes no spaces.

    Two words of digits or of a script with spaces, such as Latin, get a space in any language. Two words in Tibetan
    script get a tsheg in the languages of TIBETAN.

    >>> from metadata.languages import LOCALE, language
    >>> pair_entries(pa.array(["New", "東京"]), pa.array(["York", "タワー"]), language("ja")).to_pylist()
    ['New York', '東京タワー']
    """
    spaced = pc.binary_join_element_wise(first, second, " ")
    if language.spaced:
        return spaced
    joint = TSHEG if language.code in TIBETAN else ""
    close = pc.binary_join_element_wise(first, second, joint)
    apart = pc.binary_join_element_wise(first, second, "")
    both_tibetan = pc.and_(*(pc.match_substring_regex(side, _TIBETAN) for side in (first, second)))
    one_spaceless = pc.or_(*(pc.match_substring_regex(side, _SPACELESS) for side in (first, second)))
    return pc.case_when(pc.make_struct(both_tibetan, one_spaceless), close, apart, spaced)


def information(counts: pa.Array, first: pa.Array, second: pa.Array, total: float) -> pa.Array:
    """Return the pointwise mutual information (PMI) of pairs, log2(c N / (c1 c2)), as float64.

    c is the count of a pair (`counts`), c1 and c2 are the counts of its words (`first`, `second`), all float64, and N
    is the count of all words (`total`).

    Arrow's functions give a value the same bits at any index of an array, which NumPy's vector loops may not.
    """
    return pc.log2(pc.divide(pc.multiply(counts, total), pc.multiply(first, second)))


def scores(counts: pa.Array, mutual: pa.Array, floor: float, config: MetadataConfig) -> pa.Array:
    """Return the score of each pair, given float64 arrays of counts and PMIs (`mutual`).

    The score is (c + 1)^0.7 (PMI - PMI_30%) [2, appendix], where 0.7 is `count_exponent` and PMI_30%, the 30th
    percentile over the distinct pairs of the language, is `floor`. With `bigram_score="pmi"` the score is the PMI, or
    null if the PMI is not above `bigram_min_pmi`.
    """
    if config.bigram_score == "pmi":
        return pc.if_else(pc.greater(mutual, config.bigram_min_pmi), mutual, None)
    return pc.multiply(pc.power(pc.add(counts, 1.0), config.count_exponent), pc.subtract(mutual, floor))


@dataclass(frozen=True)
class ChoiceRule:
    """A rule on how many of a language's best rows become entries: at most `most`, and a `share` of the candidates.

    Candidates are the rows whose strings can be entries. The share counts all candidates, but a candidate with a value
    below `least` never becomes an entry.
    """

    most: int
    share: float = 1
    least: float = -np.inf

    def taken(self, candidates: int, enough: int) -> int:
        """Return how many of `candidates` rows become entries; `enough` of the rows have a value of at least `least`.

        The share is rounded up, so a small table keeps one row.

        >>> ChoiceRule(most=100, share=0.1).taken(31, 31), ChoiceRule(most=100, least=70).taken(31, 5)
        (4, 5)
        """
        return min(self.most, _part(candidates, self.share), enough)


def unigrams(language: Language, config: MetadataConfig) -> ChoiceRule:
    """Return the rule that chooses words by their counts."""
    if language.code == ENGLISH:
        return ChoiceRule(config.unigram_limit, least=config.english_unigram_count)
    return ChoiceRule(config.unigram_limit, config.unigram_share)


def bigrams(unigram_entries: int, config: MetadataConfig) -> ChoiceRule:
    """Return the rule that chooses word pairs by their scores, given how many words of the language are entries."""
    return ChoiceRule(min(config.bigram_limit, _part(unigram_entries, config.bigram_share)))


def titles(language: Language, config: MetadataConfig) -> ChoiceRule:
    """Return the rule that chooses titles by their views."""
    if language.code == ENGLISH:
        return ChoiceRule(config.title_limit, least=config.english_title_views)
    return ChoiceRule(config.title_limit, config.title_share)


def figures(batches: Iterable[pa.RecordBatch], rules: Mapping[str, ChoiceRule], longest: int) -> TaskResult:
    """Return tallies by language of batches with the schema RATED: `rows`, the `sum` of scores, `candidates`, `enough`.

    `sum` adds the scores of all rows. `candidates` counts the strings that can be entries (`can_be_entry`). `enough`
    counts the candidates with a score of at least `least` in the language's rule. `rules` has a rule per language.
    """
    tally = TaskResult()
    for code, rows in by_language(batches):
        score = rows["score"]
        candidate = can_be_entry(rows["entry"], longest)
        enough = pc.and_(candidate, pc.greater_equal(score, rules[code].least))
        tally.add("rows", rows.num_rows, language=code)
        for name, values in (("sum", score), ("candidates", candidate), ("enough", enough)):
            tally.add(name, pc.sum(values).as_py() or 0, language=code)
    return tally


def best(batches: Iterable[pa.RecordBatch], taken: Mapping[str, int], longest: int) -> Iterator[pa.RecordBatch]:
    """Yield rows with the schema RATED, in batches, that may be among the `taken` rows of the highest scores.

    `taken` has a number of rows per language. All rows that are among the best are yielded, and some others. How many
    others depends on the order of rows. Strings that cannot be entries are left out.
    """
    best = {code: np.empty(0) for code in taken}
    least = dict.fromkeys(taken, -np.inf)
    least |= {code: np.inf for code, most in taken.items() if not most}
    for code, rows in by_language(batches):
        rows = rows.filter(pc.greater_equal(rows["score"], least[code]))
        rows = rows.filter(can_be_entry(rows["entry"], longest))
        if rows.num_rows:
            values = np.concatenate([best[code], rows["score"]])
            if len(values) >= taken[code]:
                values = np.partition(values, -taken[code])[-taken[code] :]
                least[code] = values[0]
            best[code] = values
            yield rows


def by_language(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield (language code, rows of this language) for each language in each batch."""
    for batch in batches:
        codes = pc.unique(batch["language"]).to_pylist()
        for code in codes:
            yield code, batch if len(codes) == 1 else batch.filter(pc.equal(batch["language"], code))


def can_be_entry(entries: pa.Array, longest: int) -> pa.Array:
    """Return a bool per string: False if it is null, empty, only punctuation, or longer than `longest` characters."""
    short = pc.less_equal(pc.utf8_length(entries), longest)
    return pc.fill_null(pc.and_not(short, pc.match_substring_regex(entries, _PUNCTUATION)), False)


def _part(rows: int, share: float) -> int:
    return ceil(rows * Fraction(str(share)))  # In floats, 30 * 0.1 would be 3.0000000000000004, and the result 4.


MAX_MINORITY_SHARE = 0.1  # most entries in the rarer alphabet, per entry in the other

_SERBIAN = "аa бb вv гg дd ђđ еe жž зz иi јj кk лl љlj мm нn њnj оo пp рr сs тt ћć уu фf хh цc чč џdž шš"
_UZBEK = "аa бb вv гg дd еe еye ёyo жj зz иi йy кk лl мm нn оo пp рr сs тt уu фf хx чch шsh ъ' эe юyu яya ўo' қq ғg' ҳh"
ALPHABETS = {"sh": _SERBIAN, "sr": _SERBIAN, "uz": _UZBEK}  # each Cyrillic letter, followed by its Latin letters

_LATIN = re.compile(r"[a-zà-ɏ]", re.IGNORECASE)
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_APOSTROPHES = re.compile("[ʻʼ`‘’]")
# An Uzbek е at the beginning of a word or behind a vowel is read as йе; an e at the beginning is an э.
_UZBEK_E = re.compile(r"\bе|(?<=[аеёиоуъэюяў])е", re.IGNORECASE), "йе"
_UZBEK_BEGIN = re.compile(r"\be", re.IGNORECASE), "э"


def in_other_alphabet(entry: str, code: str) -> str | None:
    """Return an entry of a language in its other alphabet.

    The result is None if the entry has letters of both alphabets or of none, or a letter without a counterpart.

    >>> [in_other_alphabet(each, "sr") for each in ("Ljubav", "ЊЕГОВ", "queen", "7")], in_other_alphabet("ер", "uz")
    (['Љубав', 'NJEGOV', None, None], 'yer')
    """
    is_latin = bool(_LATIN.search(entry))
    if is_latin == bool(_CYRILLIC.search(entry)):
        return None
    letters, pattern = _letters(code, is_latin)
    entry = _APOSTROPHES.sub("'", entry)
    if code == "uz":
        sounds, letter = _UZBEK_BEGIN if is_latin else _UZBEK_E
        entry = sounds.sub(lambda match: _cased(letter, match[0], match[0]), entry)
    if entry == entry.lower():
        spelled = pattern.sub(lambda match: letters[match[0]], entry)
    else:
        spelled = pattern.sub(lambda match: _cased(letters[match[0].lower()], match[0], entry), entry)
    return None if (_LATIN if is_latin else _CYRILLIC).search(spelled) else spelled


def in_both_alphabets(
    code: str, entries: Sequence[str], scores: Sequence[float] | None
) -> tuple[Sequence[str], Sequence[float] | None]:
    """Return the entries of a source, and their scores, with each entry followed by its spelling in the other alphabet.

    Each score is repeated for the added spelling. Entries and scores are returned unchanged if the language has only
    one alphabet, or if the source has many entries in both alphabets (MAX_MINORITY_SHARE).
    """
    if code not in ALPHABETS:
        return entries, scores
    latin = sum(map(bool, map(_LATIN.search, entries)))
    cyrillic = sum(map(bool, map(_CYRILLIC.search, entries)))
    if min(latin, cyrillic) > MAX_MINORITY_SHARE * max(latin, cyrillic):
        return entries, scores
    spellings = [_spellings(entry, code) for entry in entries]
    forms = [*chain.from_iterable(spellings)]
    if not scores:
        return forms, scores
    repeated = list[float]()
    for score, of_entry in zip(scores, spellings, strict=True):
        repeated += [score] * len(of_entry)
    return forms, repeated


def _spellings(entry: str, code: str) -> list[str]:
    """Return a list of the entry and, if there is one, its spelling in the other alphabet of its language."""
    return [*filter(None, (entry, in_other_alphabet(entry, code)))]


@cache
def _letters(code: str, is_latin: bool) -> tuple[dict[str, str], re.Pattern[str]]:
    pairs = [(pair[0], pair[1:]) for pair in ALPHABETS[code].split()]
    letters = {latin: cyrillic for cyrillic, latin in pairs} if is_latin else dict(reversed(pairs))
    if is_latin and code == "uz":
        letters |= {"e": "е", "yo'": "йў"}  # An e at the beginning has already become an э.
    longest_first = sorted(letters, key=len, reverse=True)
    return letters, re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _cased(letters: str, written: str, entry: str) -> str:
    """Return `letters`, which replace `written` in `entry`, in the same case.

    A capital is replaced by capitals if all letters of the entry are capitals; otherwise only the first letter is a
    capital. An entry of one letter does not count as all capitals.
    """
    if written == written.lower():
        return letters
    return letters.upper() if entry.isupper() and len(entry) > 1 else letters.capitalize()
