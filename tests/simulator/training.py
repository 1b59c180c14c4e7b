"""The kinds of what training reads that the simulator builds: the online index, and files of captions and clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from curation import online
from curation.plugins.annotations import captions, clusters
from curation.plugins.annotations.mapped_rows import MappedRows
from curation.plugins.online import building
from curation.run.results import Results
from runtime.storage import paths
from tests.simulator.engine import Session
from tests.simulator.exporting import CAPTIONS, CLUSTERS, MADE, RUN, TARS, OverRun
from tests.simulator.kind import Command, contents

ROWS = "rows.arrow"


class Index(OverRun):
    """The online index of tars."""

    name = "online index"
    finished = f"{MADE}/index.json"
    at_rest = ""

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        _read(online.build(folder / TARS, output / RUN, output / MADE, block_rows=8, engine=session))

    def left(self, output: Path) -> set[str]:
        return set()  # of a lock whose process has ended; a whole index is looked at without one

    def require_whole(self, output: Path) -> None:
        _read(online.Index.open(output / MADE))

    def heal(self, folder: Path, output: Path, said: str, command: Command) -> Command:
        if "specify an empty or new folder" in said:
            paths.remove(output / MADE)
        return super().heal(folder, output, said, command)


@dataclass(frozen=True, eq=False)
class Mapped(OverRun):
    """A file of one row per image, sorted by uid."""

    name: str
    table: str
    build: Callable
    open: Callable[[Path], MappedRows]
    at_rest = ""
    finished = f"{MADE}/{ROWS}.json"

    def begin(self, folder: Path, output: Path) -> None:
        super().begin(folder, output)
        paths.make_folder(output / MADE)

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        self.build([folder / self.table], Results.open(output / RUN), output / MADE / ROWS)

    def results(self, output: Path) -> dict[str, bytes]:
        return contents(output / MADE, (), (ROWS, f"{ROWS}.json"))

    def require_whole(self, output: Path) -> None:
        self.open(output / MADE / ROWS)


def _read(index: online.Index) -> None:
    """Map the rows of an index into memory, as a training that has just begun does."""
    building._mapped.cache_clear()  # of a file that is mapped, what a reader has parsed is not compared again
    for shard in range(len(index.shards)):
        for _ in index.rows(shard):
            pass


TRAINING = (
    Index(),
    Mapped("captions", CAPTIONS, captions.build, captions.Captions.open),
    Mapped("clusters of images", CLUSTERS, clusters.build, clusters.Clusters.open),
)
