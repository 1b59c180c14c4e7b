"""Folders of exports and others that broke off before their last task, and how each is gone on with."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from curation.exclusion import Exclusion
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.export.webdataset import WebDataset
from tests.support import own_tables
from tests.support.finished_run import FinishedRun, finished_run, image
from tests.support.in_turn import in_turn, killed_at
from tests.support.online_run import write_tar

KEPT = ".work/*/* *.tar *.arrow *.npy text_*/*/* keys.parquet"  # files that a command may keep


class Inputs:
    """A run, tars of its images, and tables of them."""

    def __init__(self, folder: Path):
        self.run: FinishedRun = finished_run(folder / "run", [image(number) for number in range(60)], files=3)
        self.tars, uids = folder / "images", [row["uid"] for row in self.run.images]
        self.tars.mkdir()
        for number in range(3):
            write_tar(self.tars / f"{number:05}.tar", self.run.images[number::3])
        captions = {"uid": uids[::2], "caption": [f"of {uid}" for uid in uids[::2]]}
        self.captions = folder / "captions.parquet"
        pq.write_table(pa.table(captions), self.captions)
        self.pictures = own_tables.write_tars(folder / "pictures")

    def form(self, name: str) -> object:
        """Return the form of an export by its name here."""
        return {
            "huggingface": lambda: HuggingFace({"name": "pairs"}),
            "huggingface --captions": lambda: HuggingFace({"name": "pairs"}, captions=[self.captions]),
            "metaclip": MetaClip,
            "metaclip --tars": lambda: MetaClip([self.tars]),
            "webdataset": lambda: WebDataset([self.tars]),
        }[name]()

    def make(self, name: str, session: object, out: Path) -> None:
        """Make a folder, or go on with it."""
        if name == "removal":
            remove_from_manifest(session, self.run.path, Exclusion.of(regexes=["7"]), out)
        elif name == "index":
            online.build([self.tars], self.run.path, out, engine=session)
        elif name == "hashes":
            own_tables.write_hashes(self.pictures, out)
        elif name == "scores":
            own_tables.write_scores(self.pictures, out)
        elif name == "embeddings":
            with pytest.MonkeyPatch.context() as patched:
                own_tables.write_embeddings(self.run.path, out, patched)
        else:
            export(session, self.run.path, out, self.form(name))


EXPORTS = ["huggingface", "huggingface --captions", "metaclip", "metaclip --tars", "webdataset"]
DERIVED = [*EXPORTS, "removal", "index"]
TABLES = ["hashes", "scores", "embeddings"]  # which are gone on with when they are whole, too


def broken_off(make: Callable[[object, Path], object], folder: Path) -> Path:
    """Return a folder as it is where a command ends before its last task; some of its work is kept."""
    begun: list[int] = []
    make(in_turn(begun.append), folder / "quiet")
    with suppress(KeyboardInterrupt):
        make(in_turn(killed_at(begun[-1])), folder / "out")
    kept = [stamp for stamp in (folder / "out" / ".work").glob("*.stamps/_*.json") if json.loads(stamp.read_text())]
    assert kept, "nothing is kept"
    return folder / "out"
