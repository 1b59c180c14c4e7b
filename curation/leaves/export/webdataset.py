"""Export `webdataset`: rewrite downloaded tars with a run's curated pairs alone, for trainers that read `txt`.

`txt` is the curated text. With captions, `txt` of a drawn share of the samples is the image's caption, and `alt.txt` is
the curated text. All other members keep their names and bytes.

`CuratedSamples` also serves other forms made of tars. The choice of samples, the draw of captions and experts are
the same in all of them; a form writes the samples of a tar, and the file that makes the folder whole.
"""

from __future__ import annotations

import json
import mmap
from abc import abstractmethod
from argparse import ArgumentParser
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curation.leaves.by_uid.choices import RATIO, CaptionDraw, Choice
from curation.leaves.by_uid.joined_tables import OF_SOURCE, field_of
from curation.leaves.by_uid.joined_tars import TEXT, Numbered, Scan, curated_images, each_tar
from curation.leaves.export.forms import (
    ALL,
    Beside,
    ByCluster,
    Form,
    coarse_of,
    distinct_tars,
    require_captions,
    source_shares,
)
from curation.leaves.tars.headers import Member, members, writing
from curation.leaves.tars.samples import by_key, image_of, opened, tar_name
from curation.report.languages import counted
from curation.run.making import Derived, Made
from curation.run.results import Results
from runtime.arguments import add_fields
from runtime.errors import InputError
from runtime.storage.whole import whole
from runtime.tallies import Tallies

CAPTION = "caption"  # name of the field with the best caption of an image
SAMPLES, CAPTIONS = "samples", "captions"  # names of tallies

TXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
STATED = "text"  # key of the curated text in a sample's json, next to captions by source
SIZES = "sizes.json"  # the file in which open_clip looks for the number of samples of each tar
SIZE = "samples of "  # prefix of a tally's name, followed by the name of a tar


class Texts(NamedTuple):
    """The texts of a sample: the manifest's text, the caption drawn to replace it or None, all captions by field."""

    uid: str
    text: str
    drawn: str | None
    captions: dict[str, str | None]


class CuratedSample(NamedTuple):
    """A curated sample in a tar that is read."""

    key: str
    files: dict[str, Member]  # extension → member
    texts: Texts
    tar: mmap.mmap

    def content(self, extension: str) -> bytes:
        """Return the bytes of the member with this extension."""
        member = self.files[extension]
        return self.tar[member.offset : member.offset + member.size]


Write = Callable[[str, Iterator[CuratedSample], Made], object]


@dataclass(frozen=True)
class CuratedSamples(Form):
    """The base of forms made of tars: the samples of each given tar that are in the manifest."""

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
    def caption_fields(self) -> list[str]:
        """The names of the fields of captions in each sample."""
        return [*map(field_of, source_shares(self.caption_sources))] or [CAPTION] * bool(self.captions)

    @property
    def _draw(self) -> CaptionDraw:
        return CaptionDraw(source_shares(self.caption_sources) or self.caption_ratio, self.seed, self.epoch)


def _write_tar(
    numbered: Numbered, made: Made, scan: Scan, write: Write, choice: Choice | None, draw: CaptionDraw
) -> None:
    """Let `write` write the samples of a tar that have a text; tally the samples and the drawn captions."""
    _, tar = numbered
    with opened(tar) as data, closing(_texts(scan, choice, draw, made.tallies)) as texts:
        write(tar_name(tar), _samples(data, texts), made)


def _samples(data: mmap.mmap, texts: Iterator[Texts | None]) -> Iterator[CuratedSample]:
    for key, files in by_key(members(data)):
        own = next(texts) if image_of(files) else None
        if own is not None:
            yield CuratedSample(key, files, own, data)


def _texts(
    scan: Scan, choice: Choice | None, draw: CaptionDraw, tallies: Tallies
) -> Generator[Texts | None, None, None]:
    """Yield the texts of each sample of a tar, or None for a sample that is not written."""
    for samples, known in scan.read():
        texts: list[Texts | None] = [None] * samples.num_rows
        if known is not None:
            known = known.filter(pc.is_valid(known[TEXT.name]))
            uids = samples["uid"].take(known["row"])
            if choice:
                is_taken = pa.array(choice.takes(uids, coarse_of(known)))
                known, uids = known.filter(is_taken), uids.filter(is_taken)
            names = [name for name in known.schema.names if name == CAPTION or name.startswith(OF_SOURCE)]
            own = known.select(names if isinstance(draw.ratio, Mapping) else names[:1])  # without score and source
            drawn = draw.drawn(own.columns, uids) if own.num_columns else pa.nulls(len(uids))
            captions = own.to_pylist() if own.num_columns else [{}] * len(uids)
            columns = (uids.to_pylist(), known[TEXT.name].to_pylist(), drawn.to_pylist(), captions)
            for row, of_sample in zip(known["row"].to_pylist(), zip(*columns, strict=True), strict=True):
                texts[row] = Texts(*of_sample)
            tallies.add(SAMPLES, len(uids))
            tallies.add(CAPTIONS, len(drawn) - drawn.null_count)
        yield from texts


@dataclass(frozen=True)
class WebDataset(CuratedSamples):
    """The form of one tar of curated pairs for each given tar, and sizes.json."""

    name = "webdataset"
    writes = "tars of the curated pairs"
    whole_by = SIZES

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags of the draw of captions, which also apply to `mds`."""
        group = parser.add_argument_group("captions in place of texts, for webdataset and mds")
        helps = {
            "--caption-ratio SHARE": "of the samples with a caption, those whose txt it is",
            "--epoch N": "of the draw of captions, as of the online loader",
        }
        add_fields(group, cls, helps)

    @property
    def writer(self) -> Write:
        """A function that writes one tar."""
        return partial(write_tar, states_captions=bool(self.caption_sources))

    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the number of samples of each tar as JSON."""
        sizes = tallies.beginning(SIZE)
        with whole(folder / SIZES) as path:
            path.write_text(json.dumps({name: int(sizes[name]) for name in tars}, indent=1) + "\n", "utf-8")


def write_tar(name: str, samples: Iterator[CuratedSample], made: Made, states_captions: bool) -> None:
    """Write a tar, and tally its samples; with `states_captions`, each sample's json also has all texts."""
    number = 0
    with made.file("", name) as path, writing(path) as add:
        for sample in samples:
            for extension, member in sample.files.items():
                if extension not in (TXT, ALT):
                    content = sample.content(extension)
                    is_stated = states_captions and extension == "json"
                    add(member.name, _stated(content, sample.texts) if is_stated else content)
            for extension, text in _members(sample.texts):
                add(f"{sample.key}.{extension}", text.encode())
            number += 1
    made.tallies.add(f"{SIZE}{name}", number)


def _members(texts: Texts) -> list[tuple[str, str]]:
    """Return pairs of extension and content for the texts of a sample."""
    return [(TXT, texts.text)] if texts.drawn is None else [(TXT, texts.drawn), (ALT, texts.text)]


def _stated(content: bytes, texts: Texts) -> bytes:
    """Return the json of a sample extended by its texts."""
    return json.dumps(json.loads(content) | {STATED: texts.text} | texts.captions, indent=4).encode()
