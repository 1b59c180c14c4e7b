"""The judge from its definition: one text at a time, by the features that `judge_reasons` names."""

import math
from collections.abc import Iterable

from curation.leaves.gate.judge import Judge
from curation.leaves.gate.judge_reasons import Feature, Judged, features_of
from curation.schemas import IMAGE_PLACES, PAGE_KINDS


def naive_features(text: dict, image: dict) -> list[Feature]:
    """Return the features of one text of an image."""
    kind, signals = text.get("kind"), image["signals"] or 0
    places = sum(1 << number for number, bit in enumerate(IMAGE_PLACES.values()) if signals & bit)
    width, height = (-1 if image[name] is None else image[name] for name in ("stated_width", "stated_height"))
    page = text.get("page_url") or image["page_url"] or ""
    number = PAGE_KINDS.index(kind) if kind in PAGE_KINDS else len(PAGE_KINDS)
    return features_of(
        Judged(text["text"] or "", number, image["url"] or "", page, places, width, height, image["shown"] or -1)
    )


def naive_sums(judge: Judge, features: Iterable[Feature]) -> list[int]:
    """Return the sum of the weights of features, by output."""
    return [
        sum(int(weight) for weight in column)
        for column in zip(*(judge.weights[each.number] for each in features), strict=True)
    ]


def naive_probabilities(judge: Judge, text: dict, image: dict) -> list[float]:
    """Return how probable each output is; what is left is the probability that a text describes its picture."""
    sums = naive_sums(judge, naive_features(text, image))
    odds = [math.exp(judge.step * number + bias) for number, bias in zip(sums, judge.bias, strict=True)]
    return [each / (1 + sum(odds)) for each in odds]


def naive_why(judge: Judge, output: int, text: dict, image: dict) -> str:
    """Return how probable an output is, and the three features that weigh most for it."""
    weight_of: dict[str, int] = {}
    for feature in naive_features(text, image):
        name = f"{feature.kind} {feature.value}"
        weight_of[name] = weight_of.get(name, 0) + int(judge.weights[feature.number, output])
    most = sorted(weight_of, key=weight_of.get, reverse=True)[:3]
    said = ", ".join(name for name in most if weight_of[name] > 0)
    share = f"{min(int(100 * naive_probabilities(judge, text, image)[output]), 99)} %"
    return f"{share}: {said}" if said else share
