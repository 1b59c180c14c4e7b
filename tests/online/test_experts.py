"""An expert trains on the images of its clusters, and on each other one with a probability that makes their share."""

import json
import pickle
from fractions import Fraction
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import clusters as module
from curation import online
from curation.plugins.online.batches import Expert, OnlineConfig
from curation.plugins.online.dataset import read_rates
from curation.plugins.online.epochs import Epoch
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.experts import naive_chance, naive_takes
from tests.support.cluster_tables import cluster_rows, write_folder, write_table
from tests.support.online_run import pairs

SHARE = Fraction(1, 5)
CHOSEN = [({2}, Fraction(0), 0), ({2}, SHARE, 0), ({0, 3}, Fraction(1, 10), 7), ({0, 1, 2, 3}, Fraction(0), 1)]


@pytest.fixture(scope="module")
def kept(made):
    return pq.read_table(made.folder / "run" / "curated", columns=["uid"])["uid"].to_pylist()


@pytest.fixture(scope="module")
def coarse(made):
    """The cluster of nine in ten images of the run."""
    return {row["uid"]: row["coarse"] for row in cluster_rows([row["uid"] for row in made.images])}


@pytest.fixture(scope="module")
def clusters(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clusters")
    path = write_folder(folder / "table", cluster_rows([row["uid"] for row in made.images]))
    return module.build([path], Results.open(made.folder / "run"), folder / "store").clusters


@pytest.mark.parametrize(("chosen", "share", "seed"), CHOSEN)
def test_an_expert_takes_the_images_of_the_definition(made, clusters, coarse, kept, chosen, share, seed):
    expert = Expert(clusters, tuple(chosen), float(share), seed)
    chance = naive_chance(kept, coarse, chosen, share)
    assert expert.chance == pytest.approx(float(chance))
    uids = [row["uid"] for row in made.images] + ["missing", "0" * 32]
    for part in (uids, uids[5:9], []):
        assert expert.takes(pa.array(part, pa.string())).tolist() == naive_takes(part, coarse, chosen, chance, seed)
    assert expert.takes(pa.array(uids).slice(3, 8)).tolist() == naive_takes(uids[3:11], coarse, chosen, chance, seed)


def test_an_expert_is_the_same_in_another_process(clusters, kept):
    expert = Expert(clusters, (1,), 0.2)
    other = pickle.loads(pickle.dumps(expert))
    assert other.takes(pa.array(kept)).tolist() == expert.takes(pa.array(kept)).tolist()


def test_over_many_seeds_the_share_of_outsiders_among_kept_images_is_the_one_asked_for(clusters, coarse, kept):
    uids, own = pa.array(kept), sum(coarse.get(uid) == 1 for uid in kept)
    outsiders = [Expert(clusters, (1,), 0.2, seed).takes(uids).sum() - own for seed in range(300)]
    expected = own / 4  # a fifth of all are a quarter of the others
    assert abs(np.mean(outsiders) - expected) < 4 * np.sqrt(expected / 300)


def test_a_larger_share_keeps_the_outsiders_of_a_smaller_one(clusters, kept):
    takes = [Expert(clusters, (3,), share).takes(pa.array(kept)) for share in (0.0, 0.1, 0.3, 0.5)]
    for less, more in zip(takes, takes[1:], strict=False):
        assert not (less & ~more).any()
        assert less.sum() < more.sum()


@pytest.mark.parametrize("number", [0, 3])
def test_an_epoch_keeps_the_images_of_the_expert_and_no_others(made, clusters, number):
    expert = Expert(clusters, (0, 2), 0.15)
    plain, of_expert = (
        Epoch(made.index, made.rates, OnlineConfig(5, expert=each), number).kept(range(21)).to_pylist()
        for each in (None, expert)
    )
    uids = pa.array([row["uid"] for row in plain])
    expected = [row for row, is_taken in zip(plain, expert.takes(uids), strict=True) if is_taken]
    assert of_expert == expected
    assert 0 < len(of_expert) < len(plain)


def test_sizes_are_those_of_what_an_epoch_keeps(made, clusters):
    epoch = Epoch(made.index, made.rates, OnlineConfig(5, expert=Expert(clusters, (1,), 0.3)), 2)
    assert epoch.sizes().tolist() == [len(epoch.kept([block])) for block in range(21)]


def test_over_epochs_and_seeds_outsiders_have_the_share_asked_for(made, clusters, coarse):
    rates = read_rates(made.folder / "run" / "counts.parquet")
    own = outsiders = 0
    for number in range(1, 40):
        config = OnlineConfig(expert=Expert(clusters, (0,), 0.25, seed=number))
        epoch = Epoch(made.index, rates, config, number)
        is_own = [coarse[uid] == 0 for uid in epoch.kept(range(21))["uid"].to_pylist()]
        own, outsiders = own + sum(is_own), outsiders + len(is_own) - sum(is_own)
    # The tars lack some images, and the numbers of kept images are those of one sample.
    assert abs(outsiders / (own + outsiders) - 0.25) < 0.03


def dataset(made, expert, rank=0, ranks=1, **options):
    config, world = online.OnlineConfig(0, 2, expert=expert), online.World(rank, ranks)
    return online.BalancedDataset(made.index, made.rates, config, world=world, **options)


def test_a_dataset_deals_the_samples_of_the_expert_out_to_all_ranks(made, clusters, needs_torch):
    expert = Expert(clusters, (0, 2), 0.15)
    epoch = made.epoch(0)
    takes = expert.takes(pa.array([uid for uid, _ in epoch])).tolist()
    expected = [pair for pair, is_taken in zip(epoch, takes, strict=True) if is_taken]
    found = [pairs(dataset(made, expert, rank, 3)) for rank in range(3)]
    assert sorted(sum(found, [])) == sorted(expected)
    assert dataset(made, expert, 0, 3).steps(4) == min(len(each) // 4 for each in found) > 0


def test_an_epoch_of_an_expert_goes_on_where_it_was_left(made, clusters, needs_torch):
    whole = pairs(dataset(made, Expert(clusters, (1,), 0.2)))
    left = dataset(made, Expert(clusters, (1,), 0.2))
    assert len(list(islice(left, 11))) == 11
    state = json.loads(json.dumps(left.state_dict()))
    resumed = dataset(made, Expert(clusters, (1,), 0.2))
    resumed.load_state_dict(state)
    assert pairs(resumed) == whole[11:]


def test_a_state_of_another_expert_is_refused(made, clusters, needs_torch, tmp_path):
    rows = [{"uid": row["uid"], "coarse": 1} for row in made.images]
    path = write_table(tmp_path / "t.parquet", rows, ["uid", "coarse"])
    other = module.build([path], Results.open(made.folder / "run"), tmp_path / "store").clusters
    state = dataset(made, Expert(clusters, (1, 2), 0.2)).state_dict()
    dataset(made, Expert(clusters, (2, 1, 1), 0.2)).load_state_dict(state)  # the same set
    experts = [None, Expert(clusters, (1,), 0.2), Expert(clusters, (1, 2)), Expert(clusters, (1, 2), 0.2, 1)]
    for expert in [*experts, Expert(other, (1,))]:
        with pytest.raises(InputError, match="resume with the same"):
            dataset(made, expert).load_state_dict(state)
    with pytest.raises(InputError, match="resume with the same"):
        dataset(made, Expert(clusters, (1,))).load_state_dict(made.dataset().state_dict())
    assert "expert" not in made.dataset().state_dict()["layout"]


@pytest.mark.parametrize(
    ("coarse", "outsiders", "fault"),
    [
        ((), 0.0, "an expert has no cluster"),
        ((9,), 0.0, r"the run kept no image of cluster 9; it kept images of clusters 0, 1, 2, 3$"),
        ((-1,), 0.0, "the run kept no image of cluster -1"),
        (
            (1,),
            1.0,
            r"outsiders is 1.0; it must be at most 0.\d+, the share of other clusters in the images that the run kept",
        ),
        (
            (0, 1, 2, 3),
            0.1,
            "outsiders is 0.1; it must be at most 0, the share of other clusters in the images that the run kept",
        ),
        ((1,), -0.1, "outsiders is -0.1; it must be a number from 0 to 1"),
        ((1,), float("nan"), "outsiders is nan; it must be a number from 0 to 1"),
    ],
)
def test_an_expert_that_cannot_be_is_refused(clusters, coarse, outsiders, fault):
    with pytest.raises(InputError, match=fault):
        Expert(clusters, coarse, outsiders)
