"""Naive twins of soft cap sampling: the same clocks brute force, and the draws one after the other by any chance."""

import heapq
import math
from decimal import Context, Decimal

from tests.naive.sampling import naive_hash

EXACT = Context(prec=40, Emax=10**15, Emin=-(10**15))


def naive_logits(rows: list[dict], weights: dict[str, float]) -> tuple[dict[str, float], int, int]:
    """The logit of each uid, and how many have no score, and one that is not finite; the first row of a uid counts."""
    found, without, not_finite = {}, 0, 0
    for row in rows:
        if any(row[name] is None for name in weights):
            without += 1
            continue
        logit = sum(weights[name] * row[name] for name in sorted(weights))
        if math.isfinite(logit):
            found[row["uid"]] = logit
        else:
            not_finite += 1
    return found, without, not_finite


def naive_waited(seed: int, uid: str, number: int) -> Decimal:
    """E of Exp(1): minus the logarithm of the middle of one of 2^52 equal parts of (0, 1)."""
    part = naive_hash(seed, "soft cap", uid, number) >> 12
    return -EXACT.ln(Decimal(2 * part + 1) / 2**53)


def naive_soft_cap(logits: dict[str, float], draws: int, penalty: float, seed: int) -> dict[str, int]:
    """How often each uid is among the first draws of all clocks; at one time the smaller uid comes first."""

    def step(uid: str, drawn: int) -> Decimal:
        rate = EXACT.subtract(Decimal(logits[uid]), Decimal(penalty) * drawn)
        return EXACT.divide(naive_waited(seed, uid, drawn + 1), EXACT.exp(rate))

    waiting = [(step(uid, 0), uid) for uid in logits]
    heapq.heapify(waiting)
    counts = dict.fromkeys(logits, 0)
    for _ in range(draws):
        time, uid = waiting[0]
        counts[uid] += 1
        heapq.heapreplace(waiting, (EXACT.add(time, step(uid, counts[uid])), uid))
    return counts


def naive_draws(logits: list[float], draws: int, penalty: float, random) -> list[int]:
    """How often each image is drawn, one draw after the other, by chances in proportion to exp(logit - penalty * k)."""
    counts = [0] * len(logits)
    for _ in range(draws):
        chances = [math.exp(logit - penalty * count) for logit, count in zip(logits, counts, strict=True)]
        counts[random.choices(range(len(logits)), chances)[0]] += 1
    return counts
