"""A mix of several indexes is one stream in the shares asked for, the same after a resume."""

import json
import random
from collections import Counter
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from curation import online
from curation.balancing.thresholds import rates
from curation.exclusion import Exclusion
from curation.leaves.export.removal import remove_from_manifest
from runtime.errors import InputError
from tests.naive.mix import naive_turns
from tests.naive.online import naive_epoch
from tests.support.in_turn import in_turn
from tests.support.online_run import FORKS, build, images, pairs, write_run, write_tar

WEIGHTS = {"web": 3, "own": 1}


@pytest.mark.parametrize("seed", range(10))
def test_each_sample_is_of_the_part_that_is_furthest_behind(seed):
    chance = random.Random(seed)
    weights = {name: Fraction(chance.choice([1, 2, 3, 7]), 4) for name in "abcd"[: chance.randint(1, 4)]}
    weights = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    if any(weight.denominator & (weight.denominator - 1) for weight in weights.values()):
        weights = {"a": Fraction(1, 2), "b": Fraction(3, 8), "c": Fraction(1, 8)}  # shares that floats have
    mix = online.Mix({name: float(weight) for name, weight in weights.items()})
    found = [*islice(mix.turns({}), 3000)]
    assert found == naive_turns(weights, 3000)
    for name, share in weights.items():
        assert all(abs(found[:n].count(name) - n * share) < len(weights) for n in range(0, 3000, 97))
    assert [*islice(mix.turns(Counter(found[:777])), 100)] == found[777:877]
    whole = [number for number, name in enumerate(found) if name == mix.whole]
    assert mix.whole == min(name for name in weights if weights[name] == max(weights.values()))
    assert mix.sizes([5, 0, 400, 5]) == [whole[5], whole[0], whole[400], whole[5]]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A second run, over 60 images, with an index."""
    folder = tmp_path_factory.mktemp("own")
    rows = [row | {"uid": f"{number:032x}"} for number, row in enumerate(images(60, seed=9))]
    write_run(folder / "run", rows)
    write_tar(folder / "own.tar", rows)
    return folder, rows, build(folder / "own.tar", folder / "run", folder / "index", 4)


def mixed(made, own, rank=0, ranks=1, weights=WEIGHTS, **more):
    folder, _, index = own
    world = online.World(rank, ranks)
    web = made.dataset(rank, ranks, **more)
    small = online.BalancedDataset(
        index, folder / "run" / "counts.parquet", online.OnlineConfig(0, 2), world=world, **more
    )
    return online.MixedDataset({"web": web, "own": small}, online.Mix(weights))


def test_an_epoch_has_the_whole_of_the_largest_part_and_its_share_of_others(made, own, needs_torch):
    _, rows, _ = own
    small = {row["uid"] for row in rows}
    dataset = mixed(made, own)
    for epoch in (0, 3):
        dataset.set_epoch(epoch)
        found = pairs(dataset)
        assert [pair for pair in found if pair[0] not in small] == pairs(at(made.dataset(), epoch))
        number = len(found)
        assert abs(sum(uid in small for uid, _ in found) - number / 4) <= 1
        assert dataset.steps(7) == number // 7


def at(dataset, epoch):
    dataset.set_epoch(epoch)
    return dataset


def test_a_part_that_ends_begins_again_with_other_draws(made, own, needs_torch):
    _, rows, _ = own
    known = {row["uid"] for row in rows}
    found = [pair for pair in pairs(mixed(made, own, weights={"web": 1.1, "own": 1})) if pair[0] in known]
    rates_of_own = online.common_rates([own[0] / "run"], 40).tolist()
    passes = 0
    while found:
        epoch = naive_epoch(rows, rates_of_own, 0, passes << 20)
        assert {*found[: len(epoch)]} <= {*epoch}
        assert len({*found[: len(epoch)]}) == len(found[: len(epoch)])
        found, passes = found[len(epoch) :], passes + 1
    assert passes > 2


@pytest.mark.parametrize("ranks", [1, 3])
def test_readers_together_have_the_largest_part_once_and_all_as_many_steps(made, own, needs_torch, ranks):
    small = {row["uid"] for row in own[1]}
    found = [pairs(mixed(made, own, rank, ranks)) for rank in range(ranks)]
    assert sorted(pair for each in found for pair in each if pair[0] not in small) == sorted(made.epoch(0))
    assert {mixed(made, own, rank, ranks).steps(4) for rank in range(ranks)} == {min(len(each) // 4 for each in found)}


@pytest.mark.parametrize("done", [0, 1, 40, 130])
def test_a_mix_goes_on_where_it_was_left(made, own, needs_torch, done):
    weights = {"web": 1.1, "own": 1}
    whole, left, resumed = (mixed(made, own, weights=weights) for _ in range(3))
    expected = pairs(at(whole, 2))
    assert len([*islice(at(left, 2), done)]) == done
    state = json.loads(json.dumps(left.state_dict()))
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert pairs(resumed) == expected[done:]
    assert pairs(resumed) == expected


def uid_of(sample):
    return sample["__uid__"]


@FORKS
def test_workers_together_have_the_largest_part_once(made, own, needs_torch):
    small = {row["uid"] for row in own[1]}
    dataset = mixed(made, own, transform=uid_of)
    loader = needs_torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context="fork")
    found = [uid for batch in loader for uid in batch]
    assert sorted(uid for uid in found if uid not in small) == sorted(uid for uid, _ in made.epoch(0))
    assert abs(sum(uid in small for uid in found) - len(found) / 4) <= 2


def test_a_state_of_another_mix_is_refused(made, own, needs_torch):
    state = mixed(made, own).state_dict()
    for other, what in (
        (mixed(made, own, weights={"web": 2, "own": 1}), "with {.mix.: "),
        (mixed(made, own, 1, 2), "'web: rank': 0"),
    ):
        with pytest.raises(InputError, match=what):
            other.load_state_dict(state)


def test_the_layout_of_a_mix_is_a_record_of_it(made, own, needs_torch):
    record = json.loads(json.dumps(mixed(made, own).layout()))
    assert record["mix"]["shares"].keys() == {"web", "own"}
    assert {f"{part}: {fact}" for part in ("web", "own") for fact in ("seed", "rates")} <= record.keys()


def test_common_rates_are_those_of_one_run_over_all(made, own):
    rows = [*made.images, *own[1]]
    expected = np.zeros(5, np.int64)
    for row in rows:
        for text in row["candidates"]:
            expected[text["entries"]] += 1
    found = online.common_rates([made.folder / "run", own[0] / "run"], 100)
    assert found.tolist() == rates(expected, 100).tolist()
    for none, fault in ((str(made.folder / "run"), "must be a sequence of strings; got one"), ([], "are of no run")):
        with pytest.raises(InputError, match=fault):
            online.common_rates(none)


def of_inputs(folder, *paths, **made_from):
    """A run that read these inputs."""
    write_run(folder, images(20))
    facts = json.loads((folder / "run.json").read_text())
    inputs = [{"path": path, "row_groups": None, "file_size": 9, "modified": 1, "etag": None} for path in paths]
    facts["made_from"] |= {"inputs": inputs} | made_from
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


def test_common_rates_count_no_text_twice(tmp_path):
    web, more = of_inputs(tmp_path / "web", "1.wat", "2.wat"), of_inputs(tmp_path / "more", "2.wat", "3.wat")
    other, columns = of_inputs(tmp_path / "o", "4.wat"), of_inputs(tmp_path / "c", "1.wat", columns={"text": "title"})
    (tmp_path / "link").symlink_to(web)
    remove_from_manifest(in_turn(), web, Exclusion.of(domains=["no.example"]), tmp_path / "less")
    twice = "and its texts would count twice; give one of them"
    for runs in ([web, web], [web, other, tmp_path / "link"], [web, tmp_path / "less"]):
        with pytest.raises(InputError, match=f"both read 1.wat, {twice}"):
            online.common_rates(runs)
    with pytest.raises(InputError, match=f"{web} and {more} both read 2.wat, {twice}"):
        online.common_rates([web, more])
    online.common_rates([web, other, columns])


@pytest.mark.parametrize(
    ("name", "value", "usual"),
    [
        ("rules", "meta", "unicode"),
        ("evidence", "letters", "any"),
        ("metadata_of", "en", None),
        ("merge_languages", True, False),
    ],
)
def test_counts_of_different_matches_have_no_common_rates(tmp_path, name, value, usual):
    one, other = of_inputs(tmp_path / "a", "1.wat"), of_inputs(tmp_path / "b", "2.wat", **{name: value})
    with pytest.raises(
        InputError, match=f"a was matched with {name} {usual}, and .*b with {value}: their counts cannot"
    ):
        online.common_rates([one, other])
    other = of_inputs(tmp_path / "c", "3.wat", **{name: value})
    online.common_rates([tmp_path / "b", other])


@pytest.mark.parametrize(
    ("weights", "more", "fault"),
    [
        ({}, {}, "no part"),
        ({"a": 0}, {}, "the weight of a is 0"),
        ({"a": -1}, {}, "weight of a"),
        ({"a": 1}, {"epoch_of": "b"}, "epoch_of is b"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, more, fault):
    with pytest.raises(InputError, match=fault):
        online.Mix(weights, **more)


def test_datasets_that_cannot_be_mixed_are_refused(made, own, needs_torch):
    web, other = made.dataset(), made.dataset(1, 2)
    batches = online.BalancedDataset(made.index, made.rates, online.OnlineConfig(batches=online.ByEntries(4)))
    for parts, fault in (
        ({"web": web}, "give one each"),
        ({"web": web, "own": other}, "different ranks"),
        ({"web": web, "own": batches}, "cannot be mixed"),
    ):
        with pytest.raises(InputError, match=fault):
            online.MixedDataset(parts, online.Mix(WEIGHTS))
