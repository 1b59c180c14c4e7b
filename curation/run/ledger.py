"""Record which inputs have been read into which files, and say into how many buckets, tasks and blocks pairs are cut.

Each finished task has one JSON stamp, beside its files. A stamp is valid only for the same metadata, rules, model and
numbers, and for unchanged inputs. `recorded` finds the checksums that this project's commands recorded for Parquet
files which a user gives as tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from curation.inputs.files import Input, formats
from runtime.arrow import gather
from runtime.buckets import FEWEST_ROWS, Packer, buckets_for
from runtime.errors import AGAIN
from runtime.redaction import with_secrets
from runtime.storage.listing import names_in
from runtime.storage.own_files import OwnFile, checksums_in, is_sound
from runtime.storage.paths import as_path, files, files_below, in_threads, remove
from runtime.storage.whole import EARLIER, STAMP, read_json, write_json
from runtime.tallies import Tallies

Item = TypeVar("Item")

BUCKET_ROWS = 1 << 18  # pairs that are grouped together in memory: some 250 MB
MOST_BUCKETS = 1 << 13  # that a task sends to, where it could not hold enough rows for larger blocks
BLOCK_ROWS = 100  # rows of a block for which an input should be enough, else a task takes several
TASK_ROWS = 1 << 20  # pairs that a task groups, bucket after bucket
FEW_TASKS = 1 << 8  # up to so many take one bucket each, so that cores are not idle
TURNS = 4  # tasks a core behind matching, whose items take less than a second each

TASK_BYTES = 64 << 20  # compressed bytes of input for one task
TASKS_PER_CORE = 3
STAMP_NAME = re.compile(r"_.*\.json")

FACTS = ("run.json", "clusters.json")  # in the folder above: of curate, and of clip-cluster
_WRITTEN_BY_OTHERS = re.compile("https?://|.*://.*::", re.DOTALL)  # servers of pages, and what is in an archive
_CHECKSUM = re.compile("[0-9a-f]{8}")


def pair_buckets(files: list[Input]) -> int:
    """Return the buckets for the files of pairs, judged by the size of all inputs; rather too many than too few."""
    return min(MOST_BUCKETS, 2 * buckets_for(sum(map(pairs_in, files)), BUCKET_ROWS))


def group_buckets(rows: float) -> tuple[int, int]:
    """Return into how many buckets this many pairs are grouped, and how many tasks take the buckets in turn.

    >>> group_buckets(1e6), group_buckets(5e7), group_buckets(1e9), group_buckets(1e11)
    ((4, 4), (256, 256), (4096, 1024), (524288, 8192))
    """
    number = buckets_for(rows, BUCKET_ROWS)
    tasks = max(min(number, FEW_TASKS), buckets_for(rows, TASK_ROWS))
    return number, min(tasks, MOST_BUCKETS)


def senders(items: Sequence[Item], rows: float, buckets: int) -> list[list[Item]]:
    """Return items with so many rows in all in lists, one for each task: with few rows, blocks of a bucket are small.

    >>> senders("abcdef", 1e6, 4), [len(files) for files in senders([""] * 4000, 1e9, 8192)][:2]
    ([['a'], ['b'], ['c'], ['d'], ['e'], ['f']], [34, 34])
    """
    tasks = max(1, int(rows / (FEWEST_ROWS * min(buckets, MOST_BUCKETS))))
    each = max(1, -(-len(items) // tasks))
    return [list(items[begin : begin + each]) for begin in range(0, len(items), each)]


def sending(buckets: int) -> Packer:
    """Return the packer of such a task. Who takes its blocks deals them out to all buckets, where these are more."""
    return Packer(min(buckets, MOST_BUCKETS))


def pairs_in(file: Input) -> float:
    """Return about how many pairs a file has, judged by its size."""
    return file.size / formats()[file.format].pair_bytes


@dataclass(frozen=True)
class Stamp:
    """The record of a finished task: its inputs, and the files and tallies that it made of them."""

    made_from: str  # digest of what its files depend on besides the inputs
    inputs: list[dict]
    files: list[str]
    tallies: list[dict]


@dataclass(frozen=True)
class Stamps:
    """The stamps of a run, as its workers write them into a folder.

    The files are beside the stamps, and a stamp has their names; or they are in the folders `parts`, and it has the
    name of the folder before each: curated/00000.parquet; or they are in and below the folder `root`.
    """

    folder: Path
    made_from: str
    parts: tuple[Path, ...] = ()
    root: Path | None = None

    def name_of(self, inputs: Sequence[Input]) -> str:
        """Return the name of the files that a task makes of `inputs`."""
        return digest_of({"made_from": self.made_from, "inputs": _dicts(inputs)})

    def write(self, inputs: Sequence[Input], files: list[str], tallies: Tallies) -> None:
        """Write the stamp of a task over `inputs`: from then on its files count."""
        content = asdict(Stamp(self.made_from, _dicts(inputs), files, tallies.rows()))
        content["checksum"] = digest_of(content)
        write_json(self.folder / f"_{self.name_of(inputs)}.json", content)

    def read(self) -> Iterator[tuple[Path, Stamp]]:
        """Yield the stamps of this run, or of one like it with other inputs, whose files all exist; few are held."""
        present = files(self.folder)
        paths = [path for path in present if STAMP_NAME.fullmatch(path.name)]
        names = {f"{part.name}/{path.name}" for part in self.parts for path in files(part)}
        names |= {path.name for path in present} | {*(files_below(self.root) if self.root else ())}
        for path, content in zip(paths, in_threads(read_json, paths), strict=True):
            stamp = _stamp(content) if content else None
            if stamp and stamp.made_from == self.made_from and names >= {*stamp.files}:
                yield path, stamp

    def forget_damaged(self) -> None:
        """Remove the stamps of tasks of which a file is not as it was written: these tasks are to be done again."""
        stamped = [(path, file) for path, stamp in self.read() for file in self._recorded(stamp)]
        sound = in_threads(is_sound, (file for _, file in stamped))
        for path in {path for (path, _), is_whole in zip(stamped, sound, strict=True) if not is_whole}:
            remove(path)

    def _recorded(self, stamp: Stamp) -> Iterator[OwnFile]:
        """Yield the files of a stamp whose checksums its task has tallied."""
        parts = {part.name: part for part in self.parts}
        checksums = checksums_in(Tallies(stamp.tallies))
        for name in checksums.keys() & {*stamp.files}:
            part, _, rest = name.partition("/")
            path = parts[part] / rest if part in parts else (self.root or self.folder) / name
            yield OwnFile(path, checksums[name], AGAIN)


def is_stamp(content: object) -> bool:
    """Return whether the content of a file is a stamp with the right checksum."""
    return isinstance(content, dict) and _stamp(dict(content)) is not None


def _stamp(content: dict) -> Stamp | None:
    """Return the stamp with the content of a file, or None if that is no stamp or is damaged."""
    checksum = content.pop("checksum", None)
    is_whole = content.keys() == Stamp.__dataclass_fields__.keys() and checksum == digest_of(content)
    return Stamp(**content) if is_whole else None


@dataclass(frozen=True)
class Done:
    """The files of a finished task, and the number of their rows."""

    files: list[str]
    rows: int


@dataclass(frozen=True)
class Ledger:
    """The tasks of a run that are done, by their stamps, and the inputs that are not."""

    stamps: Stamps
    done: dict[Path, Done]
    missing: list[Input]  # inputs that no stamp covers
    sums: Tallies  # of all that is done

    @classmethod
    def open(cls, folder: Path, description: dict, inputs: list[Input]) -> Ledger:
        """Return the ledger of a folder for a run of `inputs`; `description` names all else that the run depends on."""
        return cls.of(Stamps(folder, digest_of(description)), inputs)

    @classmethod
    def of(cls, stamps: Stamps, inputs: Sequence[Input]) -> Ledger:
        """Return the ledger of these stamps for a run of `inputs`."""
        wanted = {identity(asdict(each)): each for each in inputs}
        done: dict[Path, Done] = {}
        covered: set[str] = set()
        sums = Tallies()
        for path, stamp in stamps.read():
            own = {identity(each) for each in stamp.inputs}
            # Two stamps share an input if a run broke off and one of its tasks ended nevertheless.
            if own <= wanted.keys() and own.isdisjoint(covered):
                done[path] = Done(stamp.files, int(Tallies(stamp.tallies)["rows"]))
                covered |= own
                sums.update(stamp.tallies)
        return cls(stamps, done, [each for id, each in wanted.items() if id not in covered], sums)

    @property
    def files(self) -> list[Path]:
        """The files of all that is done."""
        return [self.stamps.folder / name for each in self.done.values() for name in each.files]

    def files_of(self, rows: int) -> list[list[Path]]:
        """Return the files of all finished tasks, in lists of about `rows` rows, counted by their tallies."""
        parts = gather(self.done.values(), lambda each: each.rows, rows)
        return [[self.stamps.folder / name for each in part for name in each.files] for part in parts]

    def tallies(self) -> Tallies:
        """Return the tallies of all that is done."""
        return Tallies(self.sums.rows())

    def said_of_inputs(self, prefix: str) -> dict[str, str]:
        """Return the rest of the names of tallies that begin with `prefix`, by the path of their task's one input."""
        said = (
            (stamp.inputs[0]["path"], rest)
            for path, stamp in self.stamps.read()
            if path in self.done
            for rest in Tallies(stamp.tallies).beginning(prefix)
        )
        return dict(sorted(said))

    def tasks(self, cores: int, task_bytes: float = TASK_BYTES) -> list[list[Input]]:
        """Return the missing inputs, one list for each task: of `task_bytes`, or less where cores would be idle."""
        size = sum(each.size for each in self.missing)
        limit = min(task_bytes, size // (cores * TASKS_PER_CORE))
        return list(gather(self.missing, lambda each: each.size, limit))

    def prune(self) -> None:
        """Remove all other files of the folder: made of inputs that have changed, or left by tasks that broke off."""
        folder = self.stamps.folder
        kept = {*self.done, *self.files, folder / STAMP, folder / EARLIER}
        for path in set(files(folder)) - kept:
            remove(path)


def _dicts(inputs: Sequence[Input]) -> list[dict]:
    return json.loads(json.dumps([asdict(each) for each in inputs]))  # lists for tuples, as in a stamp


def identity(each: dict) -> str:
    """Return what an input is known by again, given as in a stamp."""
    return json.dumps(each, sort_keys=True)


def digest_of(content: dict) -> str:
    """Return a digest of what can be written as JSON: 24 hexadecimal digits."""
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=12).hexdigest()


def recorded(paths: Iterable[str]) -> dict[str, str]:
    """Return the checksums of these files by path, for the files that have one."""
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        if not _WRITTEN_BY_OTHERS.match(path):
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    return {path: checksum for folder in by_folder.items() for path, checksum in _in_folder(*folder).items()}


def stamp_of(file: str) -> str:
    """Return the name of the JSON file with the checksum of a Parquet file that stays beside it.

    >>> stamp_of("0a.parquet")
    '_0a.json'
    """
    return f"_{file.rpartition('.')[0]}.json"


def _in_folder(folder: str, paths: list[str]) -> dict[str, str]:
    above, _, part = folder.rpartition("/")
    present, own = {*names_in(folder or "/")}, as_path(with_secrets(folder or "/"))
    names = {path.rpartition("/")[2]: path for path in paths}
    stamps = [own / name for name in (STAMP, *map(stamp_of, names)) if name in present]
    facts = [own.parent / name for name in names_in(above or "/") if name in FACTS]
    known = {name: each for found in in_threads(checksums_of, stamps) for name, each in found.items()}
    of_parts = {name: each for found in in_threads(_checksums, facts) for name, each in found.items()}
    known |= {name: of_parts[f"{part}/{name}"] for name in names if f"{part}/{name}" in of_parts}
    return {path: known[name] for name, path in names.items() if name in known}


def checksums_of(path: Path) -> dict[str, str]:
    """Return the checksums in a stamp: among the tallies of a task, or by name."""
    content = read_json(path)
    if is_stamp(content):
        return checksums_in(Tallies((content or {})["tallies"]))
    return _checksums(path)


def _checksums(path: Path) -> dict[str, str]:
    found = (read_json(path) or {}).get("checksums")
    known = found if isinstance(found, dict) else {}
    return {name: each for name, each in known.items() if isinstance(each, str) and _CHECKSUM.fullmatch(each)}
