"""Decide whether a text is in the language of the model's label; if in doubt, its language becomes `other`.

A witness gives a second opinion: it is a function from doubtful texts to languages, with null where it knows nothing.
Witnesses are asked in the order that a run states, and the first answer counts, unless the text cannot be in the
language that it names, by the scripts of its letters: then the next witness is asked.

The witness `pool` weighs the scores that a model gives a text by the languages of the sure texts of its page, host and
file, and by the language that the page states. A weight only lifts languages that are frequent there: the others keep
their scores, so that no language gets worse in a file of many languages. The score of a text is the mean of two scores:
the score of the text itself, and the score of its words in lower case. Capitals or punctuation can be enough to make a
model sure of a wrong language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, MAX_TEXT_LENGTH, SURE_SCORE, CurationConfig
from curation.inputs.candidates import BATCH_ROWS
from curation.inputs.limits import shorter
from curation.kernels.fasttext.losses import MAX_SCORE_FACTOR
from curation.kernels.texts import find_bits
from curation.language.engines import Answers, Identifier, code_of_label
from curation.language.text_kinds import KINDS, can_write, is_foreign, text_kinds
from curation.schemas import LABELS
from curation.url_hosts import hosts
from metadata.languages import OTHER
from metadata.rules import CHINESE, JAPANESE, han_table
from runtime.arrow import gather_rows, string_buffers

_OF_HAN = pa.array(["zh", "ja"])
_LATIN, _HAN_OR_KANA = r"\p{Latin}", r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_LATIN_LETTERS_OF_HAN = 3  # This many Latin letters say about as much as one character of Han or kana.

POOL_WEIGHT = 20  # A language's weight in a file is this times the square of its share of the file's sure texts.
HOST_WEIGHT = MAX_SCORE_FACTOR  # A language has this weight if all sure texts of a page and its host are in it.
POOL_PRIOR_TEXTS = 20  # A file with this many sure texts has a quarter of its weight.
HOST_PRIOR_TEXTS = 3  # A host or page with this many sure texts has half its weight; a stated language counts as many.
MIN_LABEL_PART = 0.3  # If other languages are lifted, a label needs this share of all languages' weighed scores.
# Only the digits and punctuation of ASCII are listed, because compiling Unicode's classes would take most of the time.
_BETWEEN_WORDS = r"[^a-z'\x{80}-\x{10FFFF}]+"
_TEXTS_AT_ONCE = 4096  # This many texts are weighed together, which bounds the memory.
WEIGHED_ROWS = 131_072  # This many rows are weighed together, to bound memory; a host's pages are adjacent or random.
WEIGHED_BYTES = 128 << 20

REASONS = (*KINDS, "script", "score")  # A text is undetermined because of the first of these that applies.


@dataclass(frozen=True)
class LanguageRules:
    """The rules that decide whether a text counts as in the language of its label."""

    min_score: float = 0.0  # the least score that the model must give
    min_scores: Mapping[str, float] = field(default_factory=dict)  # language → least score, instead of `min_score`
    check_scripts: bool = True  # True: if a text has letters, one must be of a script of the language.
    check_kinds: bool = False  # True: a text must have letters, and must not be a file name, an address or HTML.
    witnesses: tuple[str, ...] = ()  # They are asked for the language of doubtful texts, in this order.
    pool_shares: Mapping[str, float] = field(default_factory=dict)  # language → share, instead of shares around a text

    @classmethod
    def of(cls, config: CurationConfig) -> LanguageRules:
        """Return the rules that the config of a run states."""
        return cls(
            min_score=config.min_language_score,
            min_scores=config.min_language_scores,
            check_scripts=config.wrong_script == OTHER.code,
            check_kinds=config.no_language == OTHER.code,
            witnesses=tuple(config.witnesses),
            pool_shares=config.pool_shares,
        )


def judge(
    texts: pa.Array,
    labels: pa.DictionaryArray,
    scores: pa.FloatArray,
    rules: LanguageRules,
    stated: Stated | None = None,
) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language of each text, given the model's label and score, and the reason for it.

    The reason is the name of the witness that decided, or one of REASONS if the text is undetermined. It is null if the
    language is the one that the label means, even if that is `other`. A null text gives nulls.
    """
    codes = [*map(code_of_label, labels.dictionary.to_pylist()), OTHER.code]
    nulls = labels.is_null().to_numpy(zero_copy_only=False)
    indices = np.where(nulls, len(codes) - 1, labels.indices.fill_null(0).to_numpy())
    named = pa.array(codes, pa.string()).take(pa.array(indices, mask=nulls))
    doubts = _doubts(texts, labels, scores, rules)
    reasons = np.select(doubts, range(len(doubts)), -1)
    reasons[np.array([code == OTHER.code for code in codes])[indices]] = -1
    undetermined = pa.array(reasons >= 0)
    languages = pc.if_else(undetermined, OTHER.code, named)
    why = pa.array(REASONS, pa.string()).take(pa.array(reasons, mask=reasons < 0))
    if not rules.witnesses:
        return languages, why
    asked = Question(texts, named, scores.fill_null(1).to_numpy(), stated or Stated.nothing(len(texts)))
    said, by = opinions(asked, ~nulls & ~np.any(doubts[: len(KINDS)], axis=0), rules.witnesses)
    return pc.coalesce(said, languages), pc.if_else(by.is_valid(), by, why)


def _doubts(texts: pa.Array, labels: pa.DictionaryArray, scores: pa.FloatArray, rules: LanguageRules) -> list:
    """Return a list of masks, bool[text], one for each of REASONS: whether this reason applies to the text."""
    nothing = np.zeros(len(texts), np.uint8)
    kinds = text_kinds(texts) if rules.check_kinds else nothing
    foreign = is_foreign(texts, labels) if rules.check_scripts else nothing != 0
    low = _is_low(labels, scores, rules) if rules.min_score or rules.min_scores else nothing != 0
    return [*(kinds & bit != 0 for bit in KINDS.values()), foreign, low]


def _is_low(labels: pa.DictionaryArray, scores: pa.FloatArray, rules: LanguageRules) -> np.ndarray:
    codes = map(code_of_label, labels.dictionary.to_pylist())
    least = [rules.min_scores.get(code, rules.min_score) for code in codes]
    return scores.fill_null(0).to_numpy() < np.array([*least, 0], np.float32)[labels.indices.fill_null(-1).to_numpy()]


@dataclass(frozen=True)
class Stated:
    """The languages that an input states for its texts, as codes; null where it states none."""

    pages: pa.StringArray  # the languages that the pages of the texts state
    pools: pa.StringArray  # the languages that `weighed` returns

    @classmethod
    def nothing(cls, rows: int) -> Stated:
        """Return the Stated of an input that states no language for any of its `rows` texts."""
        return cls(pa.nulls(rows, pa.string()), pa.nulls(rows, pa.string()))

    def take(self, rows: pa.Array) -> Stated:
        """Return the Stated of the texts at the indices `rows`."""
        return Stated(self.pages.take(rows), self.pools.take(rows))


@dataclass(frozen=True)
class Question:
    """Texts with the languages and scores that the model gave them, and the languages that their input states."""

    texts: pa.Array
    languages: pa.StringArray
    scores: np.ndarray
    stated: Stated


def _page(asked: Question) -> pa.StringArray:
    """Return the language that each text's page states; null unless the text's score is below DOUBTFUL_SCORE."""
    return pc.if_else(pa.array(asked.scores < DOUBTFUL_SCORE), asked.stated.pages, None)


def _han(asked: Question) -> pa.StringArray:
    """Return Chinese or Japanese where a text has Han or kana characters that only one of them writes, else null.

    A text with another label may just quote a name in these characters. The result is therefore null if such a label is
    sure, or if Latin letters outweigh these characters.
    """
    bits = np.empty(len(asked.texts), np.int64)
    find_bits(*string_buffers(asked.texts), *han_table(), bits)
    of_han = pc.is_in(asked.languages, _OF_HAN).to_numpy(zero_copy_only=False)
    is_decided = ((bits == CHINESE) | (bits == JAPANESE)) & (of_han | (asked.scores < SURE_SCORE))
    others = np.flatnonzero(is_decided & ~of_han)
    texts = asked.texts.take(pa.array(others))
    latin = pc.count_substring_regex(texts, _LATIN)
    han = pc.count_substring_regex(texts, _HAN_OR_KANA)
    is_decided[others] = latin.to_numpy() <= _LATIN_LETTERS_OF_HAN * han.to_numpy()
    return _OF_HAN.take(pa.array((bits == JAPANESE).astype(np.int8), mask=~is_decided))


WITNESSES: dict[str, Callable[[Question], pa.StringArray]] = {
    "han": _han,
    "pool": lambda asked: asked.stated.pools,
    "page": _page,
}


def opinions(asked: Question, may_ask: np.ndarray, witnesses: Sequence[str]) -> tuple[pa.StringArray, pa.StringArray]:
    """Return the language that a witness gives each text, and the name of that witness; null where none decides.

    Only texts of the mask `may_ask` are shown to witnesses, and of these only the texts whose label is not sure, whose
    label is Chinese or Japanese, or for which the pool has an answer. A witness that agrees with a sure label decides
    nothing.
    """
    sure = asked.scores >= SURE_SCORE
    others = pc.or_(pc.is_in(asked.languages, _OF_HAN), asked.stated.pools.is_valid())
    is_asked = may_ask & (~sure | others.to_numpy(zero_copy_only=False))
    rows = pa.array(np.flatnonzero(is_asked))
    some = Question(asked.texts.take(rows), asked.languages.take(rows), asked.scores[is_asked], asked.stated.take(rows))
    languages = names = pa.nulls(len(rows), pa.string())
    for name in witnesses:
        said = WITNESSES[name](some)
        counts = pc.or_(pa.array(~sure[is_asked]), pc.not_equal(said, some.languages)).fill_null(False)
        counts = pc.and_(pc.and_(said.is_valid(), names.is_null()), counts)
        counts = pc.and_(counts, pa.array(can_write(some.texts, said.dictionary_encode())))
        languages = pc.if_else(counts, said, languages)
        names = pc.if_else(counts, pa.scalar(name), names)
    nothing = pa.nulls(len(sure), pa.string())
    mask = pa.array(is_asked)
    return pc.replace_with_mask(nothing, mask, languages), pc.replace_with_mask(nothing, mask, names)


@dataclass(frozen=True)
class Surroundings:
    """The page and host of each text, and the language that the page states; null if unknown."""

    pages: pa.StringArray
    hosts: pa.StringArray
    stated: pa.StringArray  # the codes of the languages that pages state


def weighed(
    texts: pa.Array, labelled: Answers, identifier: Identifier, around: Surroundings | Mapping[str, float]
) -> pa.StringArray:
    """Return the language with the highest weighed score of each text; null if the language of its label stays.

    It is `other` if nothing around a text supports its label, and the model's scores hardly do. `labelled` are labels
    and scores of the model. `around` may be shares of languages, which weigh as if they were counted in a file.
    """
    scores = pc.fill_null(labelled[1], 0).to_numpy()
    rows = np.flatnonzero(scores > 0)
    weights = _Weights.of(texts, labelled, around)
    answers = np.full(len(texts), -1)
    for begin in range(0, len(rows), _TEXTS_AT_ONCE):
        some = rows[begin : begin + _TEXTS_AT_ONCE]
        answers[some] = weights.highest(some, texts.take(pa.array(some)), scores[some] >= SURE_SCORE, identifier)
    return pa.array(weights.languages, pa.string()).take(pa.array(answers, mask=answers < 0))


@dataclass(frozen=True)
class _Weights:
    """Weights of languages, and the indices of each text's page, host, stated language and label's language, or -1."""

    languages: list[str]  # `other` first, then the languages of labels and around texts
    pool: np.ndarray  # float32 [1, language]: weights
    hosts: np.ndarray  # float32 [host, language]: numbers of sure texts; the last row is for texts without a host
    pages: np.ndarray  # float32 [page, language]: numbers of sure texts; the last row is for texts without a page
    host: np.ndarray  # int64 [text]: the number of the host, as the next three number page, stated language and label
    page: np.ndarray
    stated: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, texts: pa.Array, labelled: Answers, around: Surroundings | Mapping[str, float]) -> _Weights:
        """Return weights from given shares, or from sure texts; equal texts count once per page, host and file."""
        shares = around if isinstance(around, Mapping) else {}
        nothing = pa.nulls(len(texts), pa.string())
        near = Surroundings(nothing, nothing, nothing) if isinstance(around, Mapping) else around
        named = pa.array(map(code_of_label, labelled[0].dictionary.to_pylist()), pa.string()).take(labelled[0].indices)
        judged = judge(texts, *labelled, LanguageRules())[0]
        sure = pc.and_(pc.greater_equal(labelled[1], SURE_SCORE), pc.not_equal(judged, OTHER.code)).fill_null(False)
        first = pa.array([OTHER.code, *shares])
        codes = pa.concat_arrays([first, named, pc.if_else(sure, judged, None), near.stated]).dictionary_encode()
        of_shares, label, language, stated = np.split(_numbers(codes), np.cumsum([len(first), len(texts), len(texts)]))
        page, host, text = (_numbers(column.dictionary_encode()) for column in (near.pages, near.hosts, texts))
        languages = len(codes.dictionary)
        hosts = _counts(host, text, language, languages)
        pages = _counts(page, text, language, languages)
        pool = _counts(np.zeros_like(text), text, language, languages)
        pool = pool[:1] / (pool.sum() + POOL_PRIOR_TEXTS)
        if shares:
            pool[:] = 0
            pool[0, of_shares[1:]] = [*shares.values()]
        return cls(
            languages=codes.dictionary.to_pylist(),
            pool=POOL_WEIGHT * pool**2,
            hosts=hosts,
            pages=pages,
            host=host,
            page=page,
            stated=stated,
            label=label,
        )

    def highest(self, rows: np.ndarray, texts: pa.Array, is_sure: np.ndarray, identifier: Identifier) -> np.ndarray:
        """Return the index of the language with the highest weighed score of each text of `rows`; -1: the label stays.

        If no weight is above the weight of the label's language, the answer is the label's language if the text is not
        sure and this weight is above 1, else -1.
        """
        near = (self.page[rows] * len(self.hosts) + self.host[rows]) * (len(self.languages) + 1) + self.stated[rows]
        _, first, group = np.unique(
            near, return_index=True, return_inverse=True
        )  # Texts of a group have equal weights.
        lifts = self.of_rows(rows[first])
        label = self.label[rows]
        most = lifts.max(axis=1)[group]
        best = np.where((most > 1) & ~is_sure, label, -1)
        asked = np.flatnonzero(lifts[group, label] < most)
        best[asked] = self._lifted(texts.take(pa.array(asked)), lifts[group[asked]], label[asked], identifier)
        return best

    def _lifted(self, texts: pa.Array, lifts: np.ndarray, label: np.ndarray, identifier: Identifier) -> np.ndarray:
        """Return the index of the lifted language with the highest weighed score of each text.

        It is -1 if the language of the label has a higher score, and 0, for `other`, if even that score is low.
        """
        words = pc.replace_substring_regex(pc.utf8_lower(texts), _BETWEEN_WORDS, " ")
        scores = (identifier.spread(texts, self.languages) + identifier.spread(words, self.languages)) / 2
        values = scores * lifts
        of_label = values[np.arange(len(label)), label]
        lifted = np.where(lifts > 1, values, -1)
        unknown = of_label < MIN_LABEL_PART * (1 + (values - scores).sum(axis=1))
        is_lifted = lifted.max(axis=1) >= of_label
        return np.where(is_lifted, lifted.argmax(axis=1), np.where(unknown, 0, -1))

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return each language's weight for each of the texts `rows`, float32[row, language]; all are at least 1."""
        host = self.hosts[self.host[rows]]
        page = self.pages[self.page[rows]]
        stated = self.stated[rows]
        state = np.flatnonzero(stated >= 0)
        page[state, stated[state]] += HOST_PRIOR_TEXTS
        total = self.pool
        for counts in (host, page):
            total = (HOST_WEIGHT * counts + HOST_PRIOR_TEXTS * total) / (
                counts.sum(axis=1, keepdims=True) + HOST_PRIOR_TEXTS
            )
        return np.maximum(total, 1)


def _numbers(codes: pa.DictionaryArray) -> np.ndarray:
    return codes.indices.fill_null(-1).to_numpy().astype(np.int64)


def _counts(group: np.ndarray, text: np.ndarray, language: np.ndarray, languages: int) -> np.ndarray:
    """Return float32[group, language]: the number of distinct texts. The last row, for the group -1, is all zeros."""
    counts = np.zeros((group.max(initial=-1) + 2, languages), np.float32)
    rows = np.flatnonzero((group >= 0) & (language >= 0))
    rows = rows[np.unique(group[rows] * (text.max(initial=0) + 1) + text[rows], return_index=True)[1]]
    np.add.at(counts, (group[rows], language[rows]), 1)
    return counts


def with_pool_languages(batches: Iterable[pa.RecordBatch], identifier: Identifier) -> Iterator[pa.RecordBatch]:
    """Yield one input's rows, with the schema CANDIDATES and the columns LABELS, after filling in `pool_language`.

    A text is weighed by the texts of its page, of its page's host and of the file, among up to WEIGHED_ROWS rows at a
    time. Hosts of images do not count: such a server serves many sites. LABELS are the model's answers for the texts as
    they are matched, cut to MAX_TEXT_LENGTH.
    """
    for rows in gather_rows(batches, WEIGHED_ROWS, WEIGHED_BYTES):
        texts, _ = shorter(rows["text"], MAX_TEXT_LENGTH)
        labelled = identifier.predict(texts)
        pages = rows["page_url"].dictionary_encode()  # A page has many images, but needs its host only once.
        sites = hosts(pages.dictionary, str.lower).take(pages.indices)
        languages = weighed(texts, labelled, identifier, Surroundings(rows["page_url"], sites, rows["page_language"]))
        index = rows.schema.get_field_index("pool_language")
        columns = [*rows.columns[:index], languages, *rows.columns[index + 1 :], *labelled]
        filled = pa.RecordBatch.from_arrays(columns, [*rows.schema.names, *LABELS])
        yield from (filled.slice(begin, BATCH_ROWS) for begin in range(0, filled.num_rows, BATCH_ROWS))
