"""Batches that know entries are those of greedy choice, and the same for every layout of readers and after a resume."""

import json
import random
from fractions import Fraction
from itertools import chain, islice
from math import e

import numpy as np
import pytest

from curation import online
from curation.plugins.online.batches import ByEntries, chosen_rows, lists_at
from curation.plugins.online.epochs import Epoch, order_of_blocks
from runtime.errors import InputError
from tests.naive.batches import naive_best, naive_greedy, naive_most, naive_sum
from tests.support.online_run import FORKS, pairs

pytestmark = pytest.mark.kernels

ENTRIES = 12
# Powers of two: shares and sums that floats have exactly do not hide which of two equal samples comes first.
TARGETS = {"diverse": [1] * ENTRIES, "target": [0, 4, 2, 1, 0.5, 0.5, 0, 0, 8, 1, 1, 0.25]}


def drawn(chance, number, most=4):
    """Samples of 1 to 4 entries, low ones more often; some samples are alike."""
    ranks = [1 / (1 + entry) for entry in range(ENTRIES)]
    return [sorted({*chance.choices(range(ENTRIES), ranks, k=chance.randint(1, most))}) for _ in range(number)]


def lists(samples):
    """The ids and offsets of samples."""
    return np.array([*chain.from_iterable(samples)], np.int32), np.cumsum([0, *map(len, samples)])


@pytest.mark.parametrize("seed", range(3))
def test_lists_of_several_parts_are_taken_in_the_order_that_is_given(seed):
    chance = random.Random(seed)
    samples = [drawn(chance, number) for number in (5, 1, 9)]
    order = chance.sample(range(15), 12)
    parts = [(ids, offsets[:-1], offsets[1:]) for ids, offsets in map(lists, samples)]
    ids, offsets = lists_at(np.array(order), parts)
    wanted, starts = lists([[*chain.from_iterable(samples)][number] for number in order])
    assert (ids.tolist(), offsets.tolist()) == (wanted.tolist(), starts.tolist())


@pytest.mark.parametrize("form", TARGETS)
@pytest.mark.parametrize("seed", range(6))
def test_a_batch_is_that_of_greedy_choice(form, seed):
    chance, targets = random.Random(seed), [Fraction(t) for t in TARGETS[form]]
    samples, size = drawn(chance, 30), chance.choice([1, 7, 15, 30])
    found = chosen_rows(*lists(samples), size, np.array(TARGETS[form], float)).tolist()
    expected = naive_greedy(samples, targets, size)
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one != other:  # rounding may tell equal sums apart, and from there on batches differ
            sums = [naive_sum([samples[i] for i in (*expected[:step], each)], targets) for each in (one, other)]
            assert float(sums[0]) == pytest.approx(float(sums[1]), rel=1e-14)
            break


@pytest.mark.parametrize("form", TARGETS)
def test_a_batch_is_that_of_greedy_choice_with_shares_that_floats_have(form):
    chance, targets = random.Random(1), TARGETS[form]
    for _ in range(6):
        samples = [[entry] for entry in chance.choices(range(ENTRIES), k=25)]
        found = chosen_rows(*lists(samples), 20, np.array(targets, float)).tolist()
        assert found == naive_greedy(samples, [Fraction(t) for t in targets], 20)


@pytest.mark.parametrize("form", TARGETS)
def test_a_batch_is_near_the_best_one(form):
    targets = [Fraction(t) for t in TARGETS[form]]
    for seed in range(8):
        samples = drawn(random.Random(seed), 10)
        found = chosen_rows(*lists(samples), 5, np.array(TARGETS[form], float))
        reached = naive_sum([samples[i] for i in found], targets) / naive_best(samples, targets, 5)
        assert 1 - 1 / e < reached <= 1
        assert reached > 0.95  # seen; the bound is for the worst of all sets


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_has_the_samples_with_most_entries(seed):
    chance = random.Random(seed)
    samples = [*drawn(chance, 30, most=6), [], [0], []]
    size = chance.choice([1, 7, 33])
    targets = ByEntries(size, most=True).targets(ENTRIES)
    assert chosen_rows(*lists(samples), size, targets).tolist() == naive_most(samples, size)


def entropy(entries):
    shares = np.bincount(np.concatenate(entries)) / sum(map(len, entries))
    shares = shares[shares > 0]
    return -(shares * np.log(shares)).sum()


def test_diverse_batches_have_more_entropy_than_random_ones():
    chance = np.random.default_rng(0)
    ranks = 1 / np.arange(1, 2001)
    for _ in range(5):
        samples = [np.unique(chance.choice(2000, 5, p=ranks / ranks.sum())) for _ in range(2000)]
        found = chosen_rows(*lists(samples), 400, ByEntries(400).targets(2000))
        assert len({*found.tolist()}) == 400
        randoms = [entropy([samples[i] for i in chance.choice(2000, 400, replace=False)]) for _ in range(20)]
        assert entropy([samples[i] for i in found]) > max(randoms) + 0.3


def test_batches_of_a_target_are_nearer_to_it_than_random_ones():
    chance = np.random.default_rng(0)
    target = np.array([4, 3, 2, 1, 0, 0])
    samples = [chance.choice(6, chance.integers(1, 4), replace=False) for _ in range(1000)]

    def distance(rows):
        masses = np.zeros(6)
        for row in rows:
            masses[samples[row]] += 1 / len(samples[row])
        return np.abs(masses / len(rows) - target / 10).sum() / 2

    found = chosen_rows(*lists(samples), 100, ByEntries(100, target).targets(6))
    assert distance(found) < 0.03
    assert min(distance(chance.choice(1000, 100, replace=False)) for _ in range(20)) > 0.2


def dataset(made, rank=0, ranks=1, batches=None, **options):
    config = online.OnlineConfig(1, 4, batches=batches or ByEntries(8))
    return online.BalancedDataset(made.index, made.rates, config, world=online.World(rank, ranks), **options)


def in_batches(found, size=8):
    return [found[begin : begin + size] for begin in range(0, len(found), size)]


@pytest.mark.parametrize("batches", [ByEntries(8), ByEntries(8, most=True)])
def test_each_super_batch_gives_the_samples_that_were_chosen_of_its_blocks(made, needs_torch, batches):
    config = online.OnlineConfig(1, 4)
    order = order_of_blocks(int(made.index.first_blocks[-1]), 1, 0)
    expected = []
    entries_of = {text["text"]: text["entries"] for row in made.there for text in row["candidates"]}
    for begin in range(0, len(order), 4):
        kept = Epoch(made.index, made.rates, config, 0).kept(order[begin : begin + 4])
        entries = lists([entries_of[text] for text in kept["text"].to_pylist()])
        if len(kept) >= 8:
            rows = np.sort(chosen_rows(*entries, 8, batches.targets(5)))
            expected += zip(*(kept.take(rows)[name].to_pylist() for name in ("uid", "text")), strict=True)
    assert pairs(dataset(made, batches=batches)) == expected
    assert len(expected) == 8 * dataset(made, batches=batches).steps(8) > 0


@FORKS
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more workers than cores
@pytest.mark.parametrize("batches", [ByEntries(8), ByEntries(8, most=True)])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_stream_is_the_same_for_any_number_of_workers(made, needs_torch, workers, batches):
    loader = needs_torch.utils.data.DataLoader(
        dataset(made, transform=lambda sample: sample["__uid__"], batches=batches),
        batch_size=8,
        num_workers=workers,
        multiprocessing_context="fork",
    )
    assert [*loader] == in_batches([uid for uid, _ in pairs(dataset(made, batches=batches))])


def test_ranks_take_turns_with_the_batches_of_one_stream(made, needs_torch):
    whole = in_batches(pairs(dataset(made)))
    for ranks in (2, 3):
        found = [in_batches(pairs(dataset(made, rank, ranks))) for rank in range(ranks)]
        assert found == [whole[rank::ranks] for rank in range(ranks)]
        assert {dataset(made, rank, ranks).steps(8) for rank in range(ranks)} == {len(whole) // ranks}


@pytest.mark.parametrize("batches", [ByEntries(8), ByEntries(8, most=True)])
@pytest.mark.parametrize("done", [0, 5, 8, 19])
def test_a_stream_goes_on_where_it_was_left(made, needs_torch, done, batches):
    whole = pairs(dataset(made, batches=batches))
    left, resumed = (dataset(made, batches=batches) for _ in range(2))
    assert len([*islice(left, done)]) == done
    resumed.load_state_dict(json.loads(json.dumps(left.state_dict())))
    assert pairs(resumed) == whole[done:]


def test_a_state_of_other_batches_is_refused(made, needs_torch):
    target = ByEntries(8, [1, 0, 0, 2, 1])
    state = json.loads(json.dumps(dataset(made, batches=target).state_dict()))
    dataset(made, batches=ByEntries(8, np.array([1, 0, 0, 2, 1]))).load_state_dict(state)
    for other in (
        ByEntries(8),
        ByEntries(8, most=True),
        ByEntries(4, [1, 0, 0, 2, 1]),
        ByEntries(8, [1, 0, 0, 2, 2]),
    ):
        with pytest.raises(InputError, match="resume with the same"):
            dataset(made, batches=other).load_state_dict(state)
    assert "batches" not in made.dataset().state_dict()["layout"]


def test_super_batches_that_are_too_small_are_refused(made, needs_torch):
    for use in (list, lambda small: small.steps(100)):
        with pytest.raises(InputError, match="mixed_blocks is 4, and no super-batch of as many blocks keeps 100"):
            use(dataset(made, batches=ByEntries(100)))
        with pytest.raises(
            InputError, match="mixed_blocks is 30, and no .* keeps 400 .*; pass more, or smaller batches"
        ):
            use(online.BalancedDataset(made.index, made.rates, online.OnlineConfig(1, 30, batches=ByEntries(400))))
    with pytest.raises(InputError, match="batch_size is 6"):
        dataset(made).steps(6)


def test_a_reader_has_no_batch_where_only_super_batches_of_others_are_large_enough(made, needs_torch):
    config = online.OnlineConfig(1, 4)
    order = order_of_blocks(int(made.index.first_blocks[-1]), 1, 0)
    kept = Epoch(made.index, made.rates, config, 0).kept
    sizes = [len(kept(order[begin : begin + 4])) for begin in range(0, len(order), 4)]
    most, ranks = max(sizes), len(sizes)
    found = [pairs(dataset(made, rank, ranks, ByEntries(most))) for rank in range(ranks)]
    assert [len(each) for each in found] == [most * (size == most) for size in sizes]


@pytest.mark.parametrize(
    ("batch", "target", "fault"),
    [
        (0, None, "batch is 0"),
        (8, [1.0, -1.0], "negative"),
        (8, [0, 0], "no number above 0"),
        (8, [1.0, np.nan], "negative or infinite"),
        (8, [[1.0]], "pass one number per entry"),
        (8, ["a"], "pass one number per entry"),
    ],
)
def test_batches_that_cannot_be_are_refused(batch, target, fault):
    with pytest.raises(InputError, match=fault):
        ByEntries(batch, target)


def test_a_batch_of_most_entries_has_no_target():
    with pytest.raises(InputError, match="most and target choose batches in different ways"):
        ByEntries(8, [1.0], most=True)


def test_a_target_of_other_entries_is_refused(made, needs_torch):
    with pytest.raises(InputError, match="the target has 2 numbers, but there are 5 entries"):
        dataset(made, batches=ByEntries(8, [1, 2]))


def test_samples_without_entries_come_last():
    assert chosen_rows(*lists([[], [], [0]]), 3, np.ones(1)).tolist() == [2, 0, 1]
