"""Write a run for a loader that balances as it reads: counts and probabilities by language, texts with their entries.

Entry ids here are a language's own, from 0: positions in its list of entries, its counts and its probabilities. Names
are those of Algorithm 1 in "Demystifying CLIP Data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from curation.run.results import Results
from runtime.arrow.buffers import parts
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.storage.whole import write_json

METADATA, COUNTS, PROBABILITIES, SHARDS = "metadata", "entry_counts", "entry_probs", "texts"


def write_languages(run: Results, folder: Path) -> None:
    """Write each language's entries (JSON), counts (int64 .npy) and sampling rates (float32 .npy) to `folder`."""
    for name in (METADATA, COUNTS, PROBABILITIES):
        (folder / name).mkdir()
    for code, ids in run.languages.items():
        write_json(folder / METADATA / f"{code}.json", run.entries(code)["entry"].to_pylist())
        np.save(folder / COUNTS / f"{code}.npy", run.counts[ids])
        np.save(folder / PROBABILITIES / f"{code}.npy", run.rates[ids])


def write_shard(
    file: OwnFile, path: Path, languages: Mapping[str, slice], one_list: str | None = None
) -> tuple[int, int]:
    """Write one file of matched images as one JSON object: uid → its texts, each with its language and entries.

    Return the numbers of images and of texts. Each image has a line of its own, so a shard can be read in parts.
    """
    images = texts = 0
    with path.open("wb") as out:
        out.write(b"{")
        for batch in batches(file, columns=["uid", "candidates"]):
            for uid, of_image in _images(batch, languages, one_list):
                out.write(b"%b\n%b: %b" % (b"," if images else b"", orjson.dumps(uid), orjson.dumps(of_image)))
                images, texts = images + 1, texts + len(of_image)
        out.write(b"\n}\n")
    return images, texts


def write_shards(
    run: Results, files: list[OwnFile], folder: Path, spread: Callable[..., Iterable[tuple[int, int]]] = map
) -> dict:
    """Write a shard for each file of matched images, and index.json about them; return the content of index.json.

    `spread` is `map`, or maps a function over files in several processes.
    """
    (folder / SHARDS).mkdir()
    paths = [folder / SHARDS / f"{file.path.stem}.json" for file in files]
    written = spread(partial(write_shard, languages=run.languages, one_list=run.one_list), files, paths)
    shards = {path.stem: {"images": n, "texts": t} for path, (n, t) in zip(paths, written, strict=True)}
    sizes = {code: ids.stop - ids.start for code, ids in run.languages.items()}
    index = {"metadata": run.facts["made_from"]["metadata"], "languages": sizes, "shards": shards}
    write_json(folder / "index.json", index)
    return index


def local_ids(texts: pa.StructArray, languages: Mapping[str, slice]) -> pa.ListArray:
    """Return the entries of each text as positions in its language's list; refuse entries of another language."""
    ids, offsets = parts(texts.field("entries"))
    codes = texts.field("language").dictionary_encode()
    slices = [languages.get(code, slice(0, 0)) for code in codes.dictionary.to_pylist()] + [slice(0, 0)]  # null: last
    of_text = codes.indices.fill_null(len(slices) - 1).to_numpy()
    of_id = np.repeat(of_text, np.diff(offsets))
    starts, stops = (np.array([getattr(ids, end) for ids in slices], np.int64) for end in ("start", "stop"))
    values = ids.to_numpy(zero_copy_only=False).astype(np.int64)
    wrong = np.flatnonzero((values < starts[of_id]) | (values >= stops[of_id]))
    if len(wrong):
        raise InputError(
            f"entry {values[wrong[0]]} is none of its text's language; matched/ and counts.parquet are of two runs"
        )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values - starts[of_id], pa.int32()))


def of_list(texts: pa.StructArray, one_list: str | None) -> pa.StructArray:
    """Return texts whose language is that of the list their entries are of; `one_list` where all share one."""
    if one_list is None:
        return texts
    columns = {"text": texts.field("text"), "language": pa.repeat(one_list, len(texts))}
    return pa.StructArray.from_arrays([*columns.values(), texts.field("entries")], [*columns, "entries"])


def _images(
    batch: pa.RecordBatch, languages: Mapping[str, slice], one_list: str | None
) -> Iterator[tuple[str, list[dict]]]:
    """Yield the uid and the texts of each image of a MATCHED batch."""
    texts, offsets = parts(batch["candidates"])
    texts = of_list(texts, one_list)
    columns = (texts.field("text"), texts.field("language"), local_ids(texts, languages))
    rows = [
        {"text": text, "language": code, "matched_entry_ids": ids}
        for text, code, ids in zip(*(column.to_pylist() for column in columns), strict=True)
    ]
    for uid, begin, end in zip(batch["uid"].to_pylist(), offsets, offsets[1:], strict=False):
        yield uid, rows[begin:end]
