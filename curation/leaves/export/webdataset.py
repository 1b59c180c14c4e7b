"""Exports `webdataset` and `mds`: a run's curated pairs of downloaded tars, as tars or as shards in MDS format.

In the tars that are written, for trainers that read `txt`, `txt` is the curated text. With captions, `txt` of a drawn
share of the samples is the image's caption, and `alt.txt` is the curated text. All other members keep their names and
bytes.

An MDS shard, which mosaicml's streaming reads, is a file of little-endian numbers of 4 bytes (the number of samples,
the begin of each sample and the end of the last one), then the columns as JSON, then the samples. A sample is the sizes
of its values, then the values, both sorted by the names of columns. index.json lists all shards. Each value here is
bytes or text, so that a batch is lists of values.

`CuratedSamples` also serves other forms made from tars. All forms choose samples, captions and experts alike; a form
writes the samples of a tar, and the file that is written last and makes the folder whole.
"""

import json
import mmap
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from itertools import accumulate, chain
from pathlib import Path
from struct import pack
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.annotations.captions import OF_SOURCE, RATIO, CaptionDraw, field_of
from curation.leaves.annotations.clusters import Choice
from curation.leaves.export.forms import (
    ALL,
    Beside,
    ByCluster,
    Form,
    chosen,
    distinct_tars,
    require_captions,
    source_shares,
)
from curation.leaves.tars.headers import Member, members, writing
from curation.leaves.tars.joined import TEXT, Numbered, Scan, curated_images, each_tar
from curation.leaves.tars.samples import by_key, image_of, opened, tar_name
from curation.outputs.derived import Derived, Made
from curation.run.results import Results
from runtime.errors import InputError
from runtime.storage.atomic import write_text
from runtime.tallies import Tallies
from runtime.wording import counted

CAPTION = "caption"  # name of the field with the best caption of an image
SAMPLES, CAPTIONS = "samples", "captions"  # names of tallies

TXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
STATED = "text"  # the curated text: key in a sample's json, next to captions by source, and column of shards
SIZES = "sizes.json"  # the file in which open_clip looks for the number of samples of each tar
SIZE = "samples of "  # prefix of a tally's name, followed by the name of a tar


class Texts(NamedTuple):
    """The texts of a sample: the manifest's text, the caption drawn to replace it or None, all captions by field."""

    uid: str
    text: str
    drawn: str | None
    captions: dict[str, str | None]

    @property
    def shown(self) -> str:
        """The drawn caption, or the manifest's text where none is drawn."""
        return self.text if self.drawn is None else self.drawn


class CuratedSample(NamedTuple):
    """A sample that is written, with its curated text; `tar` is the tar that it is read from, mapped into memory."""

    key: str
    files: dict[str, Member]  # extension → member
    texts: Texts
    tar: mmap.mmap

    def content(self, extension: str) -> bytes:
        """Return the bytes of the member with this extension."""
        return self.files[extension].content(self.tar)


Write = Callable[[str, Iterator[CuratedSample], Made], object]


@dataclass(frozen=True)
class CuratedSamples(Form):
    """The base of export formats that write the samples in given tars whose images are in the manifest."""

    tars: Sequence[str | Path] = ()
    captions: Sequence[str | Path] = ()
    caption_sources: Sequence[str] = ()
    caption_ratio: float = RATIO
    epoch: int = CaptionDraw.epoch
    seed: int = CaptionDraw.seed
    clusters: ByCluster = ALL

    name: ClassVar[str]  # name of the form

    def __post_init__(self) -> None:
        if not self.tars:
            raise InputError(f"the format {self.name} is written of tars; give those of img2dataset (--tars)")
        if not self.captions and (self.caption_ratio, self.epoch) != (RATIO, CaptionDraw.epoch):
            raise InputError(
                "captions are drawn where there are some; give captions (--captions), or neither a ratio nor an epoch "
                "(--caption-ratio, --epoch)"
            )
        require_captions(self.captions, self.caption_sources)
        if self.caption_sources and self.caption_ratio != RATIO:
            raise InputError("of captions by source each has a share of its own: NAME=SHARE; give no --caption-ratio")
        _ = self._draw  # checks the numbers of the options
        self.clusters.require_choice(self.name)

    @property
    @abstractmethod
    def writer(self) -> Write:
        """A function that writes the samples of one tar in a task, given the tar's name."""

    @abstractmethod
    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the file that makes the folder whole; `tars` are names, `tallies` the sums over all tasks."""

    def write(self, run: Results, folder: Derived) -> str:
        """Write the samples; return a description. InputError if no sample is in the manifest."""
        tars = distinct_tars(self.tars)
        beside = Beside.of(folder.engine, run, self.captions, self.clusters, [*source_shares(self.caption_sources)])
        make = partial(_write_tar, write=self.writer, choice=beside.choice, draw=self._draw)
        tallies = each_tar(folder, "write the samples", tars, [curated_images(run), *beside.tables], make)
        samples, captions = (int(tallies[name]) for name in (SAMPLES, CAPTIONS))
        if not samples:
            folder.forget()
            raise InputError(
                f"none of the samples in {counted(len(tars), 'tar')} is in the manifest of {run.path}{beside}; give "
                "tars of a download of its curated/ or matched/"
            )
        self.finish(folder.path, [*map(tar_name, tars)], tallies)
        drawn = f" with {counted(captions, 'caption')} as txt ({beside.lack})" if self.captions else ""
        return f"{counted(samples, 'sample')} in {counted(len(tars), 'tar')}{drawn}{beside}"

    @property
    def _draw(self) -> CaptionDraw:
        return CaptionDraw(source_shares(self.caption_sources) or self.caption_ratio, self.seed, self.epoch)


def _write_tar(
    numbered: Numbered, made: Made, scan: Scan, write: Write, choice: Choice | None, draw: CaptionDraw
) -> None:
    """Let `write` write the samples of a tar whose images are in the manifest; tally the samples and drawn captions."""
    _, tar = numbered
    with opened(tar) as data, closing(_texts(scan, choice, draw, made.tallies)) as texts:
        write(tar_name(tar), _samples(data, texts), made)


def _samples(data: mmap.mmap, texts: Iterator[Texts | None]) -> Iterator[CuratedSample]:
    for key, files in by_key(members(data)):
        sample_texts = next(texts) if image_of(files) else None
        if sample_texts is not None:
            yield CuratedSample(key, files, sample_texts, data)


def _texts(
    scan: Scan, choice: Choice | None, draw: CaptionDraw, tallies: Tallies
) -> Generator[Texts | None, None, None]:
    """Yield the texts of each sample of a tar, or None for a sample that is not written."""
    for samples, joined in scan.read():
        texts: list[Texts | None] = [None] * samples.num_rows
        if joined is not None:
            joined = joined.filter(pc.is_valid(joined[TEXT.name]))
            joined = chosen(joined, samples["uid"].take(joined["row"]), choice)
            uids = samples["uid"].take(joined["row"])
            names = [name for name in joined.schema.names if name == CAPTION or name.startswith(OF_SOURCE)]
            table = joined.select(names if isinstance(draw.ratio, Mapping) else names[:1])  # without score and source
            drawn = draw.drawn(table.columns, uids) if table.num_columns else pa.nulls(len(uids))
            captions = table.to_pylist() if table.num_columns else [{}] * len(uids)
            columns = (uids.to_pylist(), joined[TEXT.name].to_pylist(), drawn.to_pylist(), captions)
            for row, of_sample in zip(joined["row"].to_pylist(), zip(*columns, strict=True), strict=True):
                texts[row] = Texts(*of_sample)
            tallies.add(SAMPLES, len(uids))
            tallies.add(CAPTIONS, len(drawn) - drawn.null_count)
        yield from texts


@dataclass(frozen=True)
class WebDataset(CuratedSamples):
    """The export format `webdataset`: one tar of curated pairs for each given tar, and sizes.json."""

    name = "webdataset"
    writes = "tars of the curated pairs"
    flags = (
        "captions in place of texts, for webdataset and mds",
        {
            "--caption-ratio SHARE": "of the samples with a caption, those whose txt it is",
            "--epoch N": "of the draw of captions, as of the online loader",
        },
    )
    whole_by = SIZES

    @property
    def writer(self) -> Write:
        """A function that writes one tar."""
        return partial(write_tar, states_captions=bool(self.caption_sources))

    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the number of samples of each tar as JSON."""
        sizes = tallies.beginning(SIZE)
        write_text(folder / SIZES, json.dumps({name: int(sizes[name]) for name in tars}, indent=1) + "\n")


def write_tar(name: str, samples: Iterator[CuratedSample], made: Made, states_captions: bool) -> None:
    """Write a tar, and tally its samples; with `states_captions`, each sample's json also has its text and captions."""
    number = 0
    with made.file("", name) as path, writing(path) as add:
        for sample in samples:
            for extension, member in sample.files.items():
                if extension not in (TXT, ALT):
                    content = sample.content(extension)
                    is_stated = states_captions and extension == "json"
                    add(member.name, _stated(content, sample.texts) if is_stated else content)
            add(f"{sample.key}.{TXT}", sample.texts.shown.encode())
            if sample.texts.drawn is not None:
                add(f"{sample.key}.{ALT}", sample.texts.text.encode())
            number += 1
    made.tallies.add(f"{SIZE}{name}", number)


def _stated(content: bytes, texts: Texts) -> bytes:
    """Return the json of a sample extended by its texts."""
    return json.dumps(json.loads(content) | {STATED: texts.text} | texts.captions, indent=4).encode()


INDEX = "index.json"
VERSION = 2  # version of the MDS format
IMAGE, JSON, UID = "image", "json", "uid"  # columns; captions add those of their fields
MOST_BYTES = (1 << 32) - 1  # largest offset in a shard
SHARD = "shard "  # prefix of a tally of samples, followed by the shard's SHA-1, bytes and name


@dataclass(frozen=True)
class Mds(CuratedSamples):
    """The export format `mds`: MDS shards, one or more for each given tar, and index.json."""

    shard_bytes: int = 1 << 26  # as mosaicml's own writer

    name = "mds"
    writes = "shards of the curated pairs, for mosaicml's streaming"
    flags = ("shards, for mds", {"--shard-bytes N": "the most that a shard of several samples has"})
    whole_by = INDEX

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.shard_bytes <= MOST_BYTES:
            raise InputError(f"shard_bytes is {self.shard_bytes}; give 1 to {MOST_BYTES}")

    @property
    def writer(self) -> Write:
        """A function that writes the shards of one tar."""
        return partial(write_shards, shape=self._shape)

    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the index of all shards, sorted by tar."""
        shards = []
        for told, samples in tallies.beginning(SHARD).items():
            digest, size, name = told.split(" ", 2)
            raw = {"basename": name, "bytes": int(size), "hashes": {"sha1": digest}}
            shards.append(self._shape | {"raw_data": raw, "samples": int(samples), "zip_data": None})
        order = {stem_of(tar): number for number, tar in enumerate(tars)}
        shards.sort(key=lambda shard: _place(shard["raw_data"]["basename"], order))
        write_text(folder / INDEX, json.dumps({"shards": shards, "version": VERSION}, sort_keys=True) + "\n")

    @property
    def _shape(self) -> dict[str, Any]:
        """The description of a shard's columns in index.json and in each shard."""
        captions = [*map(field_of, source_shares(self.caption_sources))] or [CAPTION]
        columns = sorted([IMAGE, JSON, STATED, UID, *([TXT, *captions] if self.captions else [])])
        return {
            "column_encodings": ["bytes" if name == IMAGE else "str" for name in columns],
            "column_names": columns,
            "column_sizes": [None] * len(columns),  # no column has a fixed size
            "compression": None,
            "format": "mds",
            "hashes": ["sha1"],
            "size_limit": self.shard_bytes,
            "version": VERSION,
        }


def write_shards(tar: str, samples: Iterable[CuratedSample], made: Made, shape: dict[str, Any]) -> None:
    """Write the shards of a tar; tally for index.json the SHA-1, bytes, name and samples of each.

    `shape` describes the columns of a shard, as `_shape` returns it.
    """
    head = json.dumps(shape, sort_keys=True).encode()
    rows = (_row(tar, sample, shape["column_names"]) for sample in samples)
    for number, shard in enumerate(cut(rows, shape["size_limit"] - len(head))):
        name = f"{stem_of(tar)}.{number:05}.mds"
        begin = 4 * (len(shard) + 2) + len(head)
        bounds = [*accumulate(map(len, shard), initial=begin)]
        _require_size(bounds[-1], tar)
        digest = sha1(usedforsecurity=False)
        with made.file("", name) as path, path.open("wb") as out:
            for part in chain([pack(f"<{len(bounds) + 1}I", len(shard), *bounds), head], shard):
                digest.update(part)
                out.write(part)
        made.tallies.add(f"{SHARD}{digest.hexdigest()} {bounds[-1]} {name}", len(shard))


def cut(rows: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield the rows of each shard: as many as fit into `most` bytes, at least one.

    A shard has 4 more bytes per row, and 8 bytes besides.

    >>> [len(shard) for shard in cut([b"1234", b"12", b"12", b"1", b"123456789"], 20)]
    [1, 2, 1, 1]
    """
    shard: list[bytes] = []
    size = 8
    for row in rows:
        if shard and size + len(row) + 4 > most:
            yield shard
            shard, size = [], 8
        shard.append(row)
        size += len(row) + 4
    if shard:
        yield shard


def stem_of(tar: str) -> str:
    """Return the name of a tar without its extension."""
    return Path(tar).stem


def _row(tar: str, sample: CuratedSample, columns: Sequence[str]) -> bytes:
    """Return a sample as bytes of a shard; a missing caption is an empty text."""
    texts = sample.texts
    values = {STATED: texts.text, UID: texts.uid, TXT: texts.shown, **texts.captions}
    encoded = {name: (value or "").encode() for name, value in values.items()}
    encoded |= {IMAGE: sample.content(image_of(sample.files) or ""), JSON: sample.content("json")}
    contents = [encoded[name] for name in columns]
    _require_size(sum(map(len, contents)), tar)
    return b"".join([pack(f"<{len(contents)}I", *map(len, contents)), *contents])


def _place(shard: str, order: dict[str, int]) -> tuple[int, int]:
    stem, number, _ = shard.rsplit(".", 2)
    return order[stem], int(number)


def _require_size(size: int, tar: str) -> None:
    if size > MOST_BYTES:
        raise InputError(f"a sample of {tar} has {size:,} bytes; a shard counts to {MOST_BYTES:,}: leave the tar out")
