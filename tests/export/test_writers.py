"""Of several that write into one folder at once, one writes it and the others are refused, whatever they are."""

import subprocess
import sys
from pathlib import Path

import pytest

from curation.exclusion import Exclusion
from curation.plugins.export.datacomp import DataComp
from curation.plugins.export.formats import export
from curation.plugins.export.removal import remove_from_manifest
from metadata import InputError
from runtime.folders.descriptor import DESCRIPTOR
from runtime.folders.ownership import owned
from runtime.storage.paths import names
from tests.support.checkout import ROOT
from tests.support.in_turn import in_turn

PROGRAM = """
import sys
from curation.exclusion import Exclusion
from curation.plugins.export.formats import export, forms
from curation.plugins.export.removal import remove_from_manifest
from runtime.folders.descriptor import DESCRIPTOR
from metadata import InputError
from tests.support.in_turn import in_turn
kind, source, to = sys.argv[1:]
sys.stdin.read(1)
try:
    if kind == "remove":
        remove_from_manifest(in_turn(), source, Exclusion.of(domains=["nowhere.example"]), to)
    else:
        export(in_turn(), source, to, forms()[0][kind](), overwrite=True)
except InputError as error:
    print(error)
    raise SystemExit(2)
"""
MADE = {
    "remove": {"curated", "removed", "run.json", "counts.parquet"},
    "datacomp": {"uids.npy"},
    "huggingface": {"README.md", "croissant.json", "data", "entries", "funnel.svg"},
}


KEPT_OUT = ("another run is writing to", "made differently", "that another command has begun", "did not write")


def start(kind: str, source: Path, to: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM, kind, str(source), str(to)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds",
    [
        ("remove", "huggingface"),
        pytest.param(("remove", "remove"), marks=pytest.mark.soak),
        pytest.param(("huggingface", "datacomp"), marks=pytest.mark.soak),
    ],
)
def test_two_that_begin_at_once_leave_what_one_of_them_makes(run, tmp_path, kinds):
    for turn in range(2):
        target = tmp_path / f"out{turn}"
        processes = [start(kind, run.path, target) for kind in kinds]
        for process in processes:
            process.stdin.write("x")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[0] for process in processes]
        status = [process.returncode for process in processes]
        assert 0 in status
        for code, sentence in zip(status, said, strict=True):
            assert code == 0 or any(each in sentence for each in KEPT_OUT)
        assert names(target) - {DESCRIPTOR} in [MADE[kind] for kind in kinds]
        assert names(tmp_path) <= {"run", *(f"out{each}" for each in range(turn + 1))}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_into_which_a_run_is_writing_is_refused(run, tmp_path, overwrite):
    with owned(tmp_path / "out"):
        with pytest.raises(InputError, match="another run is writing to"):
            export(in_turn(), run.path, tmp_path / "out", DataComp(), overwrite=overwrite)
        with pytest.raises(InputError, match="another run is writing to"):
            remove_from_manifest(in_turn(), run.path, Exclusion.of(), tmp_path / "out")
    assert names(tmp_path) == {"run"}
