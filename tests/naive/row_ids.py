"""Naive twins of curation.image_ids: MD5 of the standard library, XXH64 from the published specification."""

from hashlib import md5

BITS = 2**64
ONE, TWO, THREE = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
FOUR, FIVE = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def naive_uid(url: str | None, given: str | None = None) -> str | None:
    if given is not None or url is None:
        return given
    return md5(url.encode()).hexdigest()


def naive_hash(*values: str | None) -> int:
    """Return what Spark's xxhash64 gives for a row of strings: what came before is the seed of the next."""
    total = 42
    for value in values:
        if value is not None:
            total = naive_xxhash64(value.encode(), total)
    return total - BITS if total >= BITS // 2 else total


def naive_xxhash64(data: bytes, seed: int) -> int:
    stripes = [data[i : i + 32] for i in range(0, len(data) - 31, 32)]
    rest = data[32 * len(stripes) :]
    if stripes:
        lanes = [seed + ONE + TWO, seed + TWO, seed, seed - ONE]
        for stripe in stripes:
            lanes = [one_round(lane, number(stripe[8 * k : 8 * k + 8])) for k, lane in enumerate(lanes)]
        total = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) % BITS
        for lane in lanes:
            total = ((total ^ one_round(0, lane)) * ONE + FOUR) % BITS
    else:
        total = seed + FIVE
    total = (total + len(data)) % BITS
    while len(rest) >= 8:
        total = (rotate(total ^ one_round(0, number(rest[:8])), 27) * ONE + FOUR) % BITS
        rest = rest[8:]
    if len(rest) >= 4:
        total = (rotate(total ^ number(rest[:4]) * ONE % BITS, 23) * TWO + THREE) % BITS
        rest = rest[4:]
    for byte in rest:
        total = rotate(total ^ byte * FIVE % BITS, 11) * ONE % BITS
    for shift, prime in ((33, TWO), (29, THREE), (32, 1)):
        total = (total ^ total >> shift) * prime % BITS
    return total


def one_round(lane: int, word: int) -> int:
    return rotate((lane + word * TWO) % BITS, 31) * ONE % BITS


def rotate(x: int, bits: int) -> int:
    x %= BITS
    return (x << bits | x >> (64 - bits)) % BITS


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")
