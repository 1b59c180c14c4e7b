"""Make files of a folder in tasks, of an item each; the same command goes on after one that broke off.

Exports, removals and indexes are such folders, made of the files of a finished run, local or at a URL. An example, for
a file of URLs per curated file:

    def write(file: OwnFile, made: Made) -> None:  # in a worker
        path = made.path("urls", file.path.name)
        with part_writer(path, SCHEMA, ROWS) as writer: ...
        made.wrote("urls", path.name, writer.checksum)
        made.tallies.add("urls", writer.rows)

    wanted = Derivation({"run": digest, "of": "urls"}, whole_by="urls.json", inputs=[run.path])
    with deriving(engine, output, wanted) as folder:
        tallies = folder.each_file("list URLs", curated_files(run), write, "urls")
        write_json(folder.path / "urls.json", {"urls": tallies["urls"]})

A part, here `urls/`, gets its name when all its files are there; at a URL, whose parts cannot be renamed, its files are
there before. In both places the folder is whole once it has the file `whole_by`, which a caller writes last. What is
done is in stamps below `.work` (`ledger`), with all that tasks tallied; the stamps go when the folder is whole. Before
a command goes on it compares what is done with the checksums in these stamps, and makes anew what is damaged. Last of
all, `.checksums.json` lists the checksums of all files; those of a removal are in its run.json.

`fill` makes a folder with one file per input, for one run at a time: clip-hash and clip-score write their tables so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa

from curation.inputs.files import Input
from curation.run.ledger import Ledger, Stamps, digest_of
from runtime.engine.choice import Given, engine_of
from runtime.engine.interface import Engine
from runtime.errors import AGAIN, InputError
from runtime.progress import Progress, advance
from runtime.storage.locks import LOCK, TOKEN, WORK, Claimed, claimed, is_free, require_apart
from runtime.storage.own_files import OwnFile, checksum_of, checksums_in, intact, part_files, recorded, tally
from runtime.storage.parquet import part_writer
from runtime.storage.paths import absolute, files, files_below, make_folder, names, remove
from runtime.storage.whole import PARTIAL, STAMP, finished, read_json, text_of, whole, write_json
from runtime.tallies import Tallies

STAMPS = ".stamps"  # ends the name of the folder of a part's stamps, below the folder of work
CHECKSUMS = ".checksums.json"  # of all files of a whole folder; programs that read the folder pass over the name
Content = TypeVar("Content")

CLAIM = "derived.json"  # below WORK: what the folder will be made from

STATUS = "status."  # before the status of rows: the name of a tally
ROW_GROUP = 50_000


@dataclass(frozen=True)
class Made:
    """What a task makes of an item: paths of files in the folders of parts, and what it tallies."""

    folder: Path  # of the parts
    tallies: Tallies = field(default_factory=Tallies)
    names: list[str] = field(default_factory=list)

    def path(self, part: str, name: str) -> Path:
        """Return the path of a file of a part, or of a folder or the folder itself where there are no parts.

        It is to be written whole.
        """
        return make_folder(self.folder / part) / name

    def wrote(self, part: str, name: str, checksum: str) -> None:
        """Note a file that is written; its checksum is tallied under its part and name."""
        self.names.append(f"{part}/{name}" if part else name)
        self.tallies.add(*recorded(self.names[-1], checksum))


@dataclass(frozen=True)
class Item(Generic[Content]):
    """What a task is given, and the input as which its stamp knows it."""

    known_as: Input
    content: Content


@dataclass(frozen=True)
class Task(Generic[Content]):
    """Makes the files of an item, then their stamp."""

    folder: Path
    stamps: Stamps
    make: Callable[..., object]

    def __call__(self, item: Item[Content], *more: object) -> Tallies:
        made = Made(self.folder)
        self.make(item.content, made, *more)
        self.stamps.write([item.known_as], made.names, made.tallies)
        return Tallies()  # which the stamp has


Begin = Callable[[list[Item[Content]], Task[Content]], object]


@dataclass(frozen=True, eq=False)
class Derived:
    """A folder that is being made, at `path`."""

    parts: Claimed
    made_from: str
    progress: Progress
    _engine: Engine
    _checksums: dict[str, str] = field(default_factory=dict)  # of the files that tasks have made

    @property
    def path(self) -> Path:
        """The folder."""
        return self.parts.folder

    @cached_property
    def engine(self) -> Engine:
        """The engine, which starts when it is first asked for."""
        self._engine.start(self.progress)
        self._engine.require_shared(self.parts.work.parent)  # where nothing that it may leave is in the way
        return self._engine

    def each_file(
        self, title: str, own: Sequence[OwnFile], make: Callable[[OwnFile, Made], object], *parts: str
    ) -> Tallies:
        """Let tasks make the files of these parts, of one file of the run each; return the sums of all tallies."""
        return self.each(title, items_of(own), make, *parts)

    def each(self, title: str, items: Sequence[Item[Content]], make: Callable[..., object], *parts: str) -> Tallies:
        """Let tasks make the files of these parts, of one item each; return the sums of all tallies."""

        def begin(missing: list[Item[Content]], task: Task[Content]) -> None:
            with self.progress.stage(f"{title} of {len(missing)} of {len(items)} files"):
                self.engine.run(missing, task)

        return self.fill(items, make, begin, *parts)

    def fill(
        self, items: Sequence[Item[Content]], make: Callable[..., object], begin: Begin[Content], *parts: str
    ) -> Tallies:
        """Let `begin` call a task for each item that is missing, in workers; finish the parts, return all tallies.

        The task calls `make(content, made)`, or `make(content, made, *more)` with what it is called with besides.
        Without parts, files have their names in the folder or in folders in it as soon as they are written.
        """
        self.parts.owner.require()
        work, known = self.parts.work.parent, {item.known_as: item for item in items}
        folders = tuple(map(self.parts.reopen, parts))
        own = make_folder(work / f"{'+'.join(parts)}{STAMPS}")
        stamps = Stamps(own, self.made_from, folders, None if parts else self.path)
        if names(own):
            with self.progress.stage("compare what is done"):
                stamps.forget_damaged()
        ledger = Ledger.of(stamps, [*known])
        if ledger.missing:
            within = folders[0].parent if parts else self.path
            begin([known[each] for each in ledger.missing], Task(within, stamps, make))
            ledger = Ledger.of(stamps, [*known])
        if ledger.missing:
            raise InputError(
                f"what {len(ledger.missing)} files gave is not in {self.path}: that is no folder that all machines "
                "share, or it shows files late; run the same command again to go on"
            )
        for part in parts:
            self.finish(part)
        self._checksums.update(checksums_in(ledger.tallies()))
        return ledger.sums

    def finish(self, part: str) -> None:
        """Give a part its name, also one that the driver has written itself (`parts.reopen`)."""
        self.parts.owner.require()
        self.parts.finish(part)

    def write_last(self, name: str, content: dict) -> None:
        """Write a JSON file after the checksums of all files, its own among them: whoever finds it finds those, too."""
        with whole(self.path / name) as file:
            file.write_text(text_of(content), encoding="utf-8")
            self._checksums[name] = checksum_of(file)
            self.seal(name)

    def seal(self, *last: str) -> None:
        """List the checksums of all files of the folder, for `clip-verify`; files that come last are not there yet."""
        found = {name for name in files_below(self.path) if not name.endswith(PARTIAL)} - {CHECKSUMS}
        checksums = {name: self._checksums.get(name) or _checksum(self.path / name) for name in sorted(found | {*last})}
        write_json(self.path / CHECKSUMS, {"checksums": checksums})

    def forget(self) -> None:
        """Forget what is done, so that nothing is left after an error."""
        self.parts.owner.require()
        work = self.parts.work.parent
        for name in names(work):
            if name.endswith(STAMPS):
                remove(work / name)


def _checksum(path: Path) -> str:
    with intact(OwnFile(path, None, AGAIN)) as local:
        return checksum_of(local)


def items_of(own: Sequence[OwnFile]) -> list[Item[OwnFile]]:
    """Return files of a run as items: a stamp has their name and their checksum."""
    return [Item(Input(file.path.name, "own", 1, etag=file.checksum), file) for file in own]


@dataclass(frozen=True)
class Derivation:
    """What a folder is made from: `description` has all that its bytes follow from, in JSON.

    The file `whole_by`, written last, says that the folder is whole. The folder must be apart from the `inputs`. A
    folder that holds something is refused, or with `overwrite` replaced; it is None where a user cannot ask for that.
    """

    description: dict[str, Any]
    whole_by: str
    inputs: Sequence[str | PathLike[str]] = ()
    overwrite: bool | None = None

    @cached_property
    def made_from(self) -> str:
        """The digest of the description."""
        return digest_of(self.description)

    def require_usable(self, folder: Path) -> None:
        """Refuse a folder that holds something else than what the same command left when it broke off."""
        if self.overwrite or is_free(folder) or self.has_begun(folder):
            return
        more = "" if self.overwrite is None else ", or --overwrite this"
        if not is_begun(folder):
            raise InputError(f"output {folder} is not empty; give a new or empty folder{more}")
        if names(folder) - {WORK} or _are_stamped(folder):
            raise InputError(
                f"output {folder} holds what another command began, or this one with other inputs or options; run that "
                f"one again, or give a new or empty folder{more}"
            )

    def has_begun(self, folder: Path) -> bool:
        """Say whether a command with the same description has begun to make the folder."""
        return _claim(folder) == self.made_from


@contextmanager
def deriving(
    engine: Given,
    output: str | PathLike[str],
    wanted: Derivation,
    progress: Progress | None = None,
    wait: bool = False,
) -> Iterator[Derived]:
    """Claim a folder, and yield it to be made during the block; go on with what the same command has begun.

    After an error what is done stays for the next command; nothing is left where nothing was done. With `wait` another
    command that is at work on a local folder is waited for.
    """
    require_apart(output, wanted.inputs)
    with claimed(absolute(output), wanted.require_usable, wait) as parts:
        folder = parts.folder
        has_begun = wanted.has_begun(folder)
        parts.owner.require()  # a second run at a URL, which nothing keeps out, may be ahead
        if not has_begun:
            _clear(parts)
            write_json(folder / WORK / CLAIM, {"made_from": wanted.made_from})
        for name in (wanted.whole_by, CHECKSUMS):
            remove(folder / name)
        found = names(folder)
        for name in found - finished(found):
            remove(folder / name)
        derived = Derived(parts, wanted.made_from, progress or Progress(), engine_of(engine))
        try:
            yield derived
        except BaseException:
            parts.owner.require()  # it may be the folder of a run that has taken over
            if not _are_stamped(folder):
                _clear(parts)
            raise
        parts.owner.require()
        for name in files_below(folder):
            if name.endswith(PARTIAL):  # of a task, or a command, that was killed
                remove(folder / name)
        if wanted.whole_by != "run.json" and CHECKSUMS not in names(folder):  # run.json lists checksums itself
            derived.seal()
        _clear_work(parts)


def is_begun(folder: Path) -> bool:
    """Say whether any command has begun to make a folder."""
    return _claim(folder) is not None


def _claim(folder: Path) -> str | None:
    return (read_json(folder / WORK / CLAIM) or {}).get("made_from")


def _are_stamped(folder: Path) -> bool:
    """Say whether a task has ended in a folder."""
    work = folder / WORK
    return any(files(work / name) for name in names(work) if name.endswith(STAMPS))


def _clear(parts: Claimed) -> None:
    """Remove all that is in a folder; first its files, as readers know by one of them that it is whole."""
    for path in files(parts.folder):
        remove(path)
    for name in names(parts.folder) - {WORK}:
        remove(parts.folder / name)
    _clear_work(parts)


def _clear_work(parts: Claimed) -> None:
    work = parts.folder / WORK
    for _ in range(2):  # a listing may be late: what it lacks comes with the next one
        for name in names(work) - {LOCK, TOKEN, CLAIM, parts.work.name}:
            remove(work / name)
    remove(work / CLAIM)


@dataclass(frozen=True)
class Claim:
    """The intended content of a folder; `description` names all that its files depend on besides the inputs."""

    called: str  # the files, to a user: hashes
    of_what: str  # pictures
    description: dict

    def ledger(self, folder: Path, inputs: Sequence[Input]) -> Ledger:
        """Return what is done and not done in a folder; refuse one with files of other inputs."""
        ledger = Ledger.open(folder, self.description, list(inputs))
        paths = {each.path for each in inputs}
        others = {each["path"] for _, stamp in ledger.stamps.read() for each in stamp.inputs} - paths
        if others:
            raise InputError(
                f"output {folder} also holds {self.called} of {min(others)}, which is not among the inputs; give "
                "another folder, or --overwrite this"
            )
        return ledger


@dataclass(frozen=True)
class Filled:
    """A folder with the file of each input, and the content of its JSON file."""

    path: Path
    facts: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        """The Parquet files."""
        return part_files(self.path)


def fill(
    output: str | PathLike[str],
    claim: Claim,
    inputs: Sequence[Input],
    make: Callable[[Ledger, Path], object],
    describe: Callable[[Ledger], dict[str, Any]],
    overwrite: bool = False,
) -> Filled:
    """Let `make` write the files that a folder lacks for the inputs, and `describe` summarise all of them.

    `make` is given a folder for temporary files, too. A folder that holds something else is refused, and one that holds
    such files is emptied with `overwrite`.
    """
    with claimed(output, partial(_require_like, claim=claim, overwrite=overwrite)) as parts:
        folder = parts.folder
        for name in names(folder) - {WORK} if overwrite else ():
            remove(folder / name)
        write_json(folder / STAMP, claim.description)
        ledger = claim.ledger(folder, inputs)
        if ledger.done:
            ledger.stamps.forget_damaged()
            ledger = claim.ledger(folder, inputs)
        summary = folder / f"_{claim.called}.json"
        if ledger.missing:
            remove(summary)  # else it would describe a folder that holds more by and by
            make(ledger, parts.work)
            ledger = claim.ledger(folder, inputs)
        if ledger.missing:
            raise InputError(f"what {len(ledger.missing)} inputs gave is not in {folder}; run the same again")
        ledger.prune()
        facts = describe(ledger)
        write_json(summary, facts)  # readers of Parquet pass over names that begin with _
    return Filled(folder, facts)


def write_part(
    stamps: Stamps, inputs: Sequence[Input], rows: Iterable[pa.RecordBatch], schema: pa.Schema, tallies: Tallies
) -> None:
    """Write the rows of a task's inputs, then its stamp with the tallies, to which rows by status are added."""
    path = stamps.folder / f"{stamps.name_of(inputs)}.parquet"
    with part_writer(path, schema, ROW_GROUP) as writer:
        for batch in rows:
            for status, number in Counter(batch["status"].to_pylist()).items():
                tallies.add(f"{STATUS}{status}", number)
            writer.write(batch)
            advance(rows=batch.num_rows)
    tally(tallies, path, writer.checksum)
    stamps.write(inputs, [path.name], tallies)


def statuses(ledger: Ledger) -> dict[str, int]:
    """Return how many rows have which status."""
    return {status: int(number) for status, number in ledger.tallies().beginning(STATUS).items()}


def _require_like(folder: Path, claim: Claim, overwrite: bool) -> None:
    """Refuse a folder of something else, or, without `overwrite`, of such files that were made otherwise."""
    if is_free(folder) or finished(names(folder)) - {WORK} == {STAMP}:  # claimed by a run that made nothing
        return
    made, wanted = read_json(folder / STAMP), claim.description
    if made is None or made.keys() != wanted.keys():
        raise InputError(
            f"output {folder} holds files that are no {claim.called} of {claim.of_what}; give an empty or new folder"
        )
    if made != wanted and not overwrite:
        what = ", ".join(f"{name} {made[name]}, not {wanted[name]}" for name in wanted if made[name] != wanted[name])
        raise InputError(
            f"output {folder} holds {claim.called} made otherwise ({what}); give another folder, or --overwrite"
        )
