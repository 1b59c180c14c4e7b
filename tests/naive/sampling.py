"""Naive twins of counting, balancing, drawing and sampling, from their definitions."""

from fractions import Fraction
from hashlib import blake2b
from math import prod

MASK = 2**64 - 1


def naive_tail_share(counts: list[int], t: int) -> Fraction:
    return Fraction(sum(count for count in counts if count < t), sum(counts)) if sum(counts) else Fraction(0)


def naive_threshold(counts: list[int], p: Fraction) -> int:
    ascending = sorted(count for count in counts if count > 0)
    if not ascending:
        return 1
    distances = [abs(Fraction(sum(ascending[: i + 1]), sum(ascending)) - p) for i in range(len(ascending))]
    return ascending[distances.index(min(distances))]


def naive_rate(count: int, t: int) -> float:
    return min(1.0, t / count) if count else 1.0


def naive_keep_probability(entries: list[int] | None, rates: list[float]) -> float:
    return 1.0 - prod((1.0 - rates[entry] for entry in entries or []), start=1.0)


def naive_counts(texts: list[list[int] | None], size: int) -> list[int]:
    return [sum(entry in (text or []) for text in texts) for entry in range(size)]


def naive_siphash(data: bytes, key: bytes) -> int:
    def rotate(x, bits):
        return (x << bits | x >> (64 - bits)) & MASK

    def sip_round():
        v[0] = (v[0] + v[1]) & MASK
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    keys = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")] * 2
    v = [
        int.from_bytes(part, "big") ^ k
        for part, k in zip((b"somepseu", b"dorandom", b"lygenera", b"tedbytes"), keys, strict=True)
    ]
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) % 256])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= word
        sip_round()
        sip_round()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        sip_round()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def naive_draw(seed: int, purpose: str, uid: str, number: int = 0) -> float:
    return (naive_hash(seed, purpose, uid, number) >> 11) / 2**53


def naive_hash(seed: int, purpose: str, uid: str, number: int = 0) -> int:
    """The 64 bits of a draw; a number above 0 is mixed in by the end of XXH64."""
    key = blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    found = naive_siphash(uid.encode(), key)
    if number:
        found = (found + number * 0x9E3779B185EBCA87) & MASK
        found = (found ^ found >> 33) * 0xC2B2AE3D27D4EB4F & MASK
        found = (found ^ found >> 29) * 0x165667B19E3779F9 & MASK
        found ^= found >> 32
    return found


def naive_expected_size(image: dict, rates: list[float]) -> float:
    texts = image["candidates"] or []
    return sum(naive_keep_probability(text["entries"], rates) for text in texts) / len(texts) if texts else 0.0


def naive_sample(images: list[dict], rates: list[float], seed: int) -> list[dict]:
    kept = []
    for image in images:
        texts = image["candidates"] or []
        if not texts:
            continue
        text = texts[int(naive_draw(seed, "text", image["uid"]) * len(texts))]
        probability = naive_keep_probability(text["entries"], rates)
        if naive_draw(seed, "keep", image["uid"]) < probability:
            of_text = {name: text[name] for name in ("text", "language", "lid_score", "entries")}
            of_image = {"uid": image["uid"], "url": image["url"], "page_url": text["page_url"] or image["page_url"]}
            kept.append({**of_image, **of_text, "probability": probability})
    return kept
