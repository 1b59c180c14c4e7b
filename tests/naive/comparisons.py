"""Naive twin of `curation.plugins.compare`: set arithmetic over data frames that hold whole manifests."""

import math

import pandas as pd


def naive_images(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int]:
    """Return how many different images both have, and only one of them; `uid` names an image."""
    left = {*one["uid"].dropna()}
    right = {*other["uid"].dropna()}
    return {"both": len(left & right), "only_one": len(left - right), "only_other": len(right - left)}


def naive_languages(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the images that both have, and only one of them, by the language in `one`, else in `other`."""
    joined = one.merge(other, "outer", "uid", suffixes=("_one", "_other"), indicator=True)
    joined["language"] = joined["language_one"].fillna(joined["language_other"])
    names = {"both": "both", "left_only": "only_one", "right_only": "only_other"}
    rows: dict[str, dict[str, int]] = {}
    for (language, state), number in joined.groupby(["language", "_merge"], observed=True).size().items():
        rows.setdefault(language, dict.fromkeys(names.values(), 0))[names[state]] = int(number)
    return rows


def naive_other_texts(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """Return how many images both have with different texts."""
    joined = one.merge(other, "inner", "uid", suffixes=("_one", "_other"))
    return int((joined["text_one"] != joined["text_other"]).sum())


def naive_entries(sides: list[tuple[pd.DataFrame, pd.DataFrame]]) -> dict[tuple[str, str], list]:
    """Return counts, kept counts and change of each (language, entry); a side is its counts and its manifest."""
    found: dict[tuple[str, str], list] = {}
    for number, (counts, manifest) in enumerate(sides):
        kept = manifest["entries"].explode().value_counts().to_dict()
        for row in counts.to_dict("records"):
            figures = found.setdefault((row["language"], row["entry"]), [0, 0, 0, 0])
            figures[number] = row["count"]
            figures[2 + number] = kept.get(row["id"], 0)
    for figures in found.values():
        before, after = figures[2:]
        figures.append((after - before) / math.sqrt(1 + before + after))
    return found
