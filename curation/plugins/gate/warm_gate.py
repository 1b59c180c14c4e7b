"""Call each kernel of a gate once on made-up data, so that Numba compiles and caches it: see `runtime.warming`."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from curation.plugins.gate import evaluation
from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.policies import image_rules
from curation.plugins.gate.policies.policies import RULES
from curation.schemas import MATCHED
from runtime.warming import Call


def warm_text_kinds() -> None:
    """Warm the kernels that tell kinds of texts, such as addresses."""
    _apply("address")


def warm_signs() -> None:
    """Warm the kernel that finds digits and an @ in texts of many scripts."""
    _apply("phone_number")


def warm_phrases() -> None:
    """Warm the kernels that find phrases."""
    _apply("generic_text")


def warm_word_counts() -> None:
    """Warm the kernel that counts words."""
    _apply("min_words")


def warm_urls() -> None:
    """Warm the kernel that finds the parts of URLs."""
    image_rules.urls_of(_images())


def warm_url_words() -> None:
    """Warm the kernel that finds words in URLs."""
    _apply("url_words")


def warm_judge() -> None:
    """Warm the kernels by which texts are judged."""
    _apply("junk")


def warm_hashes() -> None:
    """Warm the kernels that compare hashes of images and of evaluation sets."""
    hashes = np.arange(4, dtype=np.uint64)[:, np.newaxis]
    kept = evaluation.HashesOfSets.of([hashes], 1)
    _make_read_only(kept)
    kept.find(hashes, 1)


def warm_embeddings() -> None:
    """Warm the kernels that compare embeddings of images and of evaluation sets."""
    vectors = np.eye(4, dtype=np.float32)
    kept = evaluation.VectorsOfSets.of([[vectors]], 0.9)
    _make_read_only(kept)
    kept.find(vectors)


def _make_read_only(kept: evaluation.Kept) -> None:
    """Make arrays read-only, as the arrays that workers open are."""
    for array in vars(kept).values():
        array.flags.writeable = False


# For the name of a rule's function: the calls that warm its kernels, and how many kernels only this call compiles.
_TEXTS: dict[Call, int] = {warm_text_kinds: 1}
_SIGNS = _TEXTS | {warm_signs: 1}
_PHRASES: dict[Call, int] = {warm_phrases: 2}
_JUDGE: dict[Call, int] = {warm_urls: 1, warm_judge: 48}
_CALLS: dict[str, dict[Call, int]] = {
    "is_of_kind": _TEXTS,
    "is_credit": _TEXTS,
    "has_personal_data": _SIGNS,
    "is_generic": _PHRASES,
    "is_logo_text": _PHRASES,
    "has_few_words": {warm_word_counts: 1},
    "has_url_word": {warm_urls: 1, warm_url_words: 1},
    "is_judged": _JUDGE,
}
HASHES: dict[Call, int] = {warm_hashes: 2}
EMBEDDINGS: dict[Call, int] = {warm_embeddings: 3}


def needed(names: Iterable[str]) -> dict[Call, int]:
    """Return the functions to call to warm all kernels of rules of these names, and how many kernels each warms."""
    calls: dict[Call, int] = {}
    for name in names:
        function = RULES[name].function
        if function is not None:
            calls |= _CALLS.get(function.__name__, {})
    return calls


def _apply(name: str) -> None:
    """Apply a rule to two made-up images."""
    rule = RULES[name]
    rule.filter(rule.numbers[0] if rule.numbers else None).mask(_images())


def _images() -> ImageBatch:
    candidates = [{"text": text, "language": "en", "kind": "alt"} for text in ("Menü 0123 456 789", "a cat, a dog")]
    rows = [{"uid": "0", "url": "https://a.example/logo/0.png", "candidates": candidates}] * 2
    return ImageBatch.of(pa.RecordBatch.from_pylist(rows, MATCHED))
