"""What clip-verify says to do about a damaged or foreign file makes the folder as it was, for each kind of folder."""

import shutil
from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.folders.descriptor import name_of_descriptor
from runtime.folders.verify import verify
from tests.support import folders
from tests.support.flips import bytes_of
from tests.support.folders import Folders
from tests.support.kept_work import DERIVED, TABLES

REMEDY = "delete the files that are damaged or not of this folder, and run the same .* command again"
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
    """Return the largest file of each part of a folder, but for its descriptor, which makes the folder complete."""
    by_part: dict[tuple[str, str], Path] = {}
    descriptor = name_of_descriptor({path.name for path in folder.iterdir()})
    for path in sorted(folder.rglob("*"), key=lambda each: each.stat().st_size):
        if path.is_file() and path != folder / str(descriptor):
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
        with pytest.raises(InputError, match=REMEDY) as refused:
            verify(folder)
        assert f"{file} is damaged" in str(refused.value)
        (folder / file).unlink()
        run_again(made, name, folder)
        assert bytes_of(folder, OF_TIMES) == whole, file
        verify(folder)
