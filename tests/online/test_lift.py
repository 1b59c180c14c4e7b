"""Weights lift the tail: an epoch shows clusters, or entries, of n images in proportion to n^power, within a bound."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest

from curation import clusters as clusters_module
from curation import online
from curation import weights as module
from curation.plugins.online.epochs import draw
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.online import naive_lift
from tests.support.cluster_tables import write_table
from tests.support.online_run import FORKS, batch, nasty, pairs, write_run
from tests.support.stand_ins import needed

LIFT = module.Lift(300, most=1.5)
CHI_OF_5 = 15.09  # p = 0.01 at five degrees of freedom


def cluster_of(number: int) -> int:
    """Five clusters, the largest of eight times as many images as the smallest."""
    return int(np.searchsorted([200, 300, 350, 375], number, "right"))


@pytest.fixture(scope="module")
def clustered(made, tmp_path_factory) -> online.Clusters:
    folder = tmp_path_factory.mktemp("clusters")
    rows = [
        {"uid": row["uid"], "coarse": 0, "fine": cluster_of(number)}
        for number, row in enumerate(made.images)
        if number < 390
    ]
    table = write_table(folder / "t.parquet", rows, ["uid", "coarse", "fine"])
    return clusters_module.build([table], Results.open(made.folder / "run"), folder / "clusters.arrow").clusters


@pytest.fixture(scope="module", params=["clusters", "entries"])
def lifted(request, made, clustered, tmp_path_factory) -> module.Lifted:
    path = tmp_path_factory.mktemp("lift") / "lifted.arrow"
    own = clustered if request.param == "clusters" else None
    return module.lift(LIFT, Results.open(made.folder / "run"), path, own)


def sizes_of(groups: dict[str, list[list[int]]]) -> Counter:
    return Counter(group for texts in groups.values() for text in texts for group in text)


def by_cluster(rows: list[dict]) -> dict[str, list[list[int]]]:
    return {row["uid"]: [[cluster_of(number)]] for number, row in enumerate(rows) if number < 390}


def by_entry(rows: list[dict]) -> dict[str, list[list[int]]]:
    return {row["uid"]: [text["entries"] or [] for text in row["candidates"] or []] for row in rows}


@pytest.mark.parametrize("samples", [1, 300, 5000])
@pytest.mark.parametrize("power", [0, 0.2, 1])
@pytest.mark.parametrize("most", [0.5, 1, 3])
@pytest.mark.parametrize("by", ["clusters", "entries"])
def test_weights_are_those_of_the_definition(made, clustered, tmp_path, samples, power, most, by):
    groups = by_cluster(made.images) if by == "clusters" else by_entry(made.images)
    expected = naive_lift(groups, sizes_of(groups), samples, power, most)
    own = clustered if by == "clusters" else None
    run = Results.open(made.folder / "run")
    found = module.lift(module.Lift(samples, power, most), run, tmp_path / "lifted.arrow", own)
    uids = [row["uid"] for row in made.images]
    assert np.allclose(found.weights.weight(pa.array(uids)), [expected.get(uid, 0) for uid in uids], rtol=1e-12)
    assert found.samples == pytest.approx(sum(expected.values()))
    assert found.again == pytest.approx(sum(max(weight - 1, 0) for weight in expected.values()))
    assert found.without == (10 if by == "clusters" else 0)


def test_images_without_texts_or_entries_get_no_weight(tmp_path):
    write_run(tmp_path / "run", nasty())
    found = module.lift(LIFT, Results.open(tmp_path / "run"), tmp_path / "lifted.arrow")
    groups = by_entry(nasty())
    expected = naive_lift(groups, sizes_of(groups), LIFT.samples, LIFT.power, LIFT.most)
    assert np.allclose(found.weights.weight(pa.array([*expected])), [*expected.values()], rtol=1e-12)
    assert found.without == sum(weight == 0 for weight in expected.values()) == 3


def test_over_twenty_epochs_clusters_come_as_their_power_says(made, clustered, tmp_path):
    lift = module.Lift(120, most=9)  # weights below 1 and above, none at the bound
    found = module.lift(lift, Results.open(made.folder / "run"), tmp_path / "lifted.arrow", clustered)
    numbers = {row["uid"]: number for number, row in enumerate(made.images)}
    seen = Counter()
    for epoch in range(20):
        config = online.OnlineConfig(1, weights=found.weights)
        seen.update(
            cluster_of(numbers[uid]) for uid in draw(batch(made.images), made.rates, config, epoch).uids.to_pylist()
        )
    sizes = np.array([200, 100, 50, 25, 15])
    expected = 20 * 120 * sizes**0.2 / (sizes**0.2).sum()
    parts = (expected / 20 / sizes) % 1  # what is drawn of a weight
    spread = 20 * sizes * parts * (1 - parts)
    assert sum((seen[cluster] - expected[cluster]) ** 2 / spread[cluster] for cluster in range(5)) < CHI_OF_5
    assert [cluster for cluster, _ in seen.most_common()] == [0, 1, 2, 3, 4]  # the order of sizes


def test_over_twenty_epochs_images_come_as_their_weights_say(made, lifted):
    uids = pa.array([row["uid"] for row in made.images])
    weights, config = lifted.weights.weight(uids), online.OnlineConfig(1, weights=lifted.weights)
    seen = Counter()
    for epoch in range(20):
        seen.update(draw(batch(made.images), made.rates, config, epoch).uids.to_pylist())
    found = np.array([seen[uid] for uid in uids.to_pylist()])
    alike, group, images = np.unique(weights, return_inverse=True, return_counts=True)
    times, chance = np.bincount(group, found), alike % 1  # of an image's weight the rest is drawn
    assert np.array_equal(times[chance == 0], 20 * (alike * images)[chance == 0])
    spread = 20 * images * chance * (1 - chance)
    chi = ((times - 20 * images * alike)[chance > 0] ** 2 / spread[chance > 0]).sum()
    groups = (chance > 0).sum()
    assert chi < groups * (1 - 2 / (9 * groups) + 2.576 * (2 / (9 * groups)) ** 0.5) ** 3  # p = 0.01 / 2: two tests


def dataset(made, lifted):
    config = online.OnlineConfig(3, 2, weights=lifted.weights)
    return online.BalancedDataset(made.index, made.rates, config, world=online.World(0, 1))


@FORKS
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more workers than cores
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("workers", [0, 2, 4])
def test_every_number_of_workers_draws_the_same_and_goes_on_in_the_middle(made, lifted, needs_torch, workers):
    loaders = needed("torchdata.stateful_dataloader")
    whole = pairs(dataset(made, lifted))
    begun = loaders.StatefulDataLoader(dataset(made, lifted), batch_size=None, num_workers=workers)
    before = pairs(islice(iter(begun), 25))
    resumed = loaders.StatefulDataLoader(dataset(made, lifted), batch_size=None, num_workers=workers)
    resumed.load_state_dict(json.loads(json.dumps(begun.state_dict())) if not workers else begun.state_dict())
    assert sorted(before + pairs(resumed)) == sorted(whole)
    assert max(Counter(uid for uid, _ in whole).values()) <= 2  # of at most 1.5 on average


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [((0,), "samples is 0"), ((10, 1.5), "power is 1.5"), ((10, -1), "power is -1"), ((10, 0.2, 0), "most is 0")],
)
def test_numbers_that_make_no_sense_are_refused(numbers, fault):
    with pytest.raises(InputError, match=fault):
        module.Lift(*numbers)
