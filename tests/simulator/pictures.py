"""The kinds of clip-hash and clip-score that the simulator runs, over tars of tiny pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from curation.plugins.hashing.clip_hash import hash_images
from curation.plugins.joins import image_tables as tables
from curation.plugins.scoring.clip_score import ScoreRequest, score_images
from runtime.errors import InputError
from runtime.folders.recorded import recorded
from runtime.storage import paths
from runtime.storage.json_files import read_json
from runtime.storage.own_files import OwnFile, intact
from runtime.storage.paths import files
from tests.simulator.engine import Session
from tests.simulator.kind import Command, Kind, contents
from tests.support.pictures import picture, stored, write_tar
from tests.support.plain_scorer import PlainScorer


@dataclass(frozen=True, eq=False)
class OfTars(Kind):
    """A command that writes a file for each tar, and reads them as gates do."""

    name: str
    run: Callable[[Session, list[str], Path, bool], object]
    finished: str

    def prepare(self, folder: Path) -> None:
        for tar in range(self.most):
            members: dict[str, bytes | dict] = {}
            for number in range(2):
                key = f"{tar}{number}"
                members[f"{key}.png"] = stored(picture(10 * tar + number, 4, 4), "PNG")
                members |= {f"{key}.json": {"uid": f"u{key}"}, f"{key}.txt": b"a text"}
            write_tar(folder / f"{tar}.tar", members)

    def call(self, session: Session, folder: Path, command: Command, output: Path) -> None:
        tars = [str(folder / f"{tar}.tar") for tar in range(command.inputs)]
        self.run(session, tars, output, command.overwrite)
        try:
            self.require_whole(output)
        except InputError as error:
            if read_json(output / self.finished) is None:
                raise InputError("another run writes the folder anew, with --overwrite") from error
            raise

    def results(self, output: Path) -> dict[str, bytes]:
        names = (self.finished, *(path.name for path in files(output, ".parquet")))
        return contents(output, (), names)

    def require_whole(self, output: Path) -> None:
        self.inputs(output)
        found = {path: OwnFile(path, None, tables.DAMAGED) for path in files(output, ".parquet")}
        checksums = recorded(map(str, found))
        for path, file in found.items():
            if str(path) not in checksums:
                raise file.damaged("it has no checksum")
            with intact(OwnFile(path, checksums[str(path)], tables.DAMAGED)):
                pass

    def inputs(self, output: Path) -> int:
        facts = read_json(output / self.finished)
        if facts is None:
            raise InputError("there is none")
        return facts["tars"]

    def heal(self, folder: Path, output: Path, said: str, command: Command) -> Command:
        if "specify an empty or new folder" in said:
            paths.remove(output)
        return super().heal(folder, output, said, command)


def _hash(session: Session, tars: list[str], output: Path, overwrite: bool) -> object:
    return hash_images(session, tars, output, overwrite=overwrite)


def _score(session: Session, tars: list[str], output: Path, overwrite: bool) -> object:
    return score_images(ScoreRequest(tars, output, overwrite=overwrite), PlainScorer(), engine=session)


PICTURES = (OfTars("hashes", _hash, "_folder.json"), OfTars("scores", _score, "_folder.json"))
