"""Semantic copies from their definition: one image after the other is compared with the leaders before it."""

from collections.abc import Callable
from math import fsum, sqrt


def naive_cosine(one, other) -> float:
    """Return the cosine of two vectors of numbers that a float64 can square."""
    products = [(float(a), float(b)) for a, b in zip(one, other, strict=True)]
    squares = fsum(a * a for a, _ in products) * fsum(b * b for _, b in products)
    return fsum(a * b for a, b in products) / sqrt(squares)


def naive_leaders(vectors, cosine: float) -> list[int]:
    """Return the place of the leader of each vector, in their order; a leader's own is its."""
    found: list[int] = []
    for row, vector in enumerate(vectors):
        near = [
            other for other in range(row) if found[other] == other and naive_cosine(vectors[other], vector) >= cosine
        ]
        found.append(near[0] if near else row)
    return found


def naive_copies(
    vectors: dict[str, list[float]], looks: list[dict[str, int]], draw: Callable[[str], float], cosine: float
) -> dict[str, str]:
    """Return the image that stays for each copy; images of a cluster come in the order of their draws.

    Each look has the cluster of each image. What has copies by an earlier look comes first, and stays.
    """
    copy_of: dict[str, str] = {}
    for clusters in looks:
        leading, left = {*copy_of.values()}, {uid: own for uid, own in clusters.items() if uid not in copy_of}
        for cluster in {*clusters.values()}:
            uids = sorted(
                (uid for uid, own in left.items() if own == cluster), key=lambda u: (u not in leading, draw(u))
            )
            for uid, leader in zip(uids, naive_leaders([vectors[uid] for uid in uids], cosine), strict=True):
                if uids[leader] != uid and uid not in leading:
                    copy_of[uid] = uids[leader]
    return copy_of


def naive_gone(images: list[str], copy_of: dict[str, str]) -> set[str]:
    """Return the copies among images that go: those whose leader is among them."""
    return {uid for uid in images if copy_of.get(uid) in images}
