"""What a command keeps of one that broke off is compared first: what is damaged is made again, with the same bytes."""

import random
import shutil
from functools import partial
from pathlib import Path

import pytest

from curation.run.verify import verify
from metadata import InputError
from tests.support.flips import SILENT, Kind, bytes_of, found_by_verify, outcomes
from tests.support.in_turn import in_turn
from tests.support.kept_work import DERIVED, FILES, TABLES, Inputs, broken_off


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"))


def gone_on(inputs: Inputs, name: str, folder: Path) -> dict[str, str]:
    inputs.make(name, in_turn(), folder)
    return bytes_of(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", DERIVED)
def test_damage_of_what_is_kept_is_made_again(inputs, tmp_path, name):
    folder = broken_off(partial(inputs.make, name), tmp_path)
    answer = partial(gone_on, inputs, name)
    assert answer(shutil.copytree(folder, tmp_path / "whole")) == bytes_of(tmp_path / "quiet")
    for files in FILES:
        if any(folder.glob(files)):
            found = outcomes(folder, Kind(f"{name}: {files}", files, answer), 4, tmp_path)
            assert found[SILENT] == 0, files


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_made_again(inputs, tmp_path, name):
    inputs.make(name, in_turn(), tmp_path / "out")
    for files in ("*.parquet", "_*.json"):
        kind = Kind(f"{name}: {files}", files, partial(gone_on, inputs, name))
        found = outcomes(tmp_path / "out", kind, 4, tmp_path, found_by_verify)
        assert found[SILENT] == 0


@pytest.mark.parametrize("name", [*DERIVED, *TABLES])
def test_a_whole_folder_is_verified(inputs, tmp_path, name):
    inputs.make(name, in_turn(), tmp_path / "out")
    assert verify(tmp_path / "out").endswith("files are as they were written")
    outcomes(tmp_path / "out", Kind(name, "**/*", lambda folder: None), 6, tmp_path, found_by_verify)


def test_what_is_missing_or_not_of_a_folder_is_named_with_what_to_do(inputs, tmp_path):
    inputs.make("webdataset", in_turn(), tmp_path / "out")
    (tmp_path / "out" / "00001.tar").rename(tmp_path / "out" / "mine.tar")
    with pytest.raises(InputError, match="00001.tar is missing, mine.tar is not of this run; make the folder again"):
        verify(tmp_path / "out")
    inputs.make("hashes", in_turn(), tmp_path / "hashes")
    table = random.Random(0).choice(sorted((tmp_path / "hashes").glob("*.parquet")))
    shutil.copy(table, tmp_path / "hashes" / "mine.parquet")
    table.unlink()
    with pytest.raises(InputError, match=f"{table.name} is missing, mine.parquet is not of this run; delete what is"):
        verify(tmp_path / "hashes")
