"""Captions in place of alt texts, from the definition: one image after the other."""

import math
from collections import Counter
from collections.abc import Callable

from icu4py.breakers import SentenceBreaker

Found = tuple[str, float, list[int]]  # language, score, entries


def naive_best(rows: list[dict], uid: str) -> str | None:
    """Return the caption of an image with the highest score, the first of equal ones; None where it has none."""
    own = [row for row in rows if row["uid"] == uid and (row["caption"] or "").strip()]
    return max(own, key=_score)["caption"] if own else None


def naive_captioned(
    images: list[dict], rows: list[dict], find: Callable[[str], Found], most: int
) -> tuple[list[dict], Counter]:
    """Return the images that are left, those with a caption with it alone, cut to `most` characters; and counts."""
    left, counts = [], Counter()
    for image in images:
        caption = naive_best(rows, image["uid"])
        if caption is None:
            left.append(image)
            counts["without"] += 1
            continue
        text = " ".join(caption.strip().splitlines())
        language, score, entries = find(text[:most].rstrip())
        counts["images"] += 1
        counts["cut"] += len(text) > most
        counts["removed"] += not entries
        if entries:
            only = {"text": text[:most].rstrip(), "kind": "caption", "language": language, "lid_score": score}
            left.append(
                image | {"candidates": [only | {"entries": entries, "page_url": None, "record": _record(image)}]}
            )
    return left, counts


def _record(image: dict) -> dict | None:
    """The record of the first text that is on the page of its image."""
    return next((text["record"] for text in image["candidates"] if text["page_url"] is None), None)


def _score(row: dict) -> float:
    score = row.get("score")
    return -math.inf if score is None or math.isnan(score) else score


def naive_source(draw: float, shares: dict[str, float]) -> str | None:
    """Return the source whose caption stands for a text, given its image's draw; None where the text stays."""
    end = 0.0
    for name in sorted(shares):
        end += shares[name]
        if draw < end:
            return name
    return None


def naive_sentence(sentences: list[str], kind: str, draw: float) -> str:
    """Return what a caption of these sentences shows: all of it, its first, or the one in whose part a draw lies."""
    if kind == "whole":
        return " ".join(sentences)
    ends = [place / len(sentences) for place in range(1, len(sentences) + 1)]
    return (
        sentences[0] if kind == "first" else next(one for one, end in zip(sentences, ends, strict=True) if draw < end)
    )


def naive_cut(text: str) -> list[str]:
    """The sentences of one caption, as ICU cuts it by itself."""
    return [each.strip() for each in SentenceBreaker(text, "root") if each.strip()]
