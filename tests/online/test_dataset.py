"""A dataset yields each pair of an epoch once, whatever the layout of readers, and goes on where it was left."""

import json
import os
import re
from itertools import islice

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.balancing.thresholds import EntryCounts
from runtime.errors import InputError
from tests.naive.online import naive_epoch, naive_samples
from tests.support.online_run import ENTRIES, FORKS, build, images, pairs, write_run, write_tar
from tests.support.stand_ins import needed


def of_workers(dataset, workers, monkeypatch):
    """What each of so many workers yields, without starting any."""
    found = []
    for worker in range(workers):
        monkeypatch.setattr("curation.plugins.online.dataset.this_worker", lambda worker=worker: (worker, workers))
        found.append(list(dataset))
    return found


def test_a_dataset_yields_the_pairs_of_the_definition_with_the_bytes_of_their_images(made, needs_torch):
    content = {row["uid"]: row for tar in (made.folder / "tars").iterdir() for row in naive_samples(tar)}
    dataset = made.dataset(seed=2)
    for epoch in (0, 1, 5):
        dataset.set_epoch(epoch)
        found = list(dataset)
        assert sorted(pairs(found)) == sorted(made.epoch(epoch, seed=2))
        assert all(sample["jpg"] == content[sample["__uid__"]]["bytes"] for sample in found)
        assert all(sample["__key__"] == content[sample["__uid__"]]["key"] for sample in found)


def test_an_epoch_is_the_same_again_and_in_no_order_of_a_tar(made, needs_torch):
    first = pairs(made.dataset())
    assert first == pairs(made.dataset())
    assert first != sorted(first)
    numbers = [int(text.split()[1].split(".")[0]) for _, text in first]
    assert abs(np.corrcoef(numbers, range(len(numbers)))[0, 1]) < 0.3


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (1, 4), (2, 1), (3, 2), (5, 7)])
def test_each_sample_goes_to_exactly_one_reader_in_every_layout(made, needs_torch, monkeypatch, ranks, workers):
    found = [each for rank in range(ranks) for each in of_workers(made.dataset(rank, ranks), workers, monkeypatch)]
    assert len(found) == ranks * workers
    assert sorted(pairs(sum(found, []))) == sorted(made.epoch(0))


def test_images_that_are_skipped_are_not_read(made, needs_torch, monkeypatch):
    reads, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, offset: reads.append(size) or pread(file, size, offset))
    found = list(made.dataset())
    assert reads == [len(sample["jpg"]) for sample in found]
    assert len(found) < 300


@pytest.mark.parametrize("taken", [0, 1, 13, 50, "all"])
def test_an_epoch_goes_on_where_it_was_left(made, needs_torch, taken):
    whole, resumed = pairs(made.dataset()), made.dataset()
    taken = len(whole) if taken == "all" else taken
    state = state_after(made.dataset(), taken)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert pairs(resumed) == whole[taken:]
    assert pairs(resumed) == whole  # the next time it begins at the beginning


def state_after(dataset, taken):
    """The state of a dataset of which so many samples were taken, as it comes back from a checkpoint."""
    assert len(list(islice(dataset, taken))) == taken
    return json.loads(json.dumps(dataset.state_dict()))


def test_a_state_brings_its_epoch_along(made, needs_torch):
    dataset, resumed = made.dataset(), made.dataset()
    dataset.set_epoch(3)
    whole = pairs(dataset)
    resumed.load_state_dict(state_after(dataset, 20))
    assert pairs(resumed) == whole[20:]
    assert pairs(resumed) == whole


def test_a_state_of_another_layout_is_refused(made, needs_torch):
    state = state_after(made.dataset(), 20)
    for other in (made.dataset(1, 2), made.dataset(seed=1), made.dataset(mixed=3)):
        for foreign in (state, {}):
            with pytest.raises(InputError, match="resume with the same"):
                other.load_state_dict(foreign)


def uid_of(sample):
    return sample["__uid__"]


@FORKS
@pytest.mark.parametrize(("start", "persistent"), [("fork", False), ("fork", True), ("spawn", True)])
def test_a_loader_with_workers_yields_each_epoch_whole(made, needs_torch, start, persistent):
    dataset = made.dataset(transform=uid_of)
    options = {"num_workers": 2, "multiprocessing_context": start, "persistent_workers": persistent}
    loader = needs_torch.utils.data.DataLoader(dataset, batch_size=8, **options)
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        found = [uid for uids in loader for uid in uids]
        assert sorted(found) == sorted(uid for uid, _ in made.epoch(epoch))


@FORKS
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")  # torchdata 0.11 with newer torch
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_where_it_was_left(made, needs_torch, workers):
    loaders = needed("torchdata.stateful_dataloader")

    def loader():
        dataset = made.dataset(transform=uid_of)
        dataset.set_epoch(2)
        context = {"multiprocessing_context": "fork"} if workers else {}
        return loaders.StatefulDataLoader(dataset, batch_size=8, num_workers=workers, **context)

    whole = list(loader())
    first, second = loader(), loader()
    before = list(islice(first, 5))
    second.load_state_dict(first.state_dict())
    assert before + list(second) == whole
    assert sorted(sum(whole, [])) == sorted(uid for uid, _ in made.epoch(2))


@FORKS
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("taken", [5, "all"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_later_epoch_that_is_set_begins_whatever_the_state_says(made, needs_torch, workers, taken):
    loaders = needed("torchdata.stateful_dataloader")

    def loader():
        context = {"multiprocessing_context": "fork"} if workers else {}
        return loaders.StatefulDataLoader(made.dataset(transform=uid_of), batch_size=8, num_workers=workers, **context)

    whole, first, second = loader(), loader(), loader()
    whole.dataset.set_epoch(1)
    assert [*islice(first, taken if taken != "all" else None)]
    second.load_state_dict(first.state_dict())
    second.dataset.set_epoch(1)
    assert sorted(second) == sorted(whole)  # the worker whose turn it was goes first


@FORKS
@pytest.mark.parametrize("workers", [1, 2])
def test_a_state_that_workers_would_each_go_on_with_is_refused(made, needs_torch, workers):
    dataset = made.dataset(transform=uid_of)
    dataset.load_state_dict(state_after(made.dataset(), 20))
    options = {"num_workers": workers, "multiprocessing_context": "fork"}
    with pytest.raises(InputError, match="use a StatefulDataLoader"):
        list(needs_torch.utils.data.DataLoader(dataset, batch_size=8, **options))


@pytest.mark.parametrize(("ranks", "workers"), [(1, 0), (2, 1), (2, 3)])
def test_steps_are_the_full_batches_that_every_rank_has(made, needs_torch, monkeypatch, ranks, workers):
    batches = []
    for rank in range(ranks):
        found = of_workers(made.dataset(rank, ranks), max(workers, 1), monkeypatch)
        batches.append(sum(len(each) // 4 for each in found))
    assert made.dataset(0, ranks).steps(4, workers) == made.dataset(ranks - 1, ranks).steps(4, workers) == min(batches)
    assert min(batches) > 0


def test_rates_come_from_the_counts_of_a_run(made, needs_torch):
    path = made.folder / "run" / "counts.parquet"
    expected = pq.read_table(path)["rate"].to_pylist()
    dataset = online.BalancedDataset(made.folder / "index", path)
    assert dataset.rates.tolist() == expected
    assert sorted(pairs(dataset)) == sorted(naive_epoch(made.there, expected, 0, 0))


def test_tars_may_have_moved(made, needs_torch, tmp_path):
    for tar in (made.folder / "tars").iterdir():
        (tmp_path / tar.name).write_bytes(tar.read_bytes())
    moved = online.BalancedDataset(online.Index.open(made.folder / "index", tars=tmp_path), made.rates)
    there = online.BalancedDataset(made.index, made.rates)
    assert [sample["jpg"] for sample in moved] == [sample["jpg"] for sample in there]
    with pytest.raises(InputError, match="where the tars are"):
        list(online.BalancedDataset(online.Index.open(made.folder / "index", tars=tmp_path / "no"), made.rates))


def test_ranks_are_those_of_torchrun(made, needs_torch, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "5")
    assert online.BalancedDataset(made.index, made.rates).world == online.World(2, 5)


def test_a_tar_that_changed_is_refused(tmp_path, needs_torch):
    write_run(tmp_path / "run", images(4))
    write_tar(tmp_path / "a.tar", images(4))
    index = build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    write_tar(tmp_path / "a.tar", images(60))
    with pytest.raises(InputError, match="build the index again"):
        list(online.BalancedDataset(index, np.ones(5)))


def test_rates_that_do_not_belong_to_the_index_are_refused(made, needs_torch, tmp_path):
    write_run(tmp_path / "run", images(4), digest="another")
    write_tar(tmp_path / "a.tar", images(4))
    index = build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    EntryCounts.zeros(5, ENTRIES.digest).count([[0]]).save(tmp_path / "counts.parquet", ENTRIES)
    for where, rates, message in (
        (index, tmp_path / "run" / "counts.parquet", "belong to metadata"),
        (made.index, tmp_path / "counts.parquet", "without rates"),
        (made.index, tmp_path / "none.parquet", "counts.parquet does not exist"),
        (made.index, [[1.0]], "rates are"),
        (made.index, ["a"], "rates are"),
    ):
        with pytest.raises(InputError, match=message):
            online.BalancedDataset(where, rates)
    with pytest.raises(InputError, match="is not among the 2 entries that have a count or rate"):
        list(online.BalancedDataset(made.index, [1.0, 0.5]))


def test_numbers_that_make_no_sense_are_refused(made):
    for wrong in (lambda: online.OnlineConfig(mixed_blocks=0), lambda: online.World(2, 2), lambda: online.World(-1, 2)):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(InputError, match="block_rows"):
        build(made.folder / "tars", made.folder / "run", made.folder / "index", 0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            lambda: online.OnlineConfig(batches=4096),
            "batches is of type int; pass ByEntries(4096) for batches of",
        ),
        (lambda: online.OnlineConfig(weights={"a": 1.0}), "weights is of type dict; pass the weights that curation"),
        (lambda: online.OnlineConfig(expert=2), "expert is of type int; pass an Expert of some clusters"),
        (lambda: online.OnlineConfig(caption_ratio="0.1"), "caption_ratio is '0.1'; it must be a number from 0 to 1"),
        (lambda: online.OnlineConfig(caption_ratio={"dfn": None}), "caption_ratio of dfn is None; it must be a number"),
        (lambda: online.OnlineConfig(mixed_blocks=None), "mixed_blocks is None; it must be an integer"),
        (lambda: online.OnlineConfig(seed="1"), "seed is '1'; it must be an integer"),
        (lambda: online.World("0", "2"), "rank is '0'; it must be an integer"),
        (lambda: online.Expert("clusters.arrow", (2,)), "clusters is of type str; pass Clusters.open"),
    ],
)
def test_parameters_of_another_type_are_refused_in_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        wrong()


def test_arguments_of_another_type_are_refused_in_one_sentence(made, needs_torch):
    for wrong, sentence in (
        (lambda: made.dataset(captions=3), "captions is of type int; pass a file that curation.captions builds"),
        (lambda: online.BalancedDataset(made.index, made.rates, {"seed": 1}), "config is of type dict; pass an Onlin"),
        (lambda: online.BalancedDataset(made.index, made.rates, world=2), "world is of type int; pass a World"),
    ):
        with pytest.raises(InputError, match=re.escape(sentence)):
            wrong()


def test_without_torch_the_extra_is_named(made, monkeypatch):
    monkeypatch.setattr("curation.plugins.online.dataset.torch", None)
    assert online.World.here() == online.World(0, 1)
    with pytest.raises(InputError, match=r"pip install 'clip-curation\[torch\]"):
        online.BalancedDataset(made.index, made.rates)
