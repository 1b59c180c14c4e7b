"""Harm files of folders that commands wrote, and see what those who read the folders make of it."""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.console import sentence_for
from runtime.errors import InputError
from runtime.folders.verify import verify
from runtime.storage.checksums import checksum_of

REFUSED, HARMLESS, SILENT, CRASHED = OUTCOMES = "refused", "harmless", "silent", "crashed"
# A missing file is found by its reader and by clip-verify, found by clip-verify alone, or makes no difference.
FOUND, READ_WITHOUT, NO_MATTER = "found", "read without", "no matter"
UNKNOWN = (
    "specify a folder that a command of this project has finished"  # where the file by which it is known is missing
)


@dataclass(frozen=True)
class Kind:
    """Files of a folder that a command wrote, and what is made of the folder."""

    name: str
    files: str  # patterns below the folder
    answer: Callable[[Path], object]  # what its reader makes of the folder, which can be compared
    said: str = ""  # a pattern in the sentence with which the reader refuses harm; empty if it never does
    verify: str = ""  # a pattern in what clip-verify says; empty if it knows no such folder
    missing: str = FOUND  # what a missing file means
    alone: bool = False  # whether another process answers, which may crash


def flip(path: Path, chance: random.Random) -> None:
    """Flip a bit of a file, which must not change under its other names."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.unlink()
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Cut the end of a file off."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: chance.randrange(len(data))])


def remove(path: Path, _: random.Random) -> None:
    """Remove a file."""
    path.unlink()


def outcomes(folder: Path, kind: Kind, flips: int, scratch: Path) -> Counter:
    """Return how often harm to a folder is refused, harmless and silent: flipped bits, a cut and a missing file."""
    right = kind.answer(_copy(folder, scratch / "right"))
    patterns = kind.files.split(" ")
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    files = sorted(path.relative_to(folder) for path in found)
    harms = [*([flip] * flips * len(patterns)), cut, remove]

    def judge(number: int) -> str:
        copy = _copy(folder, scratch / "copy")
        file, harm = files[number % len(files)], harms[number]
        harm(copy / file, random.Random(f"{kind.name} {number}"))
        if kind.verify and not (harm is remove and kind.missing == NO_MATTER):
            with pytest.raises(InputError, match=f"{kind.verify}|{UNKNOWN}"):
                verify(copy)
        if harm is remove and kind.missing == READ_WITHOUT:
            return HARMLESS
        return outcome(kind, copy, right)

    return Counter(_alone(judge, len(harms)) if kind.alone else map(judge, range(len(harms))))


def _alone(judge: Callable[[int], str], number: int) -> Iterator[str]:
    """Yield what another process says of harm; where it crashes, a new one goes on behind that."""
    done = 0
    while done < number:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with open(writing, "w", encoding="utf-8") as pipe:
                for each in range(done, number):
                    print(_judged(judge, each), file=pipe, flush=True)
            os._exit(0)
        os.close(writing)
        with open(reading, encoding="utf-8") as pipe:
            found = pipe.read().splitlines()
        found += [CRASHED] if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else []
        assert {*found} <= {*OUTCOMES}, {*found} - {*OUTCOMES}
        yield from found
        done += len(found)


def _judged(judge: Callable[[int], str], number: int) -> str:
    try:
        return judge(number)
    except BaseException as error:
        return repr(error)


def outcome(kind: Kind, copy: Path, right: object) -> str:
    """Return what became of a harmed copy; an error that is not the refusal of the table is raised."""
    try:
        return HARMLESS if kind.answer(copy) == right else SILENT
    except Exception as error:
        found = sentence_for(error)
        if found is None or found[1] != 2 or "\n" in found[0] or not kind.said:
            raise
        assert re.search(kind.said, found[0]), found[0]
        return REFUSED


def printed(found: dict[str, Counter]) -> str:
    """Return a table of outcomes by kind of file."""
    lines = [f"{'file':<52}" + "".join(f"{name:>10}" for name in OUTCOMES)]
    for kind, each in found.items():
        lines.append(f"{kind:<52}" + "".join(f"{each[name]:>10}" for name in OUTCOMES))
    return "\n".join(["", *lines])


def bytes_of(folder: Path, without: Iterable[str] = ()) -> dict[str, str]:
    """Return the checksum of each file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in without)
    return {path.relative_to(folder).as_posix(): checksum_of(path) for path in files}


def write_pairs(path: Path, rows: range) -> str:
    """Write a table of pairs, some of which are of one image."""
    urls = [f"http://{'no' if row % 50 == 0 else 'a'}.example/{row % 150}.jpg" for row in rows]
    texts = [("a photo of a dog", "black dog", "cat and dog", "犬と猫", "nothing")[row % 5] for row in rows]
    pq.write_table(pa.table({"url": urls, "text": texts}), path)
    return str(path)


def _copy(folder: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, copy_function=os.link)
    return to
