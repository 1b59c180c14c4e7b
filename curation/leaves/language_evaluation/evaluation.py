"""Compare identified languages with the true ones, by language and by witness: recall, precision, shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.language.engines import Identifier
from curation.language.judging import WITNESSES, LanguageRules, Stated, judge
from metadata.languages import OTHER, of_stated
from runtime.arrow import string_array

EVALUATED = pa.schema(
    [
        pa.field("language", pa.string()),
        pa.field("texts", pa.int64()),  # texts in the language
        pa.field("found", pa.int64()),  # texts that get the language
        pa.field("right", pa.int64()),  # texts in the language that get it
        pa.field("recall", pa.float64()),  # right / texts
        pa.field("precision", pa.float64()),  # right / found
        pa.field("share", pa.float64()),  # texts / all texts
        pa.field("found_share", pa.float64()),  # found / all texts
        pa.field("mistaken_for", pa.string()),  # the wrong language that most texts in the language get
        pa.field("mean_score", pa.float64()),  # mean score of the model over texts in the language
    ]
)
WITNESSED = pa.schema(
    [
        pa.field("witnesses", pa.string()),  # names of the witnesses that are asked, with spaces between
        pa.field("language", pa.string()),  # true language of the texts; null: all texts
        pa.field("texts", pa.int64()),
        pa.field("decided", pa.int64()),  # texts whose language a witness decides
        pa.field("right", pa.float64()),  # share of decided texts that get their true language
        pa.field("right_before", pa.float64()),  # share of decided texts that get it without witnesses
        pa.field("recall", pa.float64()),  # share of texts that get their true language
        pa.field("precision", pa.float64()),  # share right of texts that get the language (null: any but `other`)
    ]
)


def evaluate(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated | None = None
) -> pa.Table:
    """Return a row of EVALUATED for each language that texts are in or get, sorted by number of texts, largest first.

    `gold` has the true language of each text, by any label that a table of pairs may state. Rows for which `is_gold` is
    False are left out.
    """
    texts, names, stated = _usable(texts, gold, stated)
    labels, scores = identifier.predict(texts)
    answers = judge(texts, labels, scores, rules, stated)[0].dictionary_encode()
    codes, (own, given) = _numbered(names, answers)
    pairs = np.zeros((len(codes), len(codes)), np.int64)  # texts by their own language and the one given
    np.add.at(pairs, (own, given), 1)
    return _table(codes, pairs, np.bincount(own, scores.to_numpy(), len(codes)))


def evaluate_witnesses(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated | None = None
) -> pa.Table:
    """Return rows of WITNESSED without witnesses, with each witness in `rules` alone, and with all of these witnesses.

    Each choice of witnesses has a row for all texts, and one for each true language. Arguments are as for `evaluate`.
    """
    texts, names, stated = _usable(texts, gold, stated)
    labels, scores = identifier.predict(texts)
    parts = [(), *((name,) for name in rules.witnesses), *[tuple(rules.witnesses)] * (len(rules.witnesses) > 1)]
    found = [judge(texts, labels, scores, replace(rules, witnesses=part), stated) for part in parts]
    codes, (own, *given) = _numbered(names, *(answers.dictionary_encode() for answers, _ in found))
    before, rows = given[0] == own, []
    for part, answers, (_, by) in zip(parts, given, found, strict=True):
        decided = pc.is_in(by, pa.array([*WITNESSES])).to_numpy(zero_copy_only=False)
        known = np.array([code != OTHER.code for code in codes], bool)[answers]
        masks = {None: (np.ones(len(own), bool), known)}
        masks |= {codes[number]: (own == number, answers == number) for number in np.unique(own).tolist()}
        for code, (texts_of, given_it) in masks.items():
            sure = texts_of & decided
            row = {"witnesses": " ".join(part), "language": code, "texts": texts_of.sum(), "decided": sure.sum()}
            right = {"right": sure, "recall": texts_of, "precision": given_it}
            row |= {name: _mean(answers == own, mask) for name, mask in right.items()}
            rows.append(row | {"right_before": _mean(before, sure)})
    return pa.Table.from_pylist(rows, WITNESSED)


def _mean(values: np.ndarray, mask: np.ndarray) -> float | None:
    return float(values[mask].mean()) if mask.any() else None


def _usable(
    texts: pa.Array, gold: pa.Array, stated: Stated | None
) -> tuple[pa.Array, pa.DictionaryArray, Stated | None]:
    """Return texts, true languages and stated languages of the rows for which `is_gold` is True."""
    texts, gold = string_array(texts, "texts"), string_array(gold, "languages")
    both = is_gold(texts, gold)
    rows = pa.array(np.flatnonzero(both.to_numpy(zero_copy_only=False)))
    return texts.take(rows), gold.take(rows).dictionary_encode(), stated and stated.take(rows)


def is_gold(texts: pa.Array, gold: pa.Array) -> pa.BooleanArray:
    """Return whether each row has a text and a language, neither of them null or only white space."""
    has_text, has_language = (
        pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(each), ""), False) for each in (texts, gold)
    )
    return pc.and_(has_text, has_language)


def _numbered(*columns: pa.DictionaryArray) -> tuple[list[str], list[np.ndarray]]:
    """Return the sorted language codes in all columns, and each column as int64 indices into these codes.

    Unknown labels mean `other`.
    """
    each = [[(of_stated(label) or OTHER).code for label in column.dictionary.to_pylist()] for column in columns]
    codes = sorted({code for own in each for code in own})
    numbers = [np.array([codes.index(code) for code in own], np.int64) for own in each]
    return codes, [own[column.indices.to_numpy()] for own, column in zip(numbers, columns, strict=True)]


def _table(codes: list[str], pairs: np.ndarray, scores: np.ndarray) -> pa.Table:
    texts, found, right = pairs.sum(axis=1), pairs.sum(axis=0), pairs.diagonal()
    wrong = pairs - np.diag(right)
    mistaken = [codes[row.argmax()] if row.any() else None for row in wrong]
    columns = [codes, texts, found, right, _shares(right, texts), _shares(right, found)]
    columns += [_shares(texts, pairs.sum()), _shares(found, pairs.sum()), mistaken, _shares(scores, texts)]
    order = np.lexsort((np.array(codes), -texts))
    return pa.Table.from_arrays([*map(pa.array, columns)], names=EVALUATED.names).cast(EVALUATED).take(pa.array(order))


def _shares(parts: np.ndarray, wholes: np.ndarray) -> pa.Array:
    """Return `parts` / `wholes`, null where the whole is 0."""
    wholes = np.broadcast_to(wholes, parts.shape)
    return pa.array(parts / np.maximum(wholes, 1), mask=wholes == 0)
