"""Naive twins of online balancing: the pairs of an epoch, and the images in a tar."""

import hashlib
import json
import tarfile
from math import prod

from tests.naive.sampling import naive_draw


def naive_epoch(images: list[dict], rates: list[float], seed: int, epoch: int) -> list[tuple[str, str]]:
    """The (uid, text) that an epoch keeps; epoch 0 draws as a run of curate does."""
    suffix = f" in epoch {epoch}" if epoch else ""
    kept = []
    for image in images:
        texts = image["candidates"] or []
        if not texts:
            continue
        text = texts[int(naive_draw(seed, "text" + suffix, image["uid"]) * len(texts))]
        probability = 1.0 - prod((1.0 - rates[entry] for entry in text["entries"] or []), start=1.0)
        if naive_draw(seed, "keep" + suffix, image["uid"]) < probability:
            kept.append((image["uid"], text["text"]))
    return kept


def naive_samples(path) -> list[dict]:
    """The images of a tar as the standard library reads it, with their bytes."""
    with tarfile.open(path) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}
    found = []
    for name, content in contents.items():
        folder, _, base = name.rpartition("/")
        start, _, extension = base.partition(".")
        key = f"{folder}/{start}" if folder else start
        if extension.lower() in ("jpg", "jpeg", "png", "webp"):
            stated = json.loads(contents[key + ".json"])
            uid = stated.get("uid") or hashlib.md5(stated["url"].encode()).hexdigest()
            found.append({"uid": uid, "key": key, "image": extension.lower(), "bytes": content})
    return found


def naive_weighted_epoch(images: list[dict], weights: dict[str, float], seed: int, epoch: int) -> list[tuple[str, str]]:
    """The (uid, text) of an epoch that shows images by weights: the whole part, and once more by chance."""
    suffix = f" in epoch {epoch}" if epoch else ""
    shown = []
    for image in images:
        uid, texts = image["uid"], image["candidates"] or []
        weight = weights.get(uid, 0) if texts else 0
        times = int(weight) + (naive_draw(seed, "weight" + suffix, uid) < weight - int(weight))
        for number in range(times):
            shown.append((uid, texts[int(naive_draw(seed, "text" + suffix, uid, number) * len(texts))]["text"]))
    return shown


def naive_lift(
    groups: dict[str, list[list[int]]], sizes: dict[int, int], samples: int, power: float, most: float
) -> dict[str, float]:
    """The weight of each uid by its texts, a text being the groups that it belongs to, of so many images or texts.

    A cluster is the one group of an image's one text.
    """
    shares = {}
    for uid, texts in groups.items():
        of_texts = [max(sizes[group] ** power / sizes[group] for group in text) if text else 0.0 for text in texts]
        shares[uid] = sum(of_texts) / len(of_texts) if of_texts else 0.0
    total = sum(shares.values())
    return {uid: min(most, samples * share / total) for uid, share in shares.items()}
