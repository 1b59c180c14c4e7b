"""The set-up installs no package whose content is another than the lock names."""

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

NAME = "made_up-1.0-py3-none-any.whl"


def wheel(folder: Path, code: str) -> Path:
    """Make a wheel of one module."""
    facts = "made_up-1.0.dist-info"
    members = {
        "made_up.py": code,
        f"{facts}/METADATA": "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{facts}/RECORD": "",
    }
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return folder / NAME


@pytest.fixture
def set_up(tmp_path):
    """Run the set-up of a project whose lock names one wheel, without a network; return what it says and installs."""
    project, wheels = tmp_path / "project", tmp_path / "wheels"
    shutil.copytree(ROOT / ".ci", project / ".ci")
    (project / "requirements").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "requirements/program.txt"):
        (project / name).touch()
    digest = hashlib.sha256(wheel(wheels, "GOOD = True\n").read_bytes()).hexdigest()
    (project / "requirements" / "build.txt").write_text(f"made-up==1.0 \\\n    --hash=sha256:{digest}\n")

    def run() -> tuple[str, list[str]]:
        environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
        done = subprocess.run([project / ".ci" / "setup"], env=environment, capture_output=True, text=True, timeout=300)
        return done.stderr, [path.read_text() for path in project.glob(".venv/lib/python*/site-packages/made_up.py")]

    return run


@pytest.mark.slow
def test_a_wheel_with_the_hash_of_the_lock_is_installed_and_no_other(set_up, tmp_path):
    good = (tmp_path / "wheels" / NAME).read_bytes()
    wheel(tmp_path / "wheels", "GOOD = False\n")
    said, installed = set_up()
    assert installed == []
    assert "DO NOT MATCH THE HASHES" in said
    assert "pip could not install the packages" in said
    (tmp_path / "wheels" / NAME).write_bytes(good)
    assert set_up()[1] == ["GOOD = True\n"]


@pytest.mark.parametrize("file", [".ci/setup", "Dockerfile", "Makefile"])
def test_every_lock_is_installed_with_its_hashes(file):
    lines = [line for line in (ROOT / file).read_text().splitlines() if "-r " in line and "requirements/" in line]
    assert lines
    assert all("--require-hashes" in line for line in lines)


def test_nothing_that_is_read_can_run_code():
    """NumPy loads no pickles unless told to; those of an engine and of conditions go between own processes only."""
    forbidden = re.compile(r"^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill|cloudpickle|joblib)\b", re.M)
    calls = re.compile(r"allow_pickle\s*=\s*True|(?<![\w.])(?:eval|exec)\(|\byaml\.load\(|torch\.load\(")
    sources = [
        path for package in ("curation", "metadata", "runtime", "jobs") for path in (ROOT / package).rglob("*.py")
    ]
    assert len(sources) > 50
    loads = re.compile(r"np\.load\((?!.*allow_pickle=False)")
    found = [
        path.name
        for path in sources
        if forbidden.search(text := path.read_text("utf-8")) or calls.search(text) or loads.search(text)
    ]
    assert sorted(found) == ["local.py", "sql.py"]
