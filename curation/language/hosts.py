"""Find the language of hosts by the sure texts on them: most hosts write in one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import SURE_SCORE
from curation.language.judging import LanguageRules, judge
from metadata.languages import OTHER

LEAST = 5  # different sure texts of a host
SHARE = 0.8  # of them in one language


def host_languages(
    texts: pa.Array, labelled: tuple[pa.DictionaryArray, pa.FloatArray], hosts: pa.StringArray
) -> pa.StringArray:
    """Return for each text the language in which SHARE of the sure texts of its host are, if these are LEAST.

    `labelled` is what the model says of the texts. The same text of a host counts once. A null text is none, and a
    null host has no language.
    """
    labels, scores = labelled
    languages, _ = judge(texts, labels, scores, LanguageRules())
    sure = pc.and_(pc.greater_equal(scores, SURE_SCORE), pc.not_equal(languages, OTHER.code))
    sure = np.flatnonzero(pc.and_(sure, hosts.is_valid()).fill_null(False))
    coded = hosts.dictionary_encode()
    own = coded.indices.fill_null(0).to_numpy()[sure]
    numbers, found = (column.take(pa.array(sure)).dictionary_encode() for column in (texts, languages))
    once = np.unique(own * np.int64(len(numbers.dictionary)) + numbers.indices.to_numpy(), return_index=True)[1]
    pairs, counts = np.unique(
        own[once] * np.int64(len(found.dictionary)) + found.indices.to_numpy()[once], return_counts=True
    )
    host, language = np.divmod(pairs, max(1, len(found.dictionary)))
    totals = np.bincount(own[once], minlength=len(coded.dictionary))
    most = (counts >= SHARE * totals[host]) & (totals[host] >= LEAST)
    of_host = np.full(len(coded.dictionary), -1)
    of_host[host[most]] = language[most]
    answers = found.dictionary.take(pa.array(of_host, mask=of_host < 0))
    return answers.take(coded.indices).cast(pa.string())
