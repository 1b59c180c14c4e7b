"""Export `metaclip`: counts and probabilities by language, and texts with their entries, for balancing loaders.

An entry id is a position, from 0, in its language's list of entries, array of counts and array of probabilities. The
names follow Algorithm 1 of "Demystifying CLIP Data". Where tars are given, `loaders` writes the files of Meta CLIP's
own data loaders instead.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from curation.export.forms import ALL, Beside, ByCluster, Form, distinct_tars
from curation.export.loaders import NAMES, local_ids, member, names_of, of_list, write_loaders
from curation.report.numbers import counted
from curation.run.finished import matched_files
from curation.run.making import Derived, Made
from curation.run.results import Results
from runtime.arrow.buffers import parts
from runtime.errors import InputError
from runtime.progress import counted as advancing
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile, checksum_of, intact
from runtime.storage.parquet import batches
from runtime.storage.paths import make_folder
from runtime.storage.whole import whole, write_json

METADATA, COUNTS, PROBABILITIES, SHARDS = "metadata", "entry_counts", "entry_probs", "texts"
INDEX = "index.json"
IMAGES, TEXTS = "images of ", "texts of "  # before the name of a shard: names of tallies


@dataclass(frozen=True)
class MetaClip(Form):
    """Entries, counts, probabilities and texts; or, if tars are given, a JSON file for each tar."""

    tars: Sequence[str | Path] = ()
    names: str | Path | None = None
    clusters: ByCluster = ALL

    writes = "counts, probabilities and texts for a loader that balances as it reads"
    elsewhere = "names are for what metaclip writes of tars; give the tars, too (--tars)"

    def __post_init__(self) -> None:
        if self.names and not self.tars:
            raise InputError(self.elsewhere)
        if self.clusters.tables and not self.tars:
            raise InputError("clusters choose among the samples of tars in the format metaclip; give the tars (--tars)")
        self.clusters.require_choice("metaclip")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flag of a table of names."""
        group = parser.add_argument_group("other names of languages, for metaclip")
        group.add_argument(
            "--names",
            metavar="FILE",
            help="CSV of language, name and t: what Meta CLIP's loaders call each list of entries, and English's t",
        )

    @property
    def whole_by(self) -> str:
        """The file that is written last."""
        return NAMES if self.tars else INDEX

    def write(self, run: Results, folder: Derived) -> str:
        """Write the files of a loader, or those of both of Meta CLIP's own."""
        if self.tars:
            tars, names = distinct_tars(self.tars), names_of(run, self.names)
            beside = Beside.of(folder.engine, run, (), self.clusters)
            samples = write_loaders(run, tars, names, beside, folder)
            return f"{counted(samples, 'sample')} with texts of {counted(len(tars), 'tar')} for both loaders{beside}"
        _write_languages(run, folder.path)
        files = matched_files(run)
        make = partial(write_shard, languages=run.languages, one_list=run.one_list)
        tallies = folder.each_file("write texts", files, make, SHARDS)
        images, texts = (tallies.beginning(name) for name in (IMAGES, TEXTS))
        stems = [file.path.stem for file in files]
        shards = {stem: {"images": int(images[stem]), "texts": int(texts[stem])} for stem in stems}
        sizes = {code: ids.stop - ids.start for code, ids in run.languages.items()}
        index = {"metadata": run.facts["made_from"]["metadata"], "languages": sizes, "shards": shards}
        write_json(folder.path / INDEX, index)
        written = f"{counted(int(sum(texts.values())), 'text')} in {counted(len(files), 'shard')}"
        return f"{written} and the entries of {counted(len(run.languages), 'language')}"


def write_shard(file: OwnFile, made: Made, languages: Mapping[str, slice], one_list: str | None = None) -> None:
    """Write one file of matched images as one JSON object: uid → its texts, each with its language and entries.

    Tally the numbers of images and of texts. Each image has a line of its own, so a shard can be read in parts.
    """
    images = texts = 0
    name = f"{file.path.stem}.json"
    with whole(made.path(SHARDS, name)) as path:
        with path.open("wb") as out:
            for batch in advancing(batches(file, columns=["uid", "candidates"])):
                for uid, of_image in _images(batch, languages, one_list):
                    out.write(member(images, uid, of_image))
                    images, texts = images + 1, texts + len(of_image)
            out.write(b"\n}\n" if images else b"{\n}\n")
        checksum = checksum_of(path)
    made.wrote(SHARDS, name, checksum)
    made.tallies.add(f"{IMAGES}{file.path.stem}", images)
    made.tallies.add(f"{TEXTS}{file.path.stem}", texts)


def _write_languages(run: Results, folder: Path) -> None:
    """Write each language's entries (JSON), counts (int64 .npy) and sampling rates (float32 .npy) to `folder`."""
    metadata, counts, probabilities = (make_folder(folder / name) for name in (METADATA, COUNTS, PROBABILITIES))
    with intact(run.file("counts.parquet")) as path:
        local = Results(path.parent, run.facts)  # else each language would fetch the file from a URL
        for code, ids in local.languages.items():
            write_json(metadata / f"{code}.json", local.entries(code)["entry"].to_pylist())
            save_array(counts / f"{code}.npy", local.counts[ids])
            save_array(probabilities / f"{code}.npy", local.rates[ids])


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
