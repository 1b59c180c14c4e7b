"""Shards made of exported tars, read by mosaicml's StreamingDataset: all, shuffled, by ranks, gone on with."""

import json
import socket
from collections import Counter
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export.formats import export
from curation.plugins.export.webdataset import WebDataset
from tests.docs.test_recipes import recipe
from tests.naive.mds import naive_mds
from tests.support import streaming
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar

# Samples as JSON; a call gives the answers of a function to what it is given.
READER = """
import json
import sys
from streaming import StreamingDataLoader, StreamingDataset

def told(sample):
    return sample | {"image": sample["image"].hex()}

def dataset(folder, **options):
    return StreamingDataset(local=folder, batch_size=4, num_canonical_nodes=1, **options)

def loader(folder, shuffle):
    return StreamingDataLoader(dataset(folder, shuffle=shuffle, shuffle_seed=5), batch_size=4, num_workers=2)

def uids(batches):
    return [batch["uid"] for batch in batches]

def everything(folder, cache):
    local = [told(sample) for sample in dataset(folder)]
    copied = StreamingDataset(remote=folder, local=cache, batch_size=4, validate_hash="sha1")
    return local, [told(copied[number]) for number in range(len(copied))]

def epochs(folder):
    reading = loader(folder, True)
    return uids(reading), uids(reading)

def broken_off(folder, after):
    reading = loader(folder, True)
    begun = iter(reading)
    before = uids(next(begun) for _ in range(after))
    return before, reading.state_dict()

def gone_on_with(folder, state):
    reading = loader(folder, True)
    reading.load_state_dict(state)
    return uids(reading), uids(reading)

def follow(recipe):
    exec(recipe, {})

if __name__ == "__main__":
    (name, *given), = json.loads(sys.argv[1]),
    print("ANSWER", json.dumps(globals()[name](*given)))
"""


def answer(process) -> list:
    """Return what a function of READER returned."""
    return json.loads(streaming.printed(process).rpartition("ANSWER ")[2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    streaming.require_streaming()
    return tmp_path_factory.mktemp("streaming")


@pytest.fixture(scope="module")
def call(folder):
    """Call a function of READER."""
    return lambda name, *given: answer(streaming.start(READER, folder, name, *given))


@pytest.fixture(scope="module")
def shards(folder, call) -> Path:
    """Shards of 64 samples in three tars, with captions; the json of the first tar states a url and no uid."""
    images = [image(number) for number in range(120)]
    for row in images:
        row["uid"] = md5(row["url"].encode()).hexdigest()
    run = finished_run(folder / "run", images, t=500)
    kept = [row for row in run.images if row["uid"] in {each["uid"] for each in run.kept}][:64]
    (folder / "images").mkdir()
    for number, rows in enumerate((kept[:10], kept[10:40], kept[40:])):
        without = {} if number else {"uid": True}
        write_tar(folder / "images" / f"{number:05}.tar", rows, **without)
    captions = [{"uid": row["uid"], "caption": f"説明 {row['uid']}"} for row in kept[::2]]
    pq.write_table(pa.Table.from_pylist(captions), folder / "captions.parquet")
    form = WebDataset([folder / "images"], [folder / "captions.parquet"], caption_sources=["any=0.5"])
    export(in_turn(), run.path, folder / "tars", form)
    call("follow", recipe("Shards in MDS format"))
    return folder / "shards"


@pytest.fixture(scope="module")
def epochs(shards, call) -> list[list[list[str]]]:
    """Two epochs of batches of uids, read without a break."""
    return call("epochs", shards)


def uids_of(shards: Path) -> list[str]:
    return [sample["uid"] for sample in naive_mds(shards)]


def test_every_sample_is_read_also_where_shards_are_copied_and_compared_with_their_hashes(shards, call):
    local, copied = call("everything", shards, "cache")
    expected = [sample | {"image": sample["image"].hex()} for sample in naive_mds(shards)]
    assert copied == expected
    assert sorted(local, key=lambda each: each["uid"]) == sorted(expected, key=lambda each: each["uid"])
    assert len(expected) == 64


def test_epochs_are_shuffled_and_have_every_sample_once(shards, epochs):
    first, second = (sum(epoch, []) for epoch in epochs)
    assert first != second != uids_of(shards)
    assert sorted(first) == sorted(second) == sorted(uids_of(shards))


def test_an_epoch_that_breaks_off_is_gone_on_with_to_the_same_batches(shards, call, epochs):
    first, second = epochs
    before, state = call("broken_off", shards, 7)
    rest, after = call("gone_on_with", shards, state)
    assert state["sample_in_epoch"] == 28
    assert (before + rest, after) == (first, second)


def test_two_ranks_see_every_sample_once(shards, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        streaming.start(READER, folder, "epochs", shards, RANK=rank, LOCAL_RANK=rank, **ranks) for rank in "01"
    ]
    for epoch in zip(*map(answer, processes), strict=True):
        assert Counter(sum((sum(of_rank, []) for of_rank in epoch), [])) == Counter(uids_of(shards))
