"""The last draw of all clocks is that of a queue, and draws are distributed as those one after the other."""

import random
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curation.leaves.export import soft_cap as last_draw
from curation.leaves.export.soft_cap import LOGITS, PURPOSE, Clocks, SoftCap
from runtime.draws import draw_hashes
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import part_writer
from tests.naive.soft_cap import naive_draws, naive_soft_cap
from tests.support.in_turn import in_turn

POOLS = {
    "equal": [0.0] * 40,
    "spread": [random.Random(1).gauss(0, 2) for _ in range(60)],
    "far apart": [0.0, -745.2, 700.0, 1e4, -1e4, 9e3, 1e4 - 1, 9999.5],
    "one": [-3.0],
    "steps of the penalty": [0.15 * number for number in range(30)],
}
CASES = [
    (name, draws, penalty)
    for name in POOLS
    for draws, penalty in ((1, 0.15), (7, 0.0), (40, 0.15), (333, 0.15), (100, 3.7), (150, 100.0), (400, 0.01))
]


def uid_of(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"


def files_of(folder: Path, logits: dict[str, float], files: int, seed: int, keys=None) -> list[OwnFile]:
    """Write files of logits."""
    found, uids = [], list(logits)
    for number in range(files):
        own = pa.array(uids[number * len(uids) // files : (number + 1) * len(uids) // files], pa.string())
        columns = [
            own,
            draw_hashes(seed, PURPOSE, own) if keys is None else keys(own),
            [logits[uid] for uid in own.to_pylist()],
        ]
        path = folder / f"{number}.parquet"
        with part_writer(path, LOGITS, 16) as writer:
            writer.write(pa.RecordBatch.from_arrays([*map(pa.array, columns)], schema=LOGITS))
        found.append(OwnFile(path, writer.checksum, ""))
    return found


def drawn(folder: Path, logits: dict[str, float], soft_cap: SoftCap, files: int = 2, keys=None) -> dict[str, int]:
    """How often each uid is drawn."""
    own = files_of(folder, logits, files, soft_cap.seed, keys)
    clocks = Clocks(float(soft_cap.penalty), soft_cap.decay, max(logits.values()))
    last = clocks.last(in_turn(), own, soft_cap.draws, folder)
    found = [
        pair for file in own for uids, number in clocks.drawn(file, last) for pair in zip(uids, number, strict=True)
    ]
    return {uid.as_py(): int(number) for uid, number in found}


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "draws", "penalty"), CASES)
def test_the_first_draws_of_the_clocks_are_those_of_a_queue(tmp_path, pool, draws, penalty):
    logits = {uid_of(number): logit for number, logit in enumerate(POOLS[pool])}
    expected = naive_soft_cap(logits, draws, penalty, seed=draws)
    assert drawn(tmp_path, logits, SoftCap({"a": 1}, draws, penalty, draws)) == expected
    assert sum(expected.values()) == draws


def test_an_image_far_below_is_drawn_once_the_others_have_fallen_as_far(tmp_path):
    logits = {uid_of(0): 0.0, uid_of(1): -2000.0}
    counts = drawn(tmp_path, logits, SoftCap({"a": 1}, 2000, 2.0))
    assert counts == naive_soft_cap(logits, 2000, 2.0, 0)
    assert 450 < counts[uid_of(1)] < 550  # after about a thousand of the other's they take turns


def test_logits_at_the_ends_of_the_numbers_leave_what_is_above_them(tmp_path):
    logits = dict(zip(map(uid_of, range(4)), [1.7e308, -1.7e308, 1e300, 1.7e308], strict=True))
    top = naive_soft_cap({uid_of(0): 0.0, uid_of(3): 0.0}, 50, 0.15, 0)
    assert drawn(tmp_path, logits, SoftCap({"a": 1}, 50)) == dict.fromkeys(logits, 0) | top


@pytest.mark.parametrize("few", [0, 1, 3])
def test_passes_narrow_down_to_one_time(tmp_path, monkeypatch, few):
    monkeypatch.setattr(last_draw, "FEW", few)
    logits = {uid_of(number): logit for number, logit in enumerate(POOLS["spread"])}
    assert drawn(tmp_path, logits, SoftCap({"a": 1}, 100)) == naive_soft_cap(logits, 100, 0.15, 0)


@pytest.mark.parametrize("bounds", [(1, 2), (2**63, 2**63 + 1), (2**64 - 2**53, 2**64 - 2**53 + 9)])
def test_wrong_expectations_cost_passes_alone(tmp_path, monkeypatch, bounds):
    bounds = tuple(map(last_draw._bits, {1: (-99.0, -98.0), 2**63: (0.0, 0.1)}.get(bounds[0], (40.0, 41.0))))
    monkeypatch.setattr(Clocks, "_expected", lambda *_: bounds)
    logits = {uid_of(number): logit for number, logit in enumerate(POOLS["spread"])}
    assert drawn(tmp_path, logits, SoftCap({"a": 1}, 100)) == naive_soft_cap(logits, 100, 0.15, 0)


@pytest.mark.parametrize(("draws", "few"), [(3, 4096), (25, 4096), (25, 0), (20, 0)])
def test_at_one_time_the_smaller_uid_comes_first(tmp_path, monkeypatch, draws, few):
    monkeypatch.setattr(last_draw, "FEW", few)
    logits = {uid_of(number): 0.0 for number in range(10)}
    counts = drawn(tmp_path, logits, SoftCap({"a": 1}, draws), 3, lambda uids: np.full(len(uids), 7, np.uint64))
    rounds, rest = divmod(draws, 10)
    assert counts == {uid: rounds + (place < rest) for place, uid in enumerate(sorted(logits))}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_draws_of_an_image(tmp_path):
    logits = {uid_of(0): 0.0}
    drawn(tmp_path, logits, SoftCap({"a": 1}, 1, 0.0))  # kernels are compiled
    tracemalloc.start()
    assert drawn(tmp_path, logits, SoftCap({"a": 1}, 2_000_000, 0.0)) == {uid_of(0): 2_000_000}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20


def chi_square(seen: Counter, expected: Counter) -> tuple[float, int]:
    """The statistic of two samples of one size, of outcomes that are not rare, and its degrees of freedom."""
    common = [key for key in seen | expected if seen[key] + expected[key] >= 20]
    cells = [(seen[key], expected[key]) for key in common]
    cells += [tuple(sum(counter.values()) - sum(counter[key] for key in common) for counter in (seen, expected))]
    cells = [cell for cell in cells if sum(cell)]
    return sum((one - other) ** 2 / (one + other) for one, other in cells), len(cells) - 1


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 0.15, 1.0])
def test_outcomes_are_distributed_as_draws_one_after_the_other(tmp_path, penalty):
    logits, draws, trials = [0.0, 0.5, -1.0, 1.2], 6, 4000
    chance = random.Random(5)
    expected = Counter(tuple(naive_draws(logits, draws, penalty, chance)) for _ in range(trials))
    # All trials are pools of their own, whose times are counted in one file.
    uids = [f"{trial} {number}" for trial in range(trials) for number in range(len(logits))]
    keys = draw_hashes(0, PURPOSE, uids).reshape(trials, len(logits))
    clocks = Clocks(penalty, SoftCap({"a": 1}, 1, penalty).decay, max(logits))
    below, seen = max(logits) - np.array(logits), Counter()
    for own in keys:
        times = np.empty((len(logits), draws), np.uint64)
        for image in range(len(logits)):
            last_draw.kernels.times_of(own[image], below[image], clocks.penalty, clocks.decay, 0, times[image])
        last = int(np.sort(times.ravel())[draws - 1])
        seen[tuple(clocks.until(own, below, last).tolist())] += 1
    statistic, freedom = chi_square(seen, expected)
    assert freedom > 20
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5
