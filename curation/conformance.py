"""Check an implementation of the algorithm against cases whose results follow from the definition of the algorithm.

`python -m curation.conformance` checks this package, and with `--cases` prints the path of the file of cases. Other
programs can read this file, as docs/reference/files/conformance.md describes.
"""

import json
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from math import isclose
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balancing.manifest import keep_probability, sample_batch
from curation.balancing.thresholds import EntryCounts, Thresholds, rates, tail_share, threshold
from curation.image_ids import uids
from curation.matching.matcher import Matcher
from curation.schemas import SAMPLED
from runtime.draws import draws

CASES = files("curation").joinpath("conformance.json")


def _thresholds(counts: dict[str, list[int]], english_threshold: int) -> dict[str, Any]:
    thresholds = Thresholds.of(counts, english_threshold)
    return {"tail_share": thresholds.tail_share, "thresholds": dict(thresholds.of_language)}


def _sample(images: list[dict], rates: list[float], seed: int) -> list[dict]:
    texts = ([{"text": str(i), "entries": ids} for i, ids in enumerate(image["texts"])] for image in images)
    rows = [{"uid": image["uid"], "candidates": candidates} for image, candidates in zip(images, texts, strict=True)]
    kept = sample_batch(pa.RecordBatch.from_pylist(rows, SAMPLED), np.array(rates), seed).to_pylist()
    return [{"uid": row["uid"], "text": int(row["text"]), "probability": row["probability"]} for row in kept]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "match": lambda texts, entries, rules: Matcher.build(entries, rules).find(texts).to_pylist(),
    "count": lambda texts, size: EntryCounts.zeros(size, "").count(texts).values.tolist(),
    "tail_share": tail_share,
    "threshold": threshold,
    "thresholds": _thresholds,
    "rates": lambda counts, t: rates(counts, t).tolist(),
    "keep_probability": lambda entries, rates: keep_probability(entries, rates).tolist(),
    "uids": lambda urls: uids(urls).to_pylist(),
    "draws": lambda seed, purpose, uids: draws(seed, purpose, uids).tolist(),
    "sample": _sample,
}


def checked(functions: Mapping[str, Callable[..., Any]] = FUNCTIONS) -> dict[str, dict[str, bool]]:
    """Call `functions` with all cases; return, by function name and case label, whether the result was as expected."""
    content = json.loads(CASES.read_text("utf-8"))
    answers: dict[str, dict[str, bool]] = {name: {} for name in functions}
    for case in content["cases"]:
        if function := functions.get(case["function"]):
            tolerance = content["tolerance"].get(case["function"], 0.0)
            answers[case["function"]][case["label"]] = alike(function(**case["given"]), case["expected"], tolerance)
    return answers


def alike(actual: Any, expected: Any, tolerance: float) -> bool:
    """Return whether `actual` equals `expected`, member by member; floats may differ by the relative `tolerance`."""
    if not isinstance(expected, dict | list):
        return isclose(actual, expected, rel_tol=tolerance) if isinstance(expected, float) else bool(actual == expected)
    if type(actual) is not type(expected) or len(actual) != len(expected):
        return False
    if isinstance(expected, list):
        return all(map(alike, actual, expected, [tolerance] * len(expected)))
    return all(key in actual and alike(actual[key], expected[key], tolerance) for key in expected)


if __name__ == "__main__":
    if sys.argv[1:] == ["--cases"]:
        sys.exit(print(CASES))
    passed = checked()
    for name, answers in passed.items():
        print(f"{name:16}  {sum(answers.values()):3} of {len(answers):3} cases as expected")
        print("".join(f"    not so: {label}\n" for label, is_right in answers.items() if not is_right), end="")
    sys.exit(not all(is_right for answers in passed.values() for is_right in answers.values()))
