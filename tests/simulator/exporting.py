"""The kinds of clip-export and clip-remove that the simulator runs, each over a copy of one small finished run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from curation.exclusion import Exclusion
from curation.plugins.export import datacomp
from curation.plugins.export.formats import ByCluster, Form, export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.export.webdataset import WebDataset
from metadata.entries import Entries
from runtime.folders.descriptor import DESCRIPTOR
from runtime.folders.verify import verify
from runtime.storage import paths
from runtime.storage.paths import files, is_url, names
from runtime.storage.whole import WORK
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind
from tests.support.online_run import write_tar
from tests.support.written_run import write_run

RUN, MADE = "run", "made"  # what is read, and what is written
TARS, CAPTIONS, CLUSTERS = "tars", "captions.parquet", "clusters.parquet"
_TEXTS = (("a dog", "en", [0, 1]), ("a", "en", [0]), ("犬", "ja", [2]))
_IMAGES = [[_TEXTS[number % 3], *_TEXTS[number % 2 + 1 : 2]] for number in range(24)]
_UIDS = [md5(str(number).encode()).hexdigest() for number in range(len(_IMAGES))]


class OverRun(Kind):
    """A command that reads a finished run and writes a folder, both in one folder."""

    most = 1
    places = (False,)
    at_rest = RUN
    without = ("blink",)  # what an export says of its files was read once, after they were written

    def prepare(self, folder: Path) -> None:
        write_run(folder / RUN, _entries(), _IMAGES, t=4)
        (folder / TARS).mkdir()
        for number in range(2):
            rows = [{"uid": uid, "url": None} for uid in _UIDS[number::2]]
            write_tar(folder / TARS / f"{number:05}.tar", rows)
        captions = [f"caption {uid}" for uid in _UIDS[::2]]
        pq.write_table(pa.table({"uid": _UIDS[::2], "caption": captions}), folder / CAPTIONS)
        coarse = pa.array([number % 3 for number in range(len(_UIDS))], pa.int32())
        pq.write_table(pa.table({"uid": _UIDS, "coarse": coarse}), folder / CLUSTERS)

    def begin(self, folder: Path, output: Path) -> None:
        paths.remove(output / RUN)
        if is_url(output):
            for name, path in _below(folder / RUN):
                output.fs.put_file(str(path), (output / RUN / name).path)
        else:
            shutil.copytree(folder / RUN, output / RUN)

    def results(self, output: Path) -> dict[str, bytes]:
        return {name: path.read_bytes() for name, path in _below(output / MADE)}

    def left(self, output: Path) -> set[str]:
        return names(output) - {RUN, MADE} | super().left(output / MADE)

    def require_whole(self, output: Path) -> None:
        verify(output / MADE)

    def heal(self, folder: Path, output: Path, said: str, command: Command) -> Command:
        if "curate again" in said or "of curate" in said:
            self.begin(folder, output)
            return command
        return super().heal(folder, output, said, command)


@dataclass(frozen=True, eq=False)
class Export(OverRun):
    """An export in a form, which is made of a folder with tars and tables."""

    places = (False, True)

    name: str
    form: Callable[[Path], Form]
    finished: str
    refuses_finished = True

    def is_finished(self, output: Path) -> bool:
        return super().is_finished(output) and (output / MADE / DESCRIPTOR).exists()

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        export(session, output / RUN, output / MADE, self.form(folder), command.overwrite)


@dataclass(frozen=True, eq=False)
class Subset(Export):
    """DataComp's file of uids, in more pieces than so few need."""

    def settings(self, command: Command) -> AbstractContextManager:
        return patch.object(datacomp, "group_buckets", lambda rows: (8, 4))


@dataclass(frozen=True, eq=False)
class Removal(OverRun):
    """A removal of one image and of one domain."""

    places = (False, True)

    name: str = "removal"
    finished: str = f"{MADE}/run.json"
    refuses_finished = True

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        exclusion = Exclusion.of(uids=_UIDS[:2], domains=["no.example"])
        remove_from_manifest(session, output / RUN, exclusion, output / MADE)

    def heal(self, folder: Path, output: Path, said: str, command: Command) -> Command:
        if "specify an empty or new folder" in said:
            paths.remove(output / MADE)
        return super().heal(folder, output, said, command)


def _below(folder: Path, name: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder by their names in it, but for those of unfinished work."""
    for path in files(folder):
        yield f"{name}{path.name}", path
    for each in sorted(names(folder) - {WORK, *(path.name for path in files(folder))}):
        yield from _below(folder / each, f"{name}{each}/")


def _clusters(folder: Path, *coarse: int) -> ByCluster:
    return ByCluster([str(folder / CLUSTERS)], coarse, outsiders=0.3 if coarse else 0.0)


def _columns(folder: Path) -> Form:
    return HuggingFace({"name": "run"}, captions=[folder / CAPTIONS], clusters=_clusters(folder))


def _loaders(folder: Path) -> Form:
    return MetaClip(tars=[folder / TARS], clusters=_clusters(folder, 0))


def _webdataset(folder: Path) -> Form:
    return WebDataset([folder / TARS], [folder / CAPTIONS], caption_sources=["any=0.5"])


EXPORTS = (
    Export("huggingface", lambda folder: HuggingFace({"name": "run"}), f"{MADE}/README.md"),
    Export("huggingface with columns", _columns, f"{MADE}/README.md"),
    Export("metaclip", lambda folder: MetaClip(), f"{MADE}/index.json"),
    Export("metaclip of tars", _loaders, f"{MADE}/names.csv"),
    Export("webdataset", _webdataset, f"{MADE}/sizes.json"),
    Subset("datacomp", lambda folder: datacomp.DataComp(), f"{MADE}/uids.npy"),
)
REMOVALS = (Removal(),)


@cache
def _entries() -> Entries:
    return Entries.build({"en": ["a", "dog"], "ja": ["犬"]})
