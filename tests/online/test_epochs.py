"""An epoch keeps what the definition says; over many epochs the frequencies are the probabilities."""

from collections import Counter

import numpy as np
import pytest

from curation.balancing.sampling import sample_batch
from curation.plugins.online.batches import OnlineConfig
from curation.plugins.online.epochs import Epoch, draw, order_of_blocks
from tests.naive.online import naive_epoch
from tests.support.online_run import batch, images, nasty

EPOCHS = 200


@pytest.mark.parametrize(("start", "length"), [(0, 42), (0, 0), (3, 20), (30, 12), (1, 1)])
def test_an_epoch_keeps_what_the_definition_says_of_every_slice(start, length):
    rates = np.array([0.2, 0.5, 0.3, 0.05, 0.7])
    part, rows = batch(nasty()).slice(start, length), nasty()[start : start + length]
    for seed, epoch in ((0, 0), (0, 1), (7, 12)):
        drawn = draw(part, rates, OnlineConfig(seed), epoch)
        found = list(zip(part.column("uid").take(drawn.rows).to_pylist(), drawn.texts.to_pylist(), strict=True))
        assert found == naive_epoch(rows, rates.tolist(), seed, epoch)


def test_epoch_0_keeps_the_pairs_of_the_curated_manifest():
    rows, rates = batch(images(500)), np.array([0.2, 0.5, 0.3, 0.05, 0.7])
    drawn, curated = draw(rows, rates, OnlineConfig(3), 0), sample_batch(rows, rates, 3)
    assert rows.column("uid").take(drawn.rows).equals(curated["uid"])
    assert drawn.texts.equals(curated["text"])
    assert drawn.probability.tolist() == curated["probability"].to_pylist()


def test_blocks_are_dealt_out_in_another_order_each_epoch():
    orders = [order_of_blocks(50, 0, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert order_of_blocks(0, 0, 0).tolist() == []


@pytest.fixture(scope="module")
def seen(made):
    """How often 200 epochs kept each (uid, text)."""
    counter = Counter()
    for number in range(EPOCHS):
        kept = Epoch(made.index, made.rates, OnlineConfig(5), number).kept(range(21))
        counter.update(zip(kept["uid"].to_pylist(), kept["text"].to_pylist(), strict=True))
    return counter


def chances(row, rates):
    """Each text of an image with its entries and the probability that an epoch keeps the image with it."""
    texts = row["candidates"]
    for text in texts:
        yield text["text"], text["entries"], (1 - np.prod(1 - rates[text["entries"]].astype(float))) / len(texts)


def chi_square(seen, rows, rates):
    """The statistic and its degrees of freedom; an image is one draw an epoch, among its texts and being skipped.

    What is expected below five times is joined.
    """
    statistic, freedom = 0.0, 0
    for row in rows:
        cells = [(seen[row["uid"], text], EPOCHS * p) for text, _, p in chances(row, rates)]
        cells.append((EPOCHS - sum(number for number, _ in cells), EPOCHS - sum(expected for _, expected in cells)))
        few = [cell for cell in cells if cell[1] < 5]
        cells = [cell for cell in cells if cell[1] >= 5] + [tuple(map(sum, zip(*few, strict=True)))] * bool(few)
        cells = [cell for cell in cells if cell[1] > 0.5]
        statistic += sum((number - expected) ** 2 / expected for number, expected in cells)
        freedom += len(cells) - 1
    return statistic, freedom


def deviations(seen, rows, rates):
    """For each entry, by how many standard deviations its texts were kept more often than expected."""
    of_entry = np.zeros((5, 3))  # kept, expected, variance
    for row in rows:
        for text, entries, p in chances(row, rates):
            of_entry[entries] += (seen[row["uid"], text], EPOCHS * p, EPOCHS * p * (1 - p))
    return (of_entry[:, 0] - of_entry[:, 1]) / np.sqrt(of_entry[:, 2])


@pytest.mark.slow
def test_long_run_frequencies_are_the_probabilities(made, seen):
    statistic, freedom = chi_square(seen, made.there, made.rates)
    assert freedom > 300
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)
    assert np.abs(deviations(seen, made.there, made.rates)).max() < 4


@pytest.mark.parametrize(("entry", "factor"), [(0, 0.9), (1, 0.85), (2, 1.2), (3, 3), (4, 1.15)])
def test_long_run_frequencies_tell_a_rate_that_is_a_little_wrong(made, seen, entry, factor):
    wrong = made.rates.copy()
    wrong[entry] *= factor
    statistic, freedom = chi_square(seen, made.there, wrong)
    off = np.abs(deviations(seen, made.there, wrong))
    assert max(off.max(), (statistic - freedom) / np.sqrt(2 * freedom)) > 4
