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
        pa.field("texts", pa.int64()),  # in the language
        pa.field("found", pa.int64()),  # that get the language
        pa.field("right", pa.int64()),  # both
        pa.field("recall", pa.float64()),  # right / texts
        pa.field("precision", pa.float64()),  # right / found
        pa.field("share", pa.float64()),  # texts / all texts
        pa.field("found_share", pa.float64()),  # found / all texts
        pa.field("mistaken_for", pa.string()),  # the language that most other of its texts get
        pa.field("mean_score", pa.float64()),  # of its texts
    ]
)
WITNESSED = pa.schema(
    [
        pa.field("witnesses", pa.string()),  # that are asked, with spaces between
        pa.field("language", pa.string()),  # of the texts; null: of all
        pa.field("texts", pa.int64()),
        pa.field("decided", pa.int64()),  # texts on which a witness decides
        pa.field("right", pa.float64()),  # share of these that get their language
        pa.field("right_before", pa.float64()),  # share of these that have it without witnesses
        pa.field("recall", pa.float64()),  # of all texts
        pa.field("precision", pa.float64()),  # of the texts that get the language; all: of those that get one
    ]
)


def evaluate(
    texts: pa.Array, gold: pa.Array, identifier: Identifier, rules: LanguageRules, stated: Stated | None = None
) -> pa.Table:
    """Return a row of EVALUATED for each language that texts are in or get, the one with the most texts first.

    `gold` holds what tables of pairs may state; rows for which `is_gold` says no are left out.
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
    """Return rows of WITNESSED: for no witness, each of those in `rules` alone and all of them, by language."""
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
    """Return the rows for which `is_gold` says yes."""
    texts, gold = string_array(texts, "texts"), string_array(gold, "languages")
    both = is_gold(texts, gold)
    rows = pa.array(np.flatnonzero(both.to_numpy(zero_copy_only=False)))
    return texts.take(rows), gold.take(rows).dictionary_encode(), stated and stated.take(rows)


def is_gold(texts: pa.Array, gold: pa.Array) -> pa.BooleanArray:
    """Return whether each row has a text, beside white space, and a language."""
    has_text, has_language = (
        pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(each), ""), False) for each in (texts, gold)
    )
    return pc.and_(has_text, has_language)


def _numbered(*columns: pa.DictionaryArray) -> tuple[list[str], list[np.ndarray]]:
    """Return the codes in all columns, and each column as positions in them."""
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
    """Return the quotients; null where the whole is 0."""
    wholes = np.broadcast_to(wholes, parts.shape)
    return pa.array(parts / np.maximum(wholes, 1), mask=wholes == 0)
