"""Naive twins of clusters by uid and of the images of an expert, from their definitions."""

from fractions import Fraction

from tests.naive.sampling import naive_draw


def naive_clusters(rows: list[dict], uids: list[str]) -> list[dict]:
    """The clusters of each uid, None where a table has none."""
    found = {row["uid"]: row for row in rows}
    return [{name: found.get(uid, {}).get(name) for name in ("coarse", "fine", "distance")} for uid in uids]


def naive_chance(kept: list[str], coarse: dict[str, int], chosen: set[int], share: Fraction) -> Fraction:
    """The probability of an outsider: with it, the expected outsiders are `share` of the expert's kept images."""
    own = sum(coarse.get(uid) in chosen for uid in kept)
    others = sum(uid in coarse and coarse[uid] not in chosen for uid in kept)
    expected = own / (1 - share) - own  # of outsiders
    return expected / others if share else Fraction(0)


def naive_takes(uids: list[str], coarse: dict[str, int], chosen: set[int], chance: Fraction, seed: int) -> list[bool]:
    """Whether an expert trains on each image."""
    is_drawn = {uid: naive_draw(seed, "outsider", uid) < chance for uid in uids}
    return [uid in coarse and (coarse[uid] in chosen or is_drawn[uid]) for uid in uids]
