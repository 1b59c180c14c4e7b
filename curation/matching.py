"""From images with texts to images with the entries of each text: identifying, matching, and leaving out the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.identify import Identifier
from curation.lists import parts
from curation.schemas import CANDIDATE, ENTRY_IDS, IMAGES, MATCHED, require
from metadata.languages import of_label
from metadata.tallies import Tallies


class Finder(Protocol):
    """What finds the entries of one language: a Matcher, or the second engine."""

    def find(self, texts: pa.Array) -> pa.Array:
        """Return the positions of the entries in each text, as list<int32>."""


class Finders(Protocol):
    """The finder of each language that has entries, and the id of the language's first entry."""

    def of(self, language: str) -> tuple[Finder, int] | None:
        """Return finder and first id, or None for a language without entries."""


@dataclass(frozen=True)
class Matching:
    """All that matching needs: who tells languages, who finds entries, and how sure a language must be."""

    identifier: Identifier
    finders: Finders
    min_language_score: float = 0.0

    def match(self, batch: pa.RecordBatch, tallies: Tallies) -> pa.RecordBatch:
        """Return the MATCHED rows of an IMAGES batch: images with a match, and of their texts those with one.

        `tallies` gets, per language, the texts, those that the model identified and their scores, and those matched.
        """
        batch = require(batch, IMAGES)
        texts, offsets = parts(batch["texts"])
        languages, scores = self._languages(texts)
        entries = self._entries(texts.field("text"), languages)
        found = pc.greater(pc.list_value_length(entries), 0)
        _tally(languages, scores, found, tallies)
        columns = [texts.field("text"), texts.field("kind"), languages, scores, entries]
        candidates = pa.StructArray.from_arrays(columns, fields=list(CANDIDATE)).filter(found)
        return _images_with(batch, candidates, offsets, found.to_numpy(zero_copy_only=False))

    def _languages(self, texts: pa.StructArray) -> tuple[pa.Array, pa.Array]:
        """Return the language of each text, as the input or else the model states it, and the model's score."""
        given = texts.field("language")
        if given.null_count < len(given):
            labels = given.dictionary_encode()
            codes = [None if label is None else of_label(label).code for label in labels.dictionary.to_pylist()]
            given = pa.array(codes, pa.string()).take(labels.indices)
        unknown = given.is_null()
        names, scores = self.identifier.identify(texts.field("text").filter(unknown), self.min_language_score)
        no_scores = pa.nulls(len(texts), pa.float32())
        return pc.replace_with_mask(given, unknown, names), pc.replace_with_mask(no_scores, unknown, scores)

    def _entries(self, texts: pa.Array, languages: pa.Array) -> pa.Array:
        """Return the ids of the entries in each text, of its own language."""
        codes = languages.dictionary_encode()
        indices = codes.indices.to_numpy()
        order = np.argsort(indices, kind="stable")
        bounds = np.searchsorted(indices[order], np.arange(len(codes.dictionary) + 1))
        found = [
            self._of_language(code, texts.take(pa.array(order[begin:end])))
            for code, begin, end in zip(codes.dictionary.to_pylist(), bounds, bounds[1:], strict=False)
        ]
        if not found:
            return pa.nulls(0, ENTRY_IDS)
        return pa.concat_arrays(found).take(pa.array(np.argsort(order)))

    def _of_language(self, code: str, texts: pa.Array) -> pa.Array:
        known = self.finders.of(code)
        if known is None:
            return pa.ListArray.from_arrays(pa.array(np.zeros(len(texts) + 1, np.int32)), pa.nulls(0, pa.int32()))
        finder, first = known
        ids, offsets = parts(finder.find(texts))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(ids.to_numpy() + np.int32(first)))


def _tally(languages: pa.Array, scores: pa.Array, found: pa.Array, tallies: Tallies) -> None:
    table = pa.table({"language": languages, "score": scores, "found": found.cast(pa.int64())})
    sums = table.group_by("language", use_threads=False).aggregate(
        [("found", "count"), ("found", "sum"), ("score", "count"), ("score", "sum")]
    )
    for row in sums.to_pylist():
        tallies.add("language.texts", row["found_count"], row["language"])
        tallies.add("language.matched", row["found_sum"], row["language"])
        tallies.add("language.identified", row["score_count"], row["language"])
        tallies.add("language.score", row["score_sum"] or 0.0, row["language"])


def _images_with(batch, candidates: pa.Array, offsets: np.ndarray, found: np.ndarray) -> pa.RecordBatch:
    """Return the images of which at least one text is among `candidates`, with those."""
    found_before = np.append(0, np.cumsum(found))
    bounds = found_before[offsets]
    has = np.diff(bounds) > 0
    lists = pa.ListArray.from_arrays(pa.array(np.append(bounds[:-1][has], bounds[-1]), pa.int32()), candidates)
    columns = [batch[name].filter(pa.array(has)) for name in ("uid", "url", "page_url")]
    return pa.RecordBatch.from_arrays([*columns, lists], schema=MATCHED)
