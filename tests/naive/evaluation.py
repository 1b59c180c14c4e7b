"""Evaluation sets and texts from their definitions: one image after the other, every row of every table."""

import unicodedata
from hashlib import md5
from math import isfinite

from tests.naive.semantic_copies import naive_cosine


def naive_sets(image: dict, tables: dict[str, list[dict]], distance: int) -> dict[str, set[str]]:
    """Return the names of the sets that have an image by its url or uid, its sha256 and its phash."""
    found: dict[str, set[str]] = {"url": set(), "sha256": set(), "phash": set()}
    for name, rows in tables.items():
        for row in rows:
            if image["uid"] and image["uid"].lower() in naive_uids(row):
                found["url"].add(name)
            if image["sha256"] is not None and image["sha256"] == row["sha256"]:
                found["sha256"].add(name)
            own, *others = (
                each[column] for each, column in ((image, "phash"), (row, "phash"), (row, "phash_mirrored"))
            )
            if any(naive_near(own, other, distance) for other in others):
                found["phash"].add(name)
    return found


def naive_sets_by_cosine(vector, tables: dict[str, list], cosine: float) -> set[str]:
    """Return the names of the sets with an embedding of at least this cosine with a vector; None has no sets."""
    if vector is None or not any(vector) or not all(map(isfinite, vector)):
        return set()
    return {
        name
        for name, rows in tables.items()
        if any(row is not None and any(row) and naive_cosine(vector, row) >= cosine for row in rows)
    }


def naive_near(one: bytes | None, other: bytes | None, distance: int) -> bool:
    if one is None or other is None:
        return False
    numbers = [int.from_bytes(each, "big") for each in (one, other)]
    return not any(map(naive_plain, numbers)) and (numbers[0] ^ numbers[1]).bit_count() <= distance


def naive_uids(row: dict) -> set[str]:
    own = {row["uid"].lower()} if row["uid"] and len(row["uid"]) == 32 else set()
    return own | ({md5(row["url"].encode()).hexdigest()} if row["url"] else set())


def naive_plain(number: int) -> bool:
    return number.bit_count() <= 8


def naive_text(text: str) -> str:
    clean = " ".join(text.strip().splitlines())
    return unicodedata.normalize("NFC", clean.casefold())
