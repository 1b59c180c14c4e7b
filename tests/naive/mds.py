"""A naive reader of MDS: the samples of a folder, from the layout that mosaicml publishes."""

import json
from hashlib import sha1
from pathlib import Path


def naive_mds(folder: Path) -> list[dict]:
    """Return the samples of all shards, in the order of the index."""
    index = json.loads((folder / "index.json").read_text("utf-8"))
    assert index["version"] == 2
    return [sample for shard in index["shards"] for sample in naive_shard(folder, shard)]


def naive_shard(folder: Path, told: dict) -> list[dict]:
    """Return the samples of a shard, of which the index tells size, hash and columns."""
    content = (folder / told["raw_data"]["basename"]).read_bytes()
    assert (told["format"], told["version"], told["compression"], told["zip_data"]) == ("mds", 2, None, None)
    assert told["raw_data"]["bytes"] == len(content)
    assert told["raw_data"]["hashes"] == {"sha1": sha1(content).hexdigest()}
    assert told["column_names"] == sorted(told["column_names"])
    assert number_at(content, 0) == told["samples"]
    bounds = [number_at(content, 4 + 4 * each) for each in range(told["samples"] + 1)]
    assert bounds[-1] == len(content)
    head = {name: told[name] for name in told if name not in ("raw_data", "zip_data", "samples")}
    assert json.loads(content[4 * len(bounds) + 4 : bounds[0]]) == head
    return [naive_sample(content[begin:end], told) for begin, end in zip(bounds, bounds[1:], strict=False)]


def naive_sample(content: bytes, told: dict) -> dict:
    columns = list(zip(told["column_names"], told["column_encodings"], told["column_sizes"], strict=True))
    sample, begin = {}, 4 * len(columns)
    for place, (name, encoding, size) in enumerate(columns):
        assert size is None
        end = begin + number_at(content, 4 * place)
        value = content[begin:end]
        sample[name], begin = value if encoding == "bytes" else value.decode(), end
    assert begin == len(content)
    return sample


def number_at(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 4], "little")
