"""Flip bits of files that a run leaves, and see what those who read them make of it."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation import online
from curation.exclusion import Exclusion
from curation.leaves.export.forms import export
from curation.leaves.export.huggingface import HuggingFace
from curation.leaves.export.metaclip import MetaClip
from curation.leaves.export.removal import remove_from_manifest
from curation.leaves.online.batches import OnlineConfig
from curation.leaves.online.dataset import read_rates
from curation.leaves.online.epochs import Epoch
from curation.run.results import Results
from curation.run.verify import verify
from runtime.console import sentence_for
from runtime.errors import InputError
from runtime.storage.own_files import checksum_of
from tests.support.in_turn import in_turn

REFUSED, HARMLESS, SILENT, CRASHED = OUTCOMES = "refused", "harmless", "silent", "crashed"


@dataclass(frozen=True)
class Kind:
    """Files of a folder, and what is made of the folder: an answer that can be compared."""

    name: str
    files: str  # a pattern below the folder
    answer: Callable[[Path], object]
    alone: bool = False  # in a process of its own, which may crash


def flip(path: Path, chance: random.Random) -> None:
    """Flip a bit of a file, which must not change under its other names."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.unlink()
    path.write_bytes(data)


def outcomes(
    folder: Path, kind: Kind, flips: int, scratch: Path, each: Callable[[Path], None] | None = None
) -> Counter:
    """Return how often a flipped bit is refused, harmless and silent; `each` is called with each damaged copy."""
    right = kind.answer(_copy(folder, scratch / "right"))
    files = sorted(path.relative_to(folder) for path in folder.glob(kind.files) if path.is_file())

    def judge(number: int) -> str:
        copy = _copy(folder, scratch / "copy")
        flip(copy / files[number % len(files)], random.Random(f"{kind.name} {number}"))
        if each:
            each(copy)
        return outcome(kind.answer, copy, right)

    return Counter(_alone(judge, flips) if kind.alone else map(judge, range(flips)))


def _alone(judge: Callable[[int], str], flips: int) -> Iterator[str]:
    """Yield what another process says of flips; where it crashes, a new one goes on behind that flip."""
    done = 0
    while done < flips:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            with open(writing, "w", encoding="utf-8") as pipe:
                for number in range(done, flips):
                    print(_judged(judge, number), file=pipe, flush=True)
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


def none_silent(
    folder: Path, kind: Kind, flips: int, scratch: Path, each: Callable[[Path], None] | None = None
) -> Counter:
    """Return how often flipped bits have which outcome; fail if one is silent, or crashes."""
    found = outcomes(folder, kind, flips, scratch, each)
    assert (found.total(), found[SILENT], found[CRASHED]) == (flips, 0, 0), f"{kind.name}: {found}"
    return found


def printed(found: dict[str, Counter]) -> str:
    """Return a table of outcomes by kind of file."""
    lines = [f"{'file':<52}{'flips':>7}" + "".join(f"{name:>10}" for name in OUTCOMES)]
    for kind, each in found.items():
        lines.append(f"{kind:<52}{each.total():>7}" + "".join(f"{each[name]:>10}" for name in OUTCOMES))
    return "\n".join(["", *lines])


def outcome(answer: Callable[[Path], object], copy: Path, right: object) -> str:
    """Return what became of a damaged copy; an error that is no refusal in one sentence is raised."""
    try:
        return HARMLESS if answer(copy) == right else SILENT
    except Exception as error:
        found = sentence_for(error)
        if found is None or found[1] != 2 or "\n" in found[0]:
            raise
        return REFUSED


def found_by_verify(copy: Path) -> None:
    """Fail unless clip-verify notices."""
    try:
        said = verify(copy)
    except InputError:
        return
    raise AssertionError(said)


def everything(folder: Path) -> object:
    """Return what the readers of a finished run make of it: figures, images, exports and a removal."""
    run = Results.open(folder)
    figures = run.counts.tolist(), run.rates.tolist(), run.languages, run.kept().to_pylist(), run.kept_counts().tolist()
    images = pa.Table.from_batches(run.matched(None)).to_pylist(), run.examples(range(len(run.counts)), None)
    made = folder.parent / "made"
    shutil.rmtree(made, ignore_errors=True)
    for name, form in (("huggingface", HuggingFace("run")), ("metaclip", MetaClip())):
        export(in_turn(), folder, made / name, form)
    remove_from_manifest(in_turn(), folder, Exclusion.of(domains=["no.example"]), made / "removed")
    written = bytes_of(made, without=("run.json",))
    return figures, images, run.facts["rows"], written


def online_epoch(folder: Path) -> object:
    """Return what an epoch of training keeps, of a folder with an index, its tars, and a run."""
    index = online.Index.open(folder / "index", folder / "tars")
    rates = read_rates(folder / "run" / "counts.parquet", index.metadata)
    return Epoch(index, rates, OnlineConfig(), 1).kept(range(int(index.first_blocks[-1]))).to_pylist()


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
