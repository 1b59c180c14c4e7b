"""Runs of commands whose inputs are on a Hub on this machine."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.checkout import ROOT, of_a_user
from tests.support.hub_server import SIGNATURE, TOKEN
from tests.support.spark_jobs import run_here

LISTS = {"en": ["dog", "cat", "photo of", "red house"], "de": ["Hund", "Katze"]}
TEXTS = ("a photo of a dog", "a cat in a red house", "ein Hund und eine Katze", "nothing at all")


def tables(files: int = 4, rows: int = 500) -> dict[str, bytes]:
    """Return Parquet files of pairs with ten columns, by name."""
    return {f"data/{number:05}.parquet": _table(number, rows) for number in range(files)}


def _table(number: int, rows: int) -> bytes:
    ids = [number * rows + row for row in range(rows)]
    columns = {
        "uid": [f"{each * 0x9E3779B97F4A7C15 % 2**128:032x}" for each in ids],
        "url": [f"https://e.example/{each}.jpg" for each in ids],
        "text": [TEXTS[each % len(TEXTS)] for each in ids],
        "original_width": [each % 900 for each in ids],
        **{f"score_{more}": [each / (more + 1) for each in ids] for more in range(6)},
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=max(1, rows // 2))
    return sink.getvalue()


def entries(folder: Path) -> list[str]:
    """Write the entries of LISTS; return the values of --entries."""
    for code, strings in LISTS.items():
        (folder / f"{code}.txt").write_text("".join(f"{each}\n" for each in strings), encoding="utf-8")
    return [f"{code}={folder / f'{code}.txt'}" for code in LISTS]


def written(files: dict[str, bytes], folder: Path) -> Path:
    """Write the files below a folder; return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Searched:
    """Places that are searched for the token of the user and the signature of the store: files, lines, processes."""

    def __init__(self) -> None:
        self.places: set[str] = set()
        self.with_secret: set[str] = set()

    def folder(self, folder: Path) -> None:
        """Search the files below a folder."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self._search(str(path), path.read_bytes())

    def lines(self, name: str, text: str) -> None:
        """Search the lines of a text."""
        for number, line in enumerate(text.splitlines()):
            self._search(f"{name}, line {number}", line.encode())

    def while_running(self, program: subprocess.Popen, mark: str) -> str:
        """Search all processes whose environment has `mark`, until a program ends, and what it printed."""
        with ThreadPoolExecutor(1) as pool:
            printed = pool.submit(program.communicate, timeout=600)
            while not printed.done():
                for process in Path("/proc").glob("[0-9]*"):
                    with suppress(OSError):  # it has ended
                        if mark.encode() in (process / "environ").read_bytes():
                            for part in ("environ", "cmdline"):
                                self._search(f"{process}/{part}", (process / part).read_bytes())
                time.sleep(0.3)
        text: str = printed.result()[0]
        self.lines(f"{program.args}", text)
        return text

    def _search(self, place: str, content: bytes) -> None:
        self.places.add(place)
        if TOKEN.encode() in content or SIGNATURE.encode() in content:
            self.with_secret.add(place)


def started(*arguments: object, **environment: str) -> subprocess.Popen:
    """Start a command on processes of this machine, as a user does."""
    with_pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "jobs/run.py", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=of_a_user(**environment), **with_pipe)


def ran(*arguments: object, status: int = 0) -> str:
    """Run a command in this process to its end with this status, as one that knows nothing yet; return what it says."""
    forget()
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        ended = run_here("jobs/run.py", *arguments)
    assert ended == status, said.getvalue()
    return said.getvalue()


def forget() -> None:
    """Forget what this process knows of the Hub."""
    from curation.plugins.hub import hub_files  # here, as the client may not be installed

    hub_files._infos.clear()
    hub_files._commit.cache_clear()
