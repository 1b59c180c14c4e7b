"""Export `webdataset`: the samples of downloaded tars whose images are in a run's manifest, as tars.

`txt` is the curated text, for trainers that read `txt`. With captions, `txt` of a drawn share of the samples is the
image's caption, and `alt.txt` is the curated text. All other members keep their names and bytes.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.annotations.captions import OF_SOURCE, RATIO, CaptionDraw
from curation.plugins.annotations.clusters import Choice
from curation.plugins.export.formats import (
    ALL,
    ANY,
    Beside,
    ByCluster,
    Form,
    chosen,
    require_captions,
    single_sources,
    source_shares,
)
from curation.plugins.tars.headers import adding_files, regular_files
from curation.plugins.tars.joined import TEXT, Numbered, Scan, curated_images, each_tar, require_samples
from curation.plugins.tars.samples import by_key, distinct_tars, image_of, opened_tar, tar_name
from curation.run.results import Results
from runtime.errors import InputError
from runtime.folders.folder import Folder, Made
from runtime.storage.whole import write_text
from runtime.tallies import Tallies
from runtime.wording import counted

CAPTION = "caption"  # the name of the field with the best caption of an image
SAMPLES, CAPTIONS = "samples", "captions"  # the names of two tallies

TXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
STATED = "text"  # the key of the curated text in a sample's json, next to captions by source
SIZES = "sizes.json"  # the file in which open_clip looks for the number of samples of each tar
SIZE = "size"  # the name of facts, each with the name of a tar and the number of its samples


class Texts(NamedTuple):
    """The texts of a sample: the manifest's text, the drawn caption that replaces it (or None), captions by field."""

    text: str
    drawn: str | None
    captions: dict[str, str | None]

    @property
    def shown(self) -> str:
        """The drawn caption, or the manifest's text if no caption is drawn."""
        return self.text if self.drawn is None else self.drawn


@dataclass(frozen=True)
class WebDataset(Form):
    """The export format `webdataset`: one tar of curated pairs for each given tar, and sizes.json."""

    tars: Sequence[str | Path] = ()
    captions: Sequence[str | Path] = ()
    caption_sources: Sequence[str] = ()
    seed: int = CaptionDraw.seed
    clusters: ByCluster = ALL

    writes = "tars of the curated pairs"

    def __post_init__(self) -> None:
        if not self.tars:
            raise InputError("the format webdataset copies samples from tars; pass the tars of img2dataset (--tars)")
        require_captions(self.captions, self.caption_sources)
        _ = self._draw  # This checks the numbers of the options.
        self.clusters.require_choice("webdataset")

    def write(self, run: Results, folder: Folder) -> str:
        """Write the samples; return a description. InputError if no sample is in the manifest."""
        tars = distinct_tars(self.tars)
        beside = Beside.of(folder.engine, run, self.captions, self.clusters, single_sources(self.caption_sources))
        curated = CuratedTars(beside.choice, self._draw, bool(single_sources(self.caption_sources)))
        result = each_tar(folder, "write the samples", tars, [curated_images(run), *beside.tables], curated.write)
        samples, captions = (int(result[name]) for name in (SAMPLES, CAPTIONS))
        require_samples(folder, samples, tars, f"in the manifest of {run.path}{beside}")
        sizes = dict(result.noted(SIZE))
        sizes_of_tars = {name: sizes[name] for name in map(tar_name, tars)}
        write_text(folder.path / SIZES, json.dumps(sizes_of_tars, indent=1) + "\n")
        drawn = f" with {counted(captions, 'caption')} as txt ({beside.lack})" if self.captions else ""
        return f"{counted(samples, 'sample')} in {counted(len(tars), 'tar')}{drawn}{beside}"

    @property
    def _draw(self) -> CaptionDraw:
        shares = source_shares(self.caption_sources)
        return CaptionDraw(shares.get(ANY, shares or RATIO), self.seed)


@dataclass(frozen=True)
class CuratedTars:
    """Writes the samples of a tar whose images are in the manifest, and tallies the samples and drawn captions.

    With `states_captions`, each sample's json also has its text and captions.
    """

    choice: Choice | None
    draw: CaptionDraw
    states_captions: bool

    def write(self, numbered: Numbered, made: Made, scan: Scan) -> None:
        """Write the tar that has the samples of the tar `numbered`, under the same name."""
        _, tar = numbered
        name = tar_name(tar)
        number = 0
        with (
            opened_tar(tar) as data,
            closing(_texts(scan, self.choice, self.draw, made.result)) as texts_of_samples,
            made.file("", name) as path,
            adding_files(path) as add,
        ):
            for key, files in by_key(regular_files(data)):
                texts = next(texts_of_samples) if image_of(files) else None
                if texts is None:
                    continue
                for extension, member in files.items():
                    if extension not in (TXT, ALT):
                        content = member.content(data)
                        is_stated = self.states_captions and extension == "json"
                        add(member.name, _stated(content, texts) if is_stated else content)
                add(f"{key}.{TXT}", texts.shown.encode())
                if texts.drawn is not None:
                    add(f"{key}.{ALT}", texts.text.encode())
                number += 1
        made.result.note(SIZE, [name, number])


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
            # Score and source are left out.
            table = joined.select(names if isinstance(draw.ratio, Mapping) else names[:1])
            drawn = draw.drawn(table.columns, uids) if table.num_columns else pa.nulls(len(uids))
            captions = table.to_pylist() if table.num_columns else [{}] * len(uids)
            rows = joined["row"].to_pylist()
            for row, text, caption, of_sources in zip(
                rows, joined[TEXT.name].to_pylist(), drawn.to_pylist(), captions, strict=True
            ):
                texts[row] = Texts(text, caption, of_sources)
            tallies.add(SAMPLES, len(uids))
            tallies.add(CAPTIONS, len(drawn) - drawn.null_count)
        yield from texts


def _stated(content: bytes, texts: Texts) -> bytes:
    """Return the json of a sample extended by its texts."""
    return json.dumps(json.loads(content) | {STATED: texts.text} | texts.captions, indent=4).encode()
