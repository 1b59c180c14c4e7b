"""Export `webdataset`: rewrite downloaded tars with a run's curated pairs alone, for trainers that read `txt`.

`txt` is the curated text. With captions, `txt` of a drawn share of the samples is the image's caption, and `alt.txt` is
the curated text. All other members keep their names and bytes.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from curation.export.curated_samples import CuratedSamples, Sample, Texts, Write
from curation.run.making import Made
from curation.tars.writing import writing
from runtime.arguments import add_fields
from runtime.storage.own_files import checksum_of
from runtime.storage.whole import whole
from runtime.tallies import Tallies

TEXT, ALT = "txt", "alt.txt"  # webdataset cuts a name at its first dot: these are two members of one sample
STATED = "text"  # in the json of a sample, beside its captions by source: the curated text
SIZES = "sizes.json"  # in which open_clip looks for the number of samples of each tar
SIZE = "samples of "  # begins the name of a tally, of one tar


@dataclass(frozen=True)
class WebDataset(CuratedSamples):
    """For each given tar, a tar of its curated pairs; and sizes.json."""

    name = "webdataset"
    writes = "tars of the curated pairs"
    whole_by = SIZES

    @classmethod
    def add_flags(cls, parser: ArgumentParser) -> None:
        """Add the flags of the draw of captions, which `mds` has, too."""
        group = parser.add_argument_group("captions in place of texts, for webdataset and mds")
        helps = {
            "--caption-ratio SHARE": "of the samples with a caption, those whose txt it is",
            "--epoch N": "of the draw of captions, as of the online loader",
        }
        add_fields(group, cls, helps)

    @property
    def writer(self) -> Write:
        """What writes a tar."""
        return partial(write_tar, states_captions=bool(self.caption_sources))

    def finish(self, folder: Path, tars: list[str], tallies: Tallies) -> None:
        """Write the number of samples of each tar."""
        sizes = tallies.beginning(SIZE)
        content = json.dumps({name: int(sizes[name]) for name in tars}, indent=1) + "\n"
        with whole(folder / SIZES) as path:
            path.write_text(content, "utf-8")


def write_tar(name: str, samples: Iterator[Sample], made: Made, states_captions: bool) -> None:
    """Write a tar, and tally its samples; its json may state the texts."""
    number = 0
    with whole(made.path("", name)) as path:
        with writing(path) as out:
            for sample in samples:
                for extension, member in sample.files.items():
                    if extension not in (TEXT, ALT):
                        content = sample.content(extension)
                        is_stated = states_captions and extension == "json"
                        out.add(member.name, _stated(content, sample.texts) if is_stated else content)
                for extension, text in _members(sample.texts):
                    out.add(f"{sample.key}.{extension}", text.encode())
                number += 1
        checksum = checksum_of(path)
    made.wrote("", name, checksum)
    made.tallies.add(f"{SIZE}{name}", number)


def _members(texts: Texts) -> list[tuple[str, str]]:
    """Return the extensions and contents of the texts of a sample."""
    return [(TEXT, texts.text)] if texts.drawn is None else [(TEXT, texts.drawn), (ALT, texts.text)]


def _stated(content: bytes, texts: Texts) -> bytes:
    """Return the json of a sample with its texts."""
    return json.dumps(json.loads(content) | {STATED: texts.text} | texts.captions, indent=4).encode()
