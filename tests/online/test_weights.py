"""An epoch shows an image as often as its weight says, each time drawn anew, and goes on and is dealt out as any."""

import json
import pickle
from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation import weights as module
from curation.plugins.online.batches import ByEntries, OnlineConfig
from curation.plugins.online.epochs import Epoch, draw
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.online import naive_weighted_epoch
from tests.support.online_run import batch, nasty, pairs


def of_images(rows: list[dict]) -> dict[str, float]:
    """A weight of two in three images: whole ones, parts, and none."""
    weights = [0, 0.25, 1, 2.5, 7, 0.9, 3]
    return {row["uid"]: weights[number % len(weights)] for number, row in enumerate(rows) if number % 3}


def built(folder, weights: dict[str, float | None], run) -> online.Weights:
    path = folder / "weights.parquet"
    pq.write_table(pa.table({"uid": [*weights], "weight": pa.array(weights.values(), pa.float64())}), path)
    return module.build([path], Results.open(run), folder / "weights.arrow").weights


@pytest.fixture(scope="module")
def given(made) -> dict[str, float]:
    return of_images(made.images)


@pytest.fixture(scope="module")
def weights(made, given, tmp_path_factory) -> online.Weights:
    return built(tmp_path_factory.mktemp("weights"), given, made.folder / "run")


def dataset(made, weights, rank=0, ranks=1, transform=None, **options):
    config, world = OnlineConfig(3, 2, weights=weights, **options), online.World(rank, ranks)
    return online.BalancedDataset(made.index, made.rates, config, transform, world)


def test_the_file_has_the_weights_above_0(made, given, weights):
    uids = [row["uid"] for row in made.images] + ["0" * 32]
    assert weights.weight(pa.array(uids)).tolist() == [given.get(uid, 0) for uid in uids]
    assert len(weights) == sum(weight > 0 for weight in given.values())
    assert pickle.loads(pickle.dumps(weights)).weight(pa.array(uids[:9])).tolist() == [
        given.get(u, 0) for u in uids[:9]
    ]


@pytest.mark.parametrize(("start", "length"), [(0, 42), (0, 0), (3, 20), (30, 12)])
def test_an_epoch_shows_what_the_definition_says_of_every_slice(made, tmp_path, start, length):
    rows, own = nasty(), of_images(nasty())
    weights = built(tmp_path, own | {made.images[0]["uid"]: 1.0}, made.folder / "run")
    part, rates = batch(rows).slice(start, length), np.full(5, 0.1)
    for seed, epoch in ((0, 0), (7, 12)):
        drawn = draw(part, rates, OnlineConfig(seed, weights=weights), epoch)
        found = list(zip(drawn.uids.to_pylist(), drawn.texts.to_pylist(), strict=True))
        assert found == naive_weighted_epoch(rows[start : start + length], own, seed, epoch)


def test_an_image_comes_as_often_as_its_weight_on_average(made, given, weights):
    seen, epochs = Counter(), 200
    for number in range(epochs):
        seen.update(draw(batch(made.images), made.rates, OnlineConfig(1, weights=weights), number).uids.to_pylist())
    for row in made.images:
        weight = given.get(row["uid"], 0)
        part = weight % 1
        assert abs(seen[row["uid"]] - epochs * weight) <= 4.5 * (epochs * part * (1 - part)) ** 0.5
    assert {*seen} == {uid for uid, weight in given.items() if weight}


def test_repeats_have_places_and_texts_of_their_own(made, given, weights):
    kept = Epoch(made.index, made.rates, OnlineConfig(1, weights=weights), 0).kept(range(21))
    uids, texts = kept["uid"].to_pylist(), kept["text"].to_pylist()
    beside = sum(one == other for one, other in zip(uids, uids[1:], strict=False))
    assert beside < len(uids) / 20  # by chance; if they stood together, most would
    several = {
        uid: {text for own, text in zip(uids, texts, strict=True) if own == uid} for uid in given if given[uid] == 7
    }
    shown = {row["uid"]: row for row in made.there}
    assert all(len(several[uid]) > 1 for uid in several if uid in shown and len(shown[uid]["candidates"]) > 2)
    assert set(kept["probability"].to_pylist()) == {weight for weight in given.values() if weight}


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (2, 3), (5, 1)])
def test_every_layout_shows_the_same_and_steps_count_it(made, given, weights, needs_torch, monkeypatch, ranks, workers):
    found, full = [], []
    for rank in range(ranks):
        own = dataset(made, weights, rank, ranks)
        own.set_epoch(2)
        for worker in range(workers):
            monkeypatch.setattr("curation.plugins.online.dataset.this_worker", lambda worker=worker: (worker, workers))
            found.append(list(own))
        full.append(sum(len(each) // 4 for each in found[-workers:]))
    assert sorted(pairs(sum(found, []))) == sorted(naive_weighted_epoch(made.there, given, 3, 2))
    assert own.steps(4, workers) == min(full)


@pytest.mark.parametrize("taken", [0, 5, 77, "all"])
def test_an_epoch_goes_on_where_it_was_left(made, weights, needs_torch, taken):
    whole, begun, resumed = pairs(dataset(made, weights)), dataset(made, weights), dataset(made, weights)
    taken = len(whole) if taken == "all" else taken
    assert len(list(islice(begun, taken))) == taken
    resumed.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    assert pairs(resumed) == whole[taken:]


def test_a_state_belongs_to_its_weights(made, given, weights, needs_torch, tmp_path):
    state = dataset(made, weights).state_dict()
    other = built(tmp_path, given | {made.images[1]["uid"]: 9.0}, made.folder / "run")
    for others in (other, None):
        with pytest.raises(InputError, match="resume with the same"):
            dataset(made, others).load_state_dict(state)


def test_batches_by_entries_choose_among_repeats(made, given, weights, needs_torch):
    found = pairs(dataset(made, weights, batches=ByEntries(16)))
    assert found
    assert not len(found) % 16
    assert not Counter(found) - Counter(naive_weighted_epoch(made.there, given, 3, 0))


def test_rates_of_other_metadata_are_refused_with_weights_too(made, weights):
    with pytest.raises(InputError, match="is not among the 2 entries that have a count or rate"):
        Epoch(made.index, made.rates[:2], OnlineConfig(weights=weights), 0).kept(range(21))


def test_captions_of_repeats_are_drawn_anew(made, given, weights, tmp_path):
    uids = [row["uid"] for row in made.images]
    pq.write_table(pa.table({"uid": uids, "caption": ["a caption"] * len(uids)}), tmp_path / "captions.parquet")
    run = Results.open(made.folder / "run")
    found = online.Captions.open(_captions(tmp_path, run))
    config = OnlineConfig(1, caption_ratio=0.5, weights=weights)
    kept = Epoch(made.index, made.rates, config, 0, found).kept(range(21)).to_pylist()
    shown = [[row["caption"] for row in kept if row["uid"] == uid] for uid in given if given[uid] == 7]
    assert any(len({*each}) == 2 for each in shown)
    drawn = sum(row["caption"] is not None for row in kept)
    assert abs(drawn - len(kept) / 2) < 2 * len(kept) ** 0.5


def _captions(folder, run):
    from curation import captions

    captions.build([folder / "captions.parquet"], run, folder / "captions.arrow")
    return folder / "captions.arrow"


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ({"uid": ["a"], "weight": [-1.0]}, "a weight is -1.0; weights are numbers from 0 to 1,000,000"),
        ({"uid": ["a"], "weight": [float("nan")]}, "a weight is nan"),
        ({"uid": ["a"], "weight": [float("inf")]}, "a weight is inf"),
        ({"uid": ["a"], "weight": ["many"]}, "has a value that is not a number"),
        ({"uid": ["a"], "times": [1]}, "expected tables of weights"),
        ({"uid": ["a"], "weight": [1]}, "none of the 1 weights in .* belongs to an image of"),
        ({"uid": ["a"], "weight": [0]}, "none of the 0 weights in"),
        ({"uid": ["a", "a"], "weight": [1, 2]}, "gives the image .* two weights, 1.0 and 2.0"),
    ],
)
def test_what_is_no_weight_is_refused(made, tmp_path, rows, fault):
    built(tmp_path, {made.images[0]["uid"]: 1.0}, made.folder / "run")
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=fault):
        module.build([tmp_path / "t.parquet"], Results.open(made.folder / "run"), tmp_path / "weights.arrow")
    assert len(online.Weights.open(tmp_path / "weights.arrow")) == 1  # those of before


def test_a_table_with_two_columns_of_one_name_is_refused(made, tmp_path):
    columns = [pa.array([made.images[0]["uid"]]), pa.array([1.0]), pa.array([2.0])]
    pq.write_table(pa.Table.from_arrays(columns, ["uid", "weight", "weight"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="has several columns weight"):
        module.build([tmp_path / "t.parquet"], Results.open(made.folder / "run"), tmp_path / "weights.arrow")
