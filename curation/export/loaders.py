"""Write a run for the two loaders of Meta CLIP, which read one JSON for each tar of images.

The first keeps a drawn text with the probability beside it (version 1.2). The second has the ids of entries beside each
text, and an array of probabilities for each list of entries (worldwide). Keys are those of the tar, in its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha224
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from curation.balancing.sampling import keep_probability
from curation.by_uid.joined_tars import joined_tars
from curation.export.experts import EVERYTHING, Selection
from curation.export.list_names import ListName, write_names
from curation.export.metaclip import local_ids, of_list
from curation.run.results import Results
from runtime.arrow.buffers import parts
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, part_writer

PROBABILITIES, ENTRIES, ARRAYS = "text_probabilities", "text_entries", "entry_probabilities"
NAMES, KEYS = "names.csv", "keys.parquet"
FOLDER_TARS = 2_000  # the folder of a tar is named by its number minus its number mod 2,000
KEY_DIGITS = 24  # of the SHA-224 of a URL, in hex: the keys of Meta CLIP's own tars
URL_KEYS = pa.schema([pa.field("uid", pa.string()), pa.field("key", pa.string())])
Sample = tuple[str, list[list], list[list]]  # key, [text, probability] …, [text, language, [entry ids]] …


@dataclass(frozen=True)
class Lists:
    """The lists of entries of a run, under the names that the second loader knows them by."""

    rates: np.ndarray
    ids: dict[str, slice]
    one_list: str | None
    names: dict[str, ListName]

    @classmethod
    def of(cls, run: Results, names: dict[str, ListName]) -> Lists:
        """Return the lists of a run under these names."""
        return cls(run.rates, run.languages, run.one_list, names)


def write_loaders(
    lists: Lists, files: list[OwnFile], tars: list[Path], folder: Path, selection: Selection = EVERYTHING
) -> int:
    """Write the JSON of each tar for both loaders, the arrays, names.csv and keys.parquet; return the samples.

    Samples that are not selected have no texts.
    """
    paths = [_json_of(tar) for tar in tars]
    _require_distinct(paths)
    _write_arrays(lists, folder)
    write_names(lists.names, folder / NAMES)
    _write_keys(files, folder / KEYS)
    work, written = folder / "work", 0
    work.mkdir()
    for path, (samples, rows) in zip(paths, joined_tars(tars, files, work), strict=True):
        written += _write_tar(of_samples(samples, selection.filter(rows), lists), folder, path)
    work.rmdir()
    return written


def of_samples(samples: pa.RecordBatch, rows: pa.Table, lists: Lists) -> Iterator[Sample]:
    """Yield all SAMPLES of a tar with the texts that its ROWS give them; a sample without a row has none."""
    texts, offsets = parts(rows["candidates"].combine_chunks())
    probability = keep_probability(texts.field("entries"), lists.rates).tolist()
    of_lists = of_list(texts, lists.one_list)
    ids = local_ids(of_lists, lists.ids).to_pylist()
    names = [lists.names[code].name if code in lists.names else code for code in of_lists.field("language").to_pylist()]
    text = texts.field("text").to_pylist()
    bounds = dict(zip(rows["offset"].to_pylist(), zip(offsets, offsets[1:], strict=False), strict=True))
    for key, offset in zip(samples["key"].to_pylist(), samples["offset"].to_pylist(), strict=True):
        own = slice(*bounds.get(offset, (0, 0)))
        with_probability = [list(each) for each in zip(text[own], probability[own], strict=True)]
        yield key, with_probability, [list(each) for each in zip(text[own], names[own], ids[own], strict=True)]


def _json_of(tar: Path) -> Path:
    """Return where the JSON of a tar lies, below the folder of a loader.

    >>> print(_json_of(Path("images/04321.tar")))
    4000/04321.json
    """
    if not (tar.stem.isascii() and tar.stem.isdecimal()):
        raise InputError(f"{tar} has no number for a name; give tars as img2dataset writes them, such as 00000.tar")
    number = int(tar.stem)
    return Path(str(number - number % FOLDER_TARS), f"{tar.stem}.json")


def _require_distinct(paths: list[Path]) -> None:
    path, number = Counter(paths).most_common(1)[0]
    if number > 1:
        raise InputError(f"{number} tars are called {path.stem}.tar; give tars of one download")


def _write_tar(samples: Iterator[Sample], folder: Path, path: Path) -> int:
    """Write both JSON files of a tar, a sample a line; return the number of samples."""
    paths, number = [folder / loader / path for loader in (PROBABILITIES, ENTRIES)], 0
    for each in paths:
        each.parent.mkdir(parents=True, exist_ok=True)
    with paths[0].open("wb") as first, paths[1].open("wb") as second:
        for number, (key, *texts) in enumerate(samples, start=1):
            for file, of_sample in zip((first, second), texts, strict=True):
                file.write(_line(key, of_sample, is_first=number == 1))
        for file in (first, second):
            file.write(b"\n}\n" if number else b"{}\n")
    return number


def _line(key: str, texts: Any, is_first: bool) -> bytes:
    return b"%b\n%b: %b" % (b"{" if is_first else b",", orjson.dumps(key), orjson.dumps(texts))


def _write_arrays(lists: Lists, folder: Path) -> None:
    (folder / ARRAYS).mkdir()
    for code, ids in lists.ids.items():
        name = lists.names[code]
        np.save(folder / ARRAYS / f"{name.t}_{name.name}.npy", lists.rates[ids].astype(np.float32))


def _write_keys(files: list[OwnFile], path: Path) -> None:
    """Write the uid of each image, and the key that Meta CLIP's own tars have for its URL."""
    with part_writer(path, URL_KEYS, row_group_rows=1 << 20) as writer:
        for file in files:
            for batch in batches(file, columns=["uid", "url"]):
                keys = [sha224(url.encode()).hexdigest()[:KEY_DIGITS] for url in batch["url"].to_pylist()]
                writer.write(pa.RecordBatch.from_arrays([batch["uid"], pa.array(keys, pa.string())], schema=URL_KEYS))
