import io
import json
import os
import random
import tarfile
from collections import Counter
from hashlib import md5
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import sample_batch
from curation.balancing.thresholds import rates as rates_at
from curation.online import join
from curation.online.draw import draw, order_of_blocks
from curation.online.read import Epoch
from curation.online.tars import samples
from curation.schemas import MATCHED
from metadata.entries import Entries
from runtime.errors import InputError
from tests.naive.online import naive_epoch, naive_samples
from tests.support.checkout import ROOT
from tests.support.stand_ins import needed

ENTRIES = Entries.build({"en": ["a", "photo", "dog", "black dog", "cat"]})
PAGE = ROOT / "docs" / "online-balancing.md"
FORKS = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python 3.12, where threads run
EPOCHS = 200
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


@pytest.fixture
def needs_torch():
    return needed("torch")


def image(number, texts):
    """One matched image; a text is its entries."""
    url = f"https://é.example/{number}.jpg"
    candidates = texts and [
        {"text": f"犬 {number}.{place}", "kind": "alt", "language": "en", "lid_score": 0.5, "entries": entries}
        for place, entries in enumerate(texts)
    ]
    return {"uid": md5(url.encode()).hexdigest(), "url": url, "page_url": None, "candidates": candidates}


def images(number, seed=0):
    chance = random.Random(seed)

    def entries():
        return sorted(chance.sample(range(5), chance.randrange(1, 4)))

    return [image(i, [entries() for _ in range(chance.randrange(1, 4))]) for i in range(number)]


def nasty():
    return [image(0, None), image(1, []), *images(40)[2:], image(40, [None, [], [0]]), image(41, None)]


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, MATCHED)


def write_tar(path, rows, form="ustar", **without):
    """Write a tar as img2dataset does: jpg, json and txt of each image, under keys that count."""
    with tarfile.open(path, "w", format=FORMATS[form]) as tar:
        for number, row in enumerate(rows):
            key = row.get("key") or f"{path.stem}{number:04d}"
            stated = {"uid": row["uid"], "url": row["url"], "caption": "old", "key": key}
            of_sample = {"jpg": b"JPEG of " + row["uid"].encode() * (1 + number % 30), "txt": b"old"}
            of_sample["json"] = json.dumps({k: v for k, v in stated.items() if k not in without}).encode()
            for extension in ("jpg", "txt", "json"):
                if extension not in without:
                    add(tar, f"{key}.{extension}", of_sample[extension])


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), 1e9 + 0.5  # a fraction: PAX gives it a header of its own
    tar.addfile(member, io.BytesIO(content))


class Made:
    """A finished run of curate over 400 images, and three tars: of 300 of these, and of 30 others."""

    def __init__(self, folder, block_rows=16):
        self.folder, self.images = folder, images(400)
        self.rates = np.array([1, 0.5, 0.3, 0.05, 0.7], np.float32)
        write_run(folder / "run", self.images)
        self.there = self.images[50:350]
        others = [image(number, None) for number in range(1000, 1030)]
        (folder / "tars").mkdir()
        for number in range(3):
            rows = self.there[number * 100 : (number + 1) * 100] + others[number * 10 : (number + 1) * 10]
            random.Random(number).shuffle(rows)
            write_tar(folder / "tars" / f"{number:05d}.tar", rows)
        self.index = online.build(folder / "tars", folder / "run", folder / "index", block_rows)

    def dataset(self, rank=0, ranks=1, seed=0, mixed=2, **options):
        config, world = online.OnlineConfig(seed, mixed), online.World(rank, ranks)
        return online.BalancedDataset(self.index, self.rates, config, world=world, **options)

    def epoch(self, number, seed=0):
        return naive_epoch(self.there, self.rates.tolist(), seed, number)


def write_run(folder, rows, digest=ENTRIES.digest):
    (folder / "matched").mkdir(parents=True)
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(pa.Table.from_pylist(part, MATCHED), folder / "matched" / f"{number:05d}.parquet")
    stamp = {"version": 1, "made_from": {"metadata": digest}}
    (folder / "matched" / "_made_from.json").write_text(json.dumps(stamp))
    counts = EntryCounts.zeros(5, ENTRIES.digest)
    counts.count([text["entries"] for row in rows for text in row["candidates"] or []])
    counts.save(folder / "counts.parquet", ENTRIES, rates_at(counts.values, 40))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("online"))


def pairs(kept):
    return [(sample["__uid__"], sample["txt"].decode()) for sample in kept]


def of_workers(dataset, workers, monkeypatch):
    """What each of so many workers yields, without starting any."""
    found = []
    for worker in range(workers):
        monkeypatch.setattr("curation.online.dataset._worker", lambda worker=worker: (worker, workers))
        found.append(list(dataset))
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_a_tar_is_read_as_the_standard_library_reads_it(form, tmp_path):
    rows = images(5)
    rows[1]["key"] = "folder.d/" + "é" * 60 if form != "ustar" else "folder.d/" * 11 + "k" * 30
    rows[2]["uid"], rows[3]["uid"] = "своё", ""
    write_tar(tmp_path / "a.tar", rows, form)
    found = samples(tmp_path / "a.tar").to_pylist()
    content = (tmp_path / "a.tar").read_bytes()
    for row in found:
        offset = row.pop("offset")
        row["bytes"] = content[offset : offset + row.pop("size")]
    assert found == naive_samples(tmp_path / "a.tar")
    assert len(found) == 5


def test_files_without_an_image_and_an_empty_tar_are_no_samples(tmp_path):
    write_tar(tmp_path / "a.tar", images(3), jpg=False)
    write_tar(tmp_path / "b.tar", [])
    assert samples(tmp_path / "a.tar").num_rows == samples(tmp_path / "b.tar").num_rows == 0


def test_the_index_counts_images_and_those_that_are_matched(made):
    assert (made.index.samples, made.index.matched) == (330, 300)
    assert [shard.name for shard in made.index.shards] == ["00000.tar", "00001.tar", "00002.tar"]
    assert made.index.first_blocks.tolist() == [0, 7, 14, 21]


def test_uids_are_compared_whole_where_their_numbers_agree(made, tmp_path, monkeypatch):
    monkeypatch.setattr(join, "draws", lambda seed, purpose, uids: np.zeros(len(uids)))
    other = online.build(made.folder / "tars", made.folder / "run", tmp_path / "index", 16)
    for shard in range(3):
        assert other.rows(shard).read_all().equals(made.index.rows(shard).read_all())


def test_an_image_in_two_tars_has_its_texts_in_both(tmp_path):
    rows = images(8)
    write_run(tmp_path / "run", rows)
    for name in ("a", "b"):
        write_tar(tmp_path / f"{name}.tar", rows[2:5])
    index = online.build(str(tmp_path / "*.tar"), tmp_path / "run", tmp_path / "index")
    expected = [(row["uid"], row["candidates"]) for row in rows[2:5]]
    for shard in (0, 1):
        found = index.rows(shard).read_all().to_pylist()
        assert [(row["uid"], row["candidates"]) for row in found] == expected


def test_tars_of_nothing_that_matches_keep_nothing(tmp_path):
    write_run(tmp_path / "run", [*images(3), image(3, []), image(4, None)])
    write_tar(tmp_path / "a.tar", [image(3, []), image(4, None), image(5, None)])
    write_tar(tmp_path / "b.tar", [])
    index = online.build(tmp_path, tmp_path / "run", tmp_path / "index")
    assert (index.samples, index.matched) == (3, 0)
    assert Epoch(index, np.ones(5), 0, 0).kept([]).num_rows == 0


@pytest.mark.parametrize(("start", "length"), [(0, 42), (0, 0), (3, 20), (30, 12), (1, 1)])
def test_an_epoch_keeps_what_the_definition_says_of_every_slice(start, length):
    rates = np.array([0.2, 0.5, 0.3, 0.05, 0.7])
    part, rows = batch(nasty()).slice(start, length), nasty()[start : start + length]
    for seed, epoch in ((0, 0), (0, 1), (7, 12)):
        drawn = draw(part, rates, seed, epoch)
        found = list(zip(part.column("uid").take(drawn.rows).to_pylist(), drawn.texts.to_pylist(), strict=True))
        assert found == naive_epoch(rows, rates.tolist(), seed, epoch)


def test_epoch_0_keeps_the_pairs_of_the_curated_manifest():
    rows, rates = batch(images(500)), np.array([0.2, 0.5, 0.3, 0.05, 0.7])
    drawn, curated = draw(rows, rates, 3, 0), sample_batch(rows, rates, 3)
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
        kept = Epoch(made.index, made.rates, 5, number).kept(range(21))
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


def test_an_index_that_is_there_is_not_built_again(made):
    made_at = (made.folder / "index" / "index.json").stat().st_mtime_ns
    again = online.build([made.folder / "tars"], made.folder / "run", made.folder / "index", 16)
    assert again == made.index
    assert (made.folder / "index" / "index.json").stat().st_mtime_ns == made_at
    assert not (made.folder / "index" / ".work").exists()


def test_an_index_that_was_interrupted_is_built_again(tmp_path):
    write_run(tmp_path / "run", images(4))
    write_tar(tmp_path / "a.tar", images(4))
    (tmp_path / "index" / ".work").mkdir(parents=True)
    (tmp_path / "index" / "00000.arrow").write_bytes(b"half")
    assert online.build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index").matched == 4


def test_another_index_or_other_files_in_the_folder_are_refused(made, tmp_path):
    with pytest.raises(InputError, match="block_rows"):
        online.build(made.folder / "tars", made.folder / "run", made.folder / "index", 17)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no index"):
        online.build(made.folder / "tars", made.folder / "run", tmp_path)


def test_a_tar_that_changed_is_refused(tmp_path, needs_torch):
    write_run(tmp_path / "run", images(4))
    write_tar(tmp_path / "a.tar", images(4))
    index = online.build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    write_tar(tmp_path / "a.tar", images(60))
    with pytest.raises(InputError, match="build the index again"):
        list(online.BalancedDataset(index, np.ones(5)))


def test_a_damaged_index_is_refused(tmp_path):
    write_run(tmp_path / "run", images(4))
    write_tar(tmp_path / "a.tar", images(4))
    folder = tmp_path / "index"
    index = online.build(tmp_path / "a.tar", tmp_path / "run", folder)
    (folder / "00000.arrow").write_bytes((folder / "00000.arrow").read_bytes()[:-100])
    with pytest.raises(InputError, match="again"):
        index.rows(0)
    for damage in ('{"version": 9}', '{"version": 1}', "{", None):
        if damage is None:
            (folder / "index.json").unlink()
        else:
            (folder / "index.json").write_text(damage)
        with pytest.raises(InputError, match=r"index\.json|again"):
            online.Index.open(folder)


def test_tars_that_cannot_be_used_are_refused_by_name(tmp_path):
    write_tar(tmp_path / "whole.tar", images(3))
    content = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[:1000])
    (tmp_path / "text.tar").write_text("no tar at all" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "size.tar").write_bytes(content[:124] + b"nonsense" + content[132:])
    write_tar(tmp_path / "plain.tar", images(3), json=False)
    write_tar(tmp_path / "unknown.tar", images(3), uid=False, url=False)
    for name in ("cut", "text", "empty", "size", "plain", "unknown", "missing"):
        with pytest.raises(InputError, match=rf"{name}\.tar"):
            samples(tmp_path / f"{name}.tar")


@pytest.mark.parametrize(
    ("tars", "message"), [("s3://bucket/a.tar", "local"), ("nowhere/*.tar", "no tars"), ([], "no tars")]
)
def test_paths_that_are_no_tars_are_refused(made, tmp_path, tars, message):
    with pytest.raises(InputError, match=message):
        online.build(tars, made.folder / "run", tmp_path / "index")


def test_a_folder_without_matched_images_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="output folder of curate"):
        online.build(made.folder / "tars", tmp_path, tmp_path / "index")


def test_an_image_that_is_matched_twice_is_refused(tmp_path):
    write_run(tmp_path / "run", [*images(4), images(4)[1]])
    write_tar(tmp_path / "a.tar", images(4))
    with pytest.raises(InputError, match="more than once"):
        online.build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")


def test_rates_that_do_not_belong_to_the_index_are_refused(made, needs_torch, tmp_path):
    write_run(tmp_path / "run", images(4), digest="another")
    write_tar(tmp_path / "a.tar", images(4))
    index = online.build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    EntryCounts.zeros(5, ENTRIES.digest).save(tmp_path / "counts.parquet", ENTRIES)
    for where, rates, message in (
        (index, tmp_path / "run" / "counts.parquet", "belong to metadata"),
        (made.index, tmp_path / "counts.parquet", "without rates"),
        (made.index, tmp_path / "none.parquet", "no counts"),
        (made.index, [[1.0]], "rates are"),
        (made.index, ["a"], "rates are"),
    ):
        with pytest.raises(InputError, match=message):
            online.BalancedDataset(where, rates)
    with pytest.raises(InputError, match="other metadata"):
        list(online.BalancedDataset(made.index, [1.0, 0.5]))


def test_numbers_that_make_no_sense_are_refused(made):
    for wrong in (lambda: online.OnlineConfig(mixed_blocks=0), lambda: online.World(2, 2), lambda: online.World(-1, 2)):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(InputError, match="block_rows"):
        online.build(made.folder / "tars", made.folder / "run", made.folder / "index", 0)


def test_without_torch_the_extra_is_named(made, monkeypatch):
    monkeypatch.setattr("curation.online.dataset.torch", None)
    assert online.World.here() == online.World(0, 1)
    with pytest.raises(InputError, match=r"clip-curation\[torch\]"):
        online.BalancedDataset(made.index, made.rates)


COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "white": (240, 240, 240)}
PLACES = {"north": (0, 8), "south": (0, -8), "west": (8, 0), "east": (-8, 0)}


@pytest.fixture
def patches(tmp_path):
    """Tars of all pictures of coloured patches, a run of curate over them, and tars of those that it kept."""
    pictures = needed("PIL.Image")
    rows, jpegs = [], {}
    for number in range(320):
        colour, place = list(COLOURS)[number % 4], list(PLACES)[number // 4 % 4]
        row = image(number, [[number % 4], [4, number % 4]])
        row["candidates"][0]["text"] = f"{colour} patch in the {place}"
        row["candidates"][1]["text"] = f"photo of a {colour} thing, {place}"
        picture = pictures.new("RGB", (32, 32), (90 + number % 9, 90, 90))
        picture.paste(
            COLOURS[colour], tuple(8 - way for way in PLACES[place]) + tuple(24 - way for way in PLACES[place])
        )
        out = io.BytesIO()
        picture.save(out, "JPEG")
        rows.append(row)
        jpegs[row["uid"]] = out.getvalue()
    write_run(tmp_path / "curated", rows)
    write_pictures(tmp_path / "images" / "00000.tar", [(row["uid"], "unused") for row in rows], jpegs)
    kept = sample_batch(batch(rows), np.full(5, 0.5), 0)
    write_pictures(
        tmp_path / "kept" / "00000.tar", zip(kept["uid"].to_pylist(), kept["text"].to_pylist(), strict=True), jpegs
    )
    return tmp_path


def write_pictures(path, chosen, jpegs):
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for number, (uid, text) in enumerate(chosen):
            add(tar, f"{number:09d}.jpg", jpegs[uid])
            add(tar, f"{number:09d}.txt", text.encode())
            add(tar, f"{number:09d}.json", json.dumps({"uid": uid}).encode())


class Losses(list):
    """In the place of open_clip's writer for TensorBoard: the loss of each step."""

    def add_scalar(self, name, value, step):
        if name == "train/loss":
            self.append(value)


def tiny_clip():
    """A model of two layers for pictures of 32 pixels, its tokenizer, and what it wants of a picture."""
    torch, open_clip = needed("torch"), needed("open_clip")
    from torchvision.transforms.functional import normalize, to_tensor

    torch.manual_seed(0)
    torch.set_num_threads(1)  # more would wait for each other where the tests share cores
    vision = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    model = open_clip.CLIP(32, vision, text, output_dict=True)
    return (
        model,
        open_clip.SimpleTokenizer(context_length=12),
        lambda picture: normalize(to_tensor(picture), [0.45], [0.27]),
    )


def trained(model, data, args, epochs) -> Losses:
    """Train with open_clip's own loop; return the losses."""
    import torch
    from open_clip import ClipLoss
    from open_clip_train.train import train_one_epoch

    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-4), Losses()
    for epoch in range(epochs):
        train_one_epoch(model, {"train": data}, ClipLoss(), epoch, optimizer, None, None, None, args, losses)
    return losses


def arguments(**more):
    """The command line of open_clip's training, as far as its loop and its loader look at it."""
    numbers = {
        "batch_size": 16,
        "workers": 0,
        "world_size": 1,
        "rank": 0,
        "seed": 0,
        "accum_freq": 1,
        "log_every_n_steps": 1,
    }
    off = ("distill", "horovod", "wandb", "distributed", "dataset_resampled")
    none = ("grad_clip_norm", "train_data_upsampling_factors")
    switches = dict.fromkeys(off, False) | dict.fromkeys(none) | {"skip_scheduler": True}
    return SimpleNamespace(device="cpu", precision="fp32", **numbers, **switches, **more)


def falls(losses) -> bool:
    return np.mean(losses[-8:]) < 0.75 * np.mean(losses[:8])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves tars open
@pytest.mark.feeds
def test_open_clip_learns_from_the_tars_of_a_curated_manifest(patches):
    model, tokenizer, preprocess = tiny_clip()
    from open_clip_train.data import get_wds_dataset

    args = arguments(train_data=str(patches / "kept" / "00000.tar"), train_num_samples=160)
    data = get_wds_dataset(args, preprocess, is_train=True, tokenizer=tokenizer)
    assert falls(trained(model, data, args, epochs=7))


@pytest.mark.feeds
def test_open_clip_learns_from_balancing_while_it_trains(patches):
    model, tokenizer, preprocess = tiny_clip()
    import torch
    from open_clip_train.data import DataInfo
    from PIL import Image

    def pair(sample):
        picture = Image.open(io.BytesIO(sample["jpg"])).convert("RGB")
        return preprocess(picture), tokenizer(sample["txt"].decode())[0]

    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5), transform=pair)
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, drop_last=True)
    loader.num_batches = dataset.steps(16)
    loader.num_samples = 16 * loader.num_batches
    data = DataInfo(loader)
    data.set_epoch = dataset.set_epoch
    losses = trained(model, data, arguments(), epochs=7)
    assert falls(losses)
    assert 50 < len(losses) < 100


@pytest.mark.feeds
def test_a_balanced_dataset_is_the_first_stage_of_a_webdataset_pipeline(patches):
    wds = needed("webdataset")
    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5))
    stages = [wds.decode("pilrgb"), wds.rename(image="jpg;png", text="txt"), wds.to_tuple("image", "text")]
    found = list(wds.DataPipeline(dataset, *stages))
    assert [text for _, text in found] == [text for _, text in pairs(dataset)]
    assert {picture.size for picture, _ in found} == {(32, 32)}


@FORKS
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.feeds
def test_the_examples_of_the_page_on_online_balancing_run(patches, monkeypatch):
    needed("torchdata")
    model, tokenizer, preprocess = tiny_clip()
    batches = []
    names = {"tokenizer": tokenizer, "preprocess": preprocess, "args": arguments(), "train": batches.append}
    monkeypatch.chdir(patches)
    for example in PAGE.read_text(encoding="utf-8").split("```python\n")[1:]:
        exec(example.partition("```")[0], names)
    assert names["index"].matched == 320
    assert len(batches) == names["done"] > 0
    assert len(trained(model, names["data"], names["args"], epochs=1)) == names["loader"].num_batches > 0
