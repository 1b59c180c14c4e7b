"""Damaged files of a run, of metadata and of a matcher: what opens them gives the right answer, or refuses the folder.

A file here is the name of an artefact, a slash, the name of the damaged file of it, a line feed, and the file's bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

import numpy as np
import pyarrow as pa

from curation import Matcher
from curation.balancing.thresholds import EntryCounts
from curation.exclusion import Exclusion
from metadata import Entries
from runtime.buckets import Packer, read_blocks, rows_of_block, write_blocks
from runtime.errors import InputError
from runtime.folders.stamps import Input, Ledger
from runtime.tallies import TaskResult
from tests.fuzz.mutations import damaged
from tests.fuzz.target import Target, require_named

ENTRIES = Entries.build({"en": ["photo", "black dog", "of"], "ja": ["猫", "写真"]})
WORDS = ["a", "black dog", "photo", "犬", "x" * 40]
TEXTS = pa.array(["a black dog", "photo of 犬", "", None, "x" * 40])
BLOCK = pa.record_batch({"id": pa.array(range(40)), "text": pa.array(["犬", None] * 20)})
SOURCE = Input("/data/ü.parquet", "parquet", 10, modified=1)
EXCLUDED = {"uids": [f"{i:032x}" for i in range(9)], "domains": ["example.org", "b.example"], "regexes": ["gif$"]}
ASKED = pa.record_batch({"url": ["https://a.example.org/", "https://c.example/a.gif", "https://c.example/"]})
ODD = (b"{", b"[", b'"', b"null", b"-1", b"1e999", b"NaN", b"\0", b"\xff", b"\\ud800", b"[" * 4096, b"ARROW1")


@dataclass(frozen=True)
class Artefact:
    """What is saved in a folder, and what opening it answers; `none` where it counts as not there."""

    save: Callable[[Path], object]
    answer: Callable[[Path], object]
    none: object = None


def save_blocks(folder: Path) -> None:
    """Write packed rows."""
    packer = Packer(4)
    blocks = [*packer.add(BLOCK, np.repeat(np.arange(4), 10)), *packer.finish()]
    write_blocks(folder / "task.arrows.zst", BLOCK.schema, blocks)


def read_rows(folder: Path) -> list[tuple[int, list]]:
    """Return packed rows by bucket."""
    blocks = read_blocks(folder / "task.arrows.zst", BLOCK.schema)
    return [(block.bucket, rows_of_block(block.data, BLOCK.schema).to_pylist()) for block in blocks]


def save_stamp(folder: Path) -> None:
    """Write the stamp of an input that is done."""
    ledger = Ledger.open(folder, {"rules": "unicode"}, [SOURCE])
    rows = [{"name": "files", "language": None, "value": 1}, {"name": "texts", "language": "ja", "value": 7}]
    ledger.stamps.write([SOURCE], TaskResult(rows))


def done(folder: Path) -> list:
    """Return what is done."""
    ledger = Ledger.open(folder, {"rules": "unicode"}, [SOURCE])
    return [ledger.missing, ledger.files, ledger.sums.rows()]


def save_counts(folder: Path) -> None:
    """Write counts."""
    EntryCounts(np.arange(len(ENTRIES)), ENTRIES.digest).save(str(folder / "counts.parquet"), ENTRIES)


def opened_entries(folder: Path) -> tuple:
    """Return entries with their languages."""
    entries = Entries.open(folder)
    return entries.strings.to_pylist(), dict(entries.languages), entries.digest


ARTEFACTS = {
    "entries": Artefact(ENTRIES.save, opened_entries),
    "matcher": Artefact(
        lambda folder: Matcher.build(WORDS).save(folder), lambda folder: Matcher.open(folder).find(TEXTS).to_pylist()
    ),
    "counts": Artefact(
        save_counts, lambda folder: EntryCounts.open(str(folder / "counts.parquet"), ENTRIES.digest).values.tolist()
    ),
    "exclusion": Artefact(
        lambda folder: Exclusion.of(**EXCLUDED).save(folder),
        lambda folder: Exclusion.open(folder).excluded(ASKED).to_pylist(),
    ),
    "blocks": Artefact(save_blocks, read_rows),
    "stamp": Artefact(save_stamp, done, none=[[SOURCE], [], []]),
}


@cache
def saved(name: str) -> tuple[Path, object]:
    """Return a folder with a whole artefact, and its answer."""
    folder = Path(mkdtemp())
    ARTEFACTS[name].save(folder)
    return folder, ARTEFACTS[name].answer(folder)


def wholes(folder: Path) -> list[bytes]:
    """Return the files of all artefacts."""
    found = []
    for name in ARTEFACTS:
        paths = sorted(saved(name)[0].iterdir())
        found += [f"{name}/{path.name}\n".encode() + path.read_bytes() for path in paths]
    return found


def make(whole: bytes, dice: random.Random) -> bytes:
    """Return a damaged file under its name."""
    name, line, content = whole.partition(b"\n")
    return name + line + damaged(content, dice, ODD)


def look(folder: Path, data: bytes) -> str:
    """Open an artefact one of whose files is this one."""
    file, _, content = data.partition(b"\n")
    name, slash, of_it = file.decode("latin-1").partition("/")
    if name not in ARTEFACTS or not slash:
        return "no artefact"
    own, (whole, right) = folder / name, saved(name)
    copytree(whole, own)
    (own / of_it).write_bytes(content)
    try:
        answer = ARTEFACTS[name].answer(own)
    except InputError as refusal:
        require_named(own, refusal)
        return "refused"
    finally:
        rmtree(own)
    assert answer in (right, ARTEFACTS[name].none)
    return "answered"


STORED = {"artefacts": Target(wholes, look, make)}
