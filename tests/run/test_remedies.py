"""What clip-verify says to do about a damaged or foreign file makes the folder as it was, for each kind of folder."""

import re
import shutil
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.folders.descriptor import NAMES
from runtime.folders.verify import verify
from tests.support import folders
from tests.support.flips import bytes_of
from tests.support.folders import Folders
from tests.support.kept_work import DERIVED, TABLES

REMEDY = re.compile(r"was written: (?P<name>.+) is (damaged|missing|not of this folder); delete what is damaged or not")
OF_TIMES = ("times.json", "report.html", "run.json")
SLOW = pytest.mark.slow
RUNS = ["curated", "gated", "unique", pytest.param("built", marks=SLOW)]


@pytest.fixture(scope="session")
def made(tmp_path_factory, sample) -> Folders:
    return Folders(tmp_path_factory.mktemp("folders"), sample)


def run_again(made: Folders, name: str, folder: Path) -> None:
    """Run the command that made a folder, again."""
    make = getattr(folders, f"make_{name}", None)
    if make is None:
        folders.make_kept(folder, made, name)
    else:
        make(folder, made)


def largest_by_part(folder: Path) -> list[Path]:
    """Return the largest file of each part of a folder, but for descriptors, which make a folder complete."""
    by_part: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda each: each.stat().st_size):
        if path.is_file() and path.name not in NAMES:
            by_part[path.parent.name, path.suffix] = path.relative_to(folder)
    return [*by_part.values()]


@pytest.mark.parametrize("name", [*DERIVED, *TABLES, *RUNS])
def test_deleting_what_is_damaged_and_running_the_command_again_makes_the_folder_as_it_was(made, tmp_path, name):
    whole = bytes_of(made.of(name), OF_TIMES)
    for number, file in enumerate(largest_by_part(made.of(name))):
        folder = shutil.copytree(made.of(name), tmp_path / str(number) / name)
        data = bytearray((folder / file).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / file).write_bytes(data)
        with pytest.raises(InputError) as refused:
            verify(folder)
        found = REMEDY.search(str(refused.value))
        assert found, refused.value
        assert found["name"] == str(file)
        (folder / found["name"]).unlink()
        run_again(made, name, folder)
        assert bytes_of(folder, OF_TIMES) == whole, file
        verify(folder)
