"""Which inputs have been read already, and into which files: a stamp for each task that is whole, beside what it wrote.

A stamp counts only if it was made with the same metadata, rules, model and numbers, from inputs that are unchanged.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from curation.inputs.files import Input
from runtime.storage.paths import AT_ONCE, files, remove
from runtime.storage.whole import EARLIER, STAMP, read_json, write_json
from runtime.tallies import Tallies

TASK_BYTES = 64 << 20  # compressed bytes of input for one task; less where there would be too few tasks
TASKS_PER_CORE = 3
STAMP_NAME = re.compile(r"_.*\.json")


@dataclass(frozen=True)
class Stamp:
    """What one task made of its inputs."""

    made_from: str  # digest of what its files depend on besides the inputs
    inputs: list[dict]
    files: list[str]
    buckets: int  # of each file; 0 where there are none
    tallies: list[dict]


@dataclass(frozen=True)
class Stamps:
    """Where a run's stamps lie: what a worker needs to know of them."""

    folder: Path
    made_from: str

    def name_of(self, inputs: list[Input]) -> str:
        """Return the name of the files that a task makes of `inputs`."""
        return _digest({"made_from": self.made_from, "inputs": _dicts(inputs)})

    def write(self, inputs: list[Input], files: list[str], buckets: int, tallies: Tallies) -> None:
        """Write the stamp of a task over `inputs`: from now on its files count."""
        content = asdict(Stamp(self.made_from, _dicts(inputs), files, buckets, tallies.rows()))
        content["checksum"] = _digest(content)
        write_json(self.folder / f"_{self.name_of(inputs)}.json", content)

    def read(self) -> dict[Path, Stamp]:
        """Return the stamps of this run, or of one like it with other inputs, whose files are all there."""
        there = files(self.folder)
        names, paths = {path.name for path in there}, [path for path in there if STAMP_NAME.fullmatch(path.name)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip(paths, pool.map(read_json, paths), strict=True))
        known = {path: stamp for path, each in found.items() if each and (stamp := _stamp(each))}
        whole = {path for path, stamp in known.items() if stamp.made_from == self.made_from and names >= {*stamp.files}}
        return {path: stamp for path, stamp in known.items() if path in whole}


def _stamp(content: dict) -> Stamp | None:
    """Return the stamp that a file holds, or None if it is none or is damaged."""
    checksum = content.pop("checksum", None)
    is_whole = content.keys() == Stamp.__dataclass_fields__.keys() and checksum == _digest(content)
    return Stamp(**content) if is_whole else None


@dataclass(frozen=True)
class Ledger:
    """What is done of a run, and what is not."""

    stamps: Stamps
    done: dict[Path, Stamp]
    missing: list[Input]  # inputs that no stamp covers

    @classmethod
    def open(cls, folder: Path, description: dict, inputs: list[Input]) -> Ledger:
        """Return the ledger of a folder for a run of `inputs`, with whatever else it depends on in `description`."""
        stamps = Stamps(folder, _digest(description))
        wanted = {_identity(asdict(each)): each for each in inputs}
        done, covered = {}, set()
        for path, stamp in stamps.read().items():
            own = {_identity(each) for each in stamp.inputs}
            # Two stamps can share an input where a task of a run that broke off ended after all.
            if own <= wanted.keys() and own.isdisjoint(covered):
                done[path] = stamp
                covered |= own
        return cls(stamps, done, [each for id, each in wanted.items() if id not in covered])

    @property
    def files(self) -> list[tuple[Path, int]]:
        """The files of all that is done, each with its number of buckets."""
        return [(self.stamps.folder / name, each.buckets) for each in self.done.values() for name in each.files]

    def tallies(self) -> Tallies:
        """Return the tallies of all that is done."""
        return Tallies(row for stamp in self.done.values() for row in stamp.tallies)

    def tasks(self, cores: int) -> list[list[Input]]:
        """Return the missing inputs, one list for each task."""
        size = sum(each.size for each in self.missing)
        limit = min(TASK_BYTES, size // (cores * TASKS_PER_CORE))
        tasks, held = [], limit
        for each in self.missing:
            if held >= limit:
                tasks.append([])
                held = 0
            tasks[-1].append(each)
            held += each.size
        return tasks

    def prune(self) -> None:
        """Remove what else lies in the folder: made of inputs that have changed, or left by tasks that broke off."""
        folder = self.stamps.folder
        kept = {*self.done, *(path for path, _ in self.files), folder / STAMP, folder / EARLIER}
        for path in set(files(folder)) - kept:
            remove(path)


def _dicts(inputs: list[Input]) -> list[dict]:
    return json.loads(json.dumps([asdict(each) for each in inputs]))  # tuples become lists, as in a stamp that was read


def _identity(each: dict) -> str:
    return json.dumps(each, sort_keys=True)


def _digest(content: dict) -> str:
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()
