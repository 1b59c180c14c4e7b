"""Export `webdataset`: rewrite downloaded tars with a run's curated pairs alone, for trainers that read `txt`.

`txt` is the curated text. With captions, `txt` of a drawn share of the samples is the image's caption, and `alt.txt` is
the curated text. All other members keep their names and bytes.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.joined_tables import OF_SOURCE
from curation.by_uid.joined_tars import TEXT as TEXT_OF
from curation.by_uid.joined_tars import Numbered, Scan, curated_images, each_tar
from curation.export.forms import (
    ALL,
    Beside,
    ByCluster,
    Form,
    coarse_of,
    distinct_tars,
    require_captions,
    source_shares,
)
from curation.online.config import Choice
from curation.online.drawing import RATIO, CaptionDraw
from curation.report.numbers import counted
from curation.run.making import Derived, Made
from curation.run.results import Results
from curation.tars.headers import members
from curation.tars.samples import by_key, image_of
from curation.tars.sources import opened, tar_name
from curation.tars.writing import writing
from runtime.arguments import add_fields
from runtime.errors import InputError
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole

TEXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
STATED = "text"  # in the json of a sample, beside its captions by source: the curated text
SIZES = "sizes.json"  # in which open_clip looks for the number of samples of each tar
SAMPLES, CAPTIONS, SIZE = "samples", "captions", "samples of "  # names of tallies; the last is of one tar


@dataclass(frozen=True)
class WebDataset(Form):
    """For each given tar, a tar of its curated pairs; and sizes.json."""

    tars: Sequence[str | Path] = ()
    captions: Sequence[str | Path] = ()
    caption_sources: Sequence[str] = ()
    caption_ratio: float = RATIO
    epoch: int = CaptionDraw.epoch
    seed: int = CaptionDraw.seed
    clusters: ByCluster = ALL

    writes = "tars of the curated pairs"
    whole_by = SIZES
    elsewhere = "captions are drawn for webdataset alone; give captions, or no ratio and epoch"

    def __post_init__(self) -> None:
        if not self.tars:
            raise InputError("the format webdataset is written of tars; give those of img2dataset")
        if not self.captions and (self.caption_ratio, self.epoch) != (RATIO, CaptionDraw.epoch):
            raise InputError(self.elsewhere)
        require_captions(self.captions, self.caption_sources)
        if self.caption_sources and self.caption_ratio != RATIO:
            raise InputError("of captions by source each has a share of its own: NAME=SHARE; give no caption_ratio")
        _ = self._draw  # its numbers are checked
        self.clusters.require_choice("webdataset")

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags of the draw of captions."""
        group = parser.add_argument_group("captions in place of texts, for webdataset")
        helps = {
            "--caption-ratio SHARE": "of the samples with a caption, those whose txt it is, for webdataset",
            "--epoch N": "of the draw of captions, as of the online loader",
        }
        add_fields(group, cls, helps)

    def write(self, run: Results, folder: Derived) -> str:
        """Write the tars."""
        tars = distinct_tars(self.tars)
        beside = Beside.of(folder.spark, run, self.captions, self.clusters, [*source_shares(self.caption_sources)])
        make = partial(write_tar, choice=beside.choice, draw=self._draw)
        tallies = each_tar(folder, "write the samples", tars, [curated_images(run), *beside.tables], make)
        samples, captions = (int(tallies[name]) for name in (SAMPLES, CAPTIONS))
        if not samples:
            folder.forget()
            raise InputError(
                f"none of the samples in {counted(len(tars), 'tar')} is in the manifest of {run.path}{beside}; give "
                "tars of a download of its curated/ or matched/"
            )
        sizes = tallies.beginning(SIZE)
        content = json.dumps({name: int(sizes[name]) for name in map(tar_name, tars)}, indent=1) + "\n"
        with whole(folder.path / SIZES) as path:
            path.write_text(content, "utf-8")
        drawn = f" with {counted(captions, 'caption')} as txt ({beside.lack})" if self.captions else ""
        return f"{counted(samples, 'sample')} in {counted(len(tars), 'tar')}{drawn}{beside}"

    @property
    def _draw(self) -> CaptionDraw:
        return CaptionDraw(source_shares(self.caption_sources) or self.caption_ratio, self.seed, self.epoch)


@dataclass(frozen=True)
class _Texts:
    """The texts of a sample: of the manifest, its drawn caption, and its captions by source."""

    text: str
    caption: str | None
    by_source: dict[str, str | None]

    def members(self) -> list[tuple[str, str]]:
        """Return the extensions and contents of the texts."""
        return [(TEXT, self.text)] if self.caption is None else [(TEXT, self.caption), (ALT, self.text)]

    def stated(self, content: bytes) -> bytes:
        """Return the json of a sample with its texts, where there are captions by source."""
        if not self.by_source:
            return content
        return json.dumps(json.loads(content) | {STATED: self.text} | self.by_source, indent=4).encode()


def write_tar(numbered: Numbered, made: Made, scan: Scan, choice: Choice | None, draw: CaptionDraw) -> None:
    """Write the samples of a tar that have a text; tally the samples, and the captions in them."""
    (_, tar), samples, captions = numbered, 0, 0
    name = tar_name(tar)
    texts = _texts(scan, choice, draw)
    with opened(tar) as data, whole(made.path("", name)) as path:
        with writing(path) as out:
            for key, files in by_key(members(data)):
                own = next(texts) if image_of(files) else None
                if own is None:
                    continue
                for extension, member in files.items():
                    if extension not in (TEXT, ALT):
                        content = data[member.offset : member.offset + member.size]
                        out.add(member.name, own.stated(content) if extension == "json" else content)
                for extension, text in own.members():
                    out.add(f"{key}.{extension}", text.encode())
                samples, captions = samples + 1, captions + (own.caption is not None)
        checksum = checksum_of(path)
    made.wrote("", name, checksum)
    for tally, number in ((f"{SIZE}{name}", samples), (SAMPLES, samples), (CAPTIONS, captions)):
        made.tallies.add(tally, number)


def _texts(scan: Scan, choice: Choice | None, draw: CaptionDraw) -> Iterator[_Texts | None]:
    """Yield the texts of each sample of a tar, None for one that is not written."""
    for samples, known in scan.read():
        texts: list[_Texts | None] = [None] * samples.num_rows
        if known is not None:
            known = known.filter(pc.is_valid(known[TEXT_OF.name]))
            uids = samples["uid"].take(known["row"])
            if choice:
                is_taken = pa.array(choice.takes(uids, coarse_of(known)))
                known, uids = known.filter(is_taken), uids.filter(is_taken)
            names = [name for name in known.schema.names if name == "caption" or name.startswith(OF_SOURCE)]
            own = names if isinstance(draw.ratio, Mapping) else names[:1]
            drawn = draw.drawn([known[name] for name in own], uids) if own else pa.nulls(len(uids))
            by_source = known.select(own).to_pylist() if isinstance(draw.ratio, Mapping) else [{}] * len(uids)
            columns = (known["row"].to_pylist(), known[TEXT_OF.name].to_pylist(), drawn.to_pylist(), by_source)
            for row, *of_sample in zip(*columns, strict=True):
                texts[row] = _Texts(*of_sample)
        yield from texts
