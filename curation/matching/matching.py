"""Match texts of any language: identify the language of each, and find the entries of that language in it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.thresholds import hold_any
from curation.config import CurationConfig
from curation.inputs.candidates import coded
from curation.language.engines import Identifier
from curation.language.label_decisions import LanguageRules, Stated, judge, weighed
from curation.matching.finders import Finders, built_finders
from curation.schemas import ENTRY_IDS, FOUND, KEYED, LABELS, PAIRS
from metadata.entries import Entries
from metadata.languages import OTHER, of_stated, unknown
from metadata.rules import Rules
from runtime.argument_types import typed
from runtime.arrow import parts, require, string_array
from runtime.errors import InputError
from runtime.messages import shown

_log = logging.getLogger(__name__)
Labelled = tuple[pa.DictionaryArray, pa.FloatArray]  # They are the label and the score of each text.
_ADDED = pa.schema([PAIRS.field(name) for name in PAIRS.names[len(KEYED.names) :]])


@typed
@dataclass(frozen=True)
class Matching:
    """All parts of matching: a language identifier, finders of entries, and the rules for accepting a language."""

    identifier: Identifier
    finders: Finders
    rules: LanguageRules = field(default_factory=LanguageRules)
    lettered: np.ndarray | None = None  # bool[id]: the entry has letters; None: texts need no such entry

    @classmethod
    def of(cls, entries: Entries, rules: Rules = "unicode", model: str | PathLike[str] | None = None) -> Matching:
        """Return a matching with the defaults of a run, without a folder or Spark; `model` defaults to lid.176.ftz."""
        return cls(Identifier.open(model), built_finders(entries, rules), LanguageRules.of(CurationConfig()))

    def find(
        self, texts: Iterable[str | None] | pa.Array, languages: Iterable[str | None] | pa.Array | None = None
    ) -> pa.RecordBatch:
        """Return a batch of `language`, `lid_score` and `entries`, one row per text.

        The model identifies the language of each text for which `languages` is null or not given. A null text has no
        language and no entries. A warning is logged if a language is not known. InputError unless there are as many
        languages as texts.
        """
        texts = string_array(texts, "texts")
        if isinstance(languages, str):
            raise InputError(
                f"languages must have one language for each of the {len(texts):,} texts; got the string "
                f"{shown(languages)}: pass [{shown(languages)}] * len(texts)"
            )
        codes = pa.nulls(len(texts), pa.string()) if languages is None else string_array(languages, "languages")
        if len(codes) != len(texts):
            raise InputError(f"{len(codes):,} languages were passed with {len(texts):,} texts; pass one for each")
        given = codes.unique().drop_null().to_pylist()
        if others := [code for code in given if code.strip() and of_stated(code) is None]:
            more = f" (and {len(others) - 1:,} more)" if len(others) > 1 else ""
            _log.warning("texts in an unknown language count as other: %s%s", unknown(others[0]), more)
        columns = self._added_columns(texts, codes, Stated.nothing(len(texts)), None)
        return columns.select([field.name for field in FOUND])

    def match(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a KEYED batch as PAIRS, that is, with the language and the entries of each text.

        If the batch has the columns LABELS, these labels and scores are used; otherwise the model predicts them.
        """
        rows = require(batch, KEYED)
        texts = string_array(rows["text"], "texts")
        languages = string_array(rows["given"], "languages")
        stated = Stated(rows["page_language"], rows["pool_language"])
        labelled = (batch["label"], batch["label_score"]) if LABELS[0] in batch.schema.names else None
        columns = self._added_columns(texts, languages, stated, labelled)
        return pa.RecordBatch.from_arrays([*rows.columns, *columns.columns], schema=PAIRS)

    def _added_columns(
        self, texts: pa.Array, languages: pa.Array, stated: Stated, labelled: Labelled | None
    ) -> pa.RecordBatch:
        """Return the columns that PAIRS has beyond KEYED: language, score, entries and reason of each text."""
        names, scores, reasons = self._languages(texts, languages, stated, labelled)
        entries = self._with_evidence(self._entries(texts, names.fill_null(OTHER.code)))
        return pa.RecordBatch.from_arrays([names, scores, entries, reasons], schema=_ADDED)

    def _with_evidence(self, entries: pa.Array) -> pa.Array:
        """Return the lists of ids; if `lettered` is set, a list without an entry that has letters becomes empty."""
        if self.lettered is None:
            return entries
        ids, offsets = parts(entries)
        lengths = np.diff(offsets)
        proven = hold_any(entries, self.lettered)
        kept = pa.array(np.append(0, np.cumsum(lengths * proven)), pa.int32())
        return pa.ListArray.from_arrays(kept, ids.filter(pa.array(np.repeat(proven, lengths))))

    def _languages(
        self, texts: pa.Array, languages: pa.Array, stated: Stated, labelled: Labelled | None = None
    ) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Return the language of each text, the model's score, and the reason, as `judge` returns it.

        A language in `languages` is taken as it is; its score and reason are null.
        """
        if languages.null_count == len(languages):
            return self._identified(texts, stated, labelled)
        languages = coded(languages)
        unknown = languages.is_null()
        labelled = labelled and (labelled[0].filter(unknown), labelled[1].filter(unknown))
        stated = stated.take(pa.array(np.flatnonzero(unknown)))
        names, scores, reasons = self._identified(texts.filter(unknown), stated, labelled)
        no_scores = pa.nulls(len(texts), pa.float32())
        no_reasons = pa.nulls(len(texts), pa.string())
        return (
            pc.replace_with_mask(languages, unknown, names),
            pc.replace_with_mask(no_scores, unknown, scores),
            pc.replace_with_mask(no_reasons, unknown, reasons),
        )

    def _identified(
        self, texts: pa.Array, stated: Stated, labelled: Labelled | None
    ) -> tuple[pa.Array, pa.Array, pa.Array]:
        labels, scores = labelled or self.identifier.predict(texts)
        if self.rules.pool_shares:
            pools = weighed(texts, (labels, scores), self.identifier, self.rules.pool_shares)
            stated = replace(stated, pools=pools)
        languages, reasons = judge(texts, labels, scores, self.rules, stated)
        return languages, scores, reasons

    def _entries(self, texts: pa.Array, languages: pa.Array) -> pa.Array:
        """Return, for each text, the ids of the entries that it contains, among the entries of its language."""
        codes = languages.dictionary_encode()
        # NumPy's stable sort takes linear time for numbers of one or two bytes.
        indices = codes.indices.to_numpy().astype(np.min_scalar_type(len(codes.dictionary)))
        order = np.argsort(indices, kind="stable")
        bounds = np.searchsorted(indices[order], np.arange(len(codes.dictionary) + 1))
        entries_by_language = [
            self.finders.find(code, texts.take(pa.array(order[begin:end])))
            for code, begin, end in zip(codes.dictionary.to_pylist(), bounds, bounds[1:], strict=False)
        ]
        if not entries_by_language:
            return pa.nulls(0, ENTRY_IDS)
        positions = np.empty_like(order)
        positions[order] = np.arange(len(order))
        return pa.concat_arrays(entries_by_language).take(pa.array(positions))
