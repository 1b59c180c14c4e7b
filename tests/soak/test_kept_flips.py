"""A flipped bit in what a command keeps of one that broke off: made again, or refused; and `clip-verify` finds all.

The table that is printed at the end says how often. `tests/run/test_kept_damage.py` is the short form.
"""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.support import flips as by_flips
from tests.support.flips import Kind, bytes_of, found_by_verify
from tests.support.in_turn import in_turn
from tests.support.kept_work import DERIVED, FILES, TABLES, Inputs, broken_off

pytestmark = pytest.mark.soak

FLIPS = 300


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def table():
    lines: dict[str, Counter] = {}
    yield lines
    print(by_flips.printed(lines))


def gone_on(inputs: Inputs, name: str, folder: Path) -> dict[str, str]:
    inputs.make(name, in_turn(), folder)
    return bytes_of(folder)


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_kept_of_a_command_that_broke_off(inputs, table, tmp_path, name):
    folder = broken_off(partial(inputs.make, name), tmp_path)
    for files in FILES:
        if any(folder.glob(files)):
            kind = Kind(f"{name}: {files}, gone on with", files, partial(gone_on, inputs, name))
            table[kind.name] = by_flips.none_silent(folder, kind, FLIPS, tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_gone_on_with(inputs, table, tmp_path, name):
    inputs.make(name, in_turn(), tmp_path / "out")
    for files in ("*.parquet", "_*.json"):
        kind = Kind(f"{name}: {files}, gone on with", files, partial(gone_on, inputs, name))
        table[kind.name] = by_flips.none_silent(tmp_path / "out", kind, FLIPS, tmp_path)


@pytest.mark.parametrize("name", [*DERIVED, *TABLES])
def test_whole_folders(inputs, table, tmp_path, name):
    inputs.make(name, in_turn(), tmp_path / "out")
    kind = Kind(f"{name}: all files, verified", "**/*", lambda folder: None)
    table[kind.name] = by_flips.outcomes(tmp_path / "out", kind, FLIPS, tmp_path, found_by_verify)
