"""Check, file by file, that a folder that one of the commands wrote is undamaged, for `clip-verify`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

from curation.inputs.tables.columns import TABLES_FOLDER
from curation.run.finished_run import RERUN
from metadata.entries import FACTS
from runtime.buckets import BLOCKS_ENDING, read_blocks
from runtime.errors import InputError
from runtime.folders.derived import CHECKSUMS
from runtime.folders.folder import EARLIER, STAMP
from runtime.folders.recorded import checksums_of
from runtime.folders.stamps import STAMP_NAME, stamp_of
from runtime.messages import listed
from runtime.storage.checksums import content_digest
from runtime.storage.json_files import content_of, is_exact, read_json, text_of
from runtime.storage.listing import described
from runtime.storage.own_files import OwnFile, intact, part_files
from runtime.storage.paths import FullDisk, as_path, files, files_below, in_threads, names, reachable, read_bytes

CLUSTERED = "clusters.json"  # in a folder that clip-cluster wrote
# Folders in which every file has a recorded checksum.
PARTS = ("curated", "removed", "matched", "gated", "gate_removed", "clusters", "copies")
STAMPED = ("matched", "gated")  # of these, the folders with a stamp of their own
NAMED = 5  # at most this number of faults is listed
# The files by which folders are known, by the first that a folder has, with the remedy for damage in the folder.
REMEDIES = {
    "run.json": RERUN,
    FACTS: "build the metadata again",
    CLUSTERED: "run clip-cluster again with --overwrite",
    CHECKSUMS: "make the folder again, under another name or with --overwrite",
    STAMP: "delete what is not of this folder, and run the command that made it again",
}


@dataclass(frozen=True)
class FolderCheck:
    """A check of one file: `name` is its path in the folder, and `require(path)` raises an error if it is damaged."""

    name: str
    path: Path
    require: Callable[[Path], object]

    def fault(self) -> str | None:
        """Return a sentence about what is wrong with the file, or None if it is undamaged."""
        try:
            self.require(self.path)
        except FileNotFoundError:
            return f"{self.name} is missing"
        except FullDisk:  # no room for the local copy of a remote file
            raise
        except ValueError:
            return f"{self.name} is damaged"
        return None


def verify(folder: str | PathLike[str]) -> str:
    """Return a sentence if all files of a folder are as they were written; else raise InputError, naming faults."""
    path = as_path(folder)
    with reachable(path):
        present = names(path)
        name = next((name for name in REMEDIES if name in present), None)
        if name == STAMP:
            return _verified(path, name, *_of_stamps(path))
        if name:
            facts = _facts(path / name, REMEDIES[name])
            checks = [FolderCheck(name, path / name, lambda _: None), *_of_bytes(path, facts["checksums"])]
            beside = _OF_OTHERS[name](path, facts) if name in _OF_OTHERS else []
            files_here = files_below(path) if name == CHECKSUMS else _recorded_files(path)
            return _verified(path, name, [*checks, *beside], sorted({*files_here} - {name, *facts["checksums"]}))
    raise InputError(f"{path} {described(path)}; give a folder that a command of this project has finished")


def _verified(folder: Path, kind: str, checks: list[FolderCheck], unknown: list[str]) -> str:
    faults = [fault for fault in in_threads(FolderCheck.fault, checks) if fault]
    faults += [f"{name} is not of this run" for name in unknown]
    if faults:
        has_matched = any(fault.startswith("matched/") for fault in faults)
        what = "matched/" if has_matched else "what is damaged or not of this run"
        remedy = f"delete {what} and {RERUN}" if kind == "run.json" else REMEDIES[kind]
        raise InputError(f"{folder} is not as it was written: {listed(faults, NAMED)}; {remedy}")
    return f"{folder}: all {len(checks):,} files are as they were written"


def _of_run(path: Path, facts: dict) -> list[FolderCheck]:
    """Return the checks of a run's files that have checksums of their own."""
    stamped = [part for part in STAMPED if any(name.startswith(f"{part}/") for name in facts["checksums"])]
    checked = [] if facts.get("removals") else ["times.json", *(f"{part}/{STAMP}" for part in stamped)]
    checked += [
        f"{part}/{file.name}"
        for part in ("pairs", "matched")
        for file in files(path / part, ".json")
        if file.name not in (STAMP, EARLIER)
    ]
    jsons = [FolderCheck(name, path / name, _require_json) for name in checked]
    pairs = [FolderCheck(f"pairs/{file.name}", file, _require_blocks) for file in files(path / "pairs", BLOCKS_ENDING)]
    return [*jsons, *pairs, *_of_tables(path)]


def _of_tables(path: Path) -> Iterator[FolderCheck]:
    """Yield the checks of copied tables, whose file names end with a digest of the file's bytes."""
    for table in sorted(names(path / TABLES_FOLDER)):
        for file in files(path / TABLES_FOLDER / table, ".parquet"):
            yield FolderCheck(f"{TABLES_FOLDER}/{table}/{file.name}", file, _require_named)


def _of_bytes(path: Path, checksums: Mapping[str, str], within: str = "") -> Iterator[FolderCheck]:
    """Yield a check for each path in `checksums`, relative to the folder `within` (ending in / or empty) of `path`."""
    for name, checksum in checksums.items():
        yield FolderCheck(f"{within}{name}", path / within / name, partial(_require_checksum, checksum))


def _of_stamps(path: Path) -> tuple[list[FolderCheck], list[str]]:
    """Return the checks of tables of hashes, scores or embeddings, and the names of Parquet files without a stamp."""
    jsons = [file for file in files(path, ".json") if file.name.startswith("_")]
    checks = [
        FolderCheck(file.name, file, _require_json) for file in sorted(jsons, key=lambda file: file.name != STAMP)
    ]
    named = {name: checksum for file in jsons for name, checksum in checksums_of(file).items()}
    checks += _of_bytes(path, dict(sorted(named.items())))
    return checks, sorted({file.name for file in part_files(path)} - named.keys())


def _of_sources(path: Path, _: dict) -> list[FolderCheck]:
    """Return the checks of the stamps and counts of metadata's sources; none if the folder is at a URL."""
    checks = []
    for stamp in sorted(Path(path).glob(f"sources/**/{STAMP}")) if isinstance(path, Path) else []:
        part = f"{stamp.parent.relative_to(path).as_posix()}/"
        checks.append(FolderCheck(f"{part}{STAMP}", stamp, _require_json))
        checks += _of_bytes(path, (read_json(stamp) or {}).get("checksums", {}), part)
    return checks


def _facts(path: Path, remedy: str) -> dict:
    """Return the content of a JSON file that lists checksums; refuse a damaged or changed file, with the `remedy`."""
    data = read_bytes(path)
    try:
        facts = content_of(data)
    except ValueError as error:
        raise OwnFile(path, None, remedy).damaged(error) from None
    if not isinstance(facts, dict) or "checksums" not in facts or not is_exact(data):
        raise OwnFile(path, None, remedy).damaged("other programs have changed it")
    return facts


# By the file by which a folder is known: the checks of files whose checksums that file does not list.
_OF_OTHERS: dict[str, Callable[[Path, dict], list[FolderCheck]]] = {"run.json": _of_run, FACTS: _of_sources}


def _recorded_files(path: Path) -> list[str]:
    """Return the paths of the files in the folders PARTS."""
    present = [(part, name) for part in PARTS for name in names(path / part)]
    return [f"{part}/{name}" for part, name in present if not (part in STAMPED and STAMP_NAME.fullmatch(name))]


def _require_checksum(checksum: str, path: Path) -> None:
    with intact(OwnFile(path, checksum, "")):
        pass


def _require_json(path: Path) -> None:
    """Raise a ValueError unless the text of a JSON file, which may be a stamp, agrees with its own checksum."""
    data = read_bytes(path)
    if is_exact(data):
        return
    content = content_of(data)
    if stamp_of(content) is None or text_of(content).encode() != data:
        raise ValueError("its checksum differs")


def _require_blocks(path: Path) -> None:
    for _ in read_blocks(path, None):
        pass


def _require_named(path: Path) -> None:
    if content_digest(path) != path.stem.rpartition("-")[2]:
        raise ValueError("its digest differs from its name")
