"""The wheel brings the commands and data files, and a folder `metadata/` where a user works hides nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

COMMANDS = (
    "clip-metadata",
    "clip-curate",
    "clip-export",
    "clip-remove",
    "clip-hash",
    "clip-align",
    "clip-cluster",
    "clip-score",
    "clip-verify",
)
JOBS = {"build_metadata": "clip-metadata", "curate": "clip-curate"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what the wheel of this checkout installs."""
    checkout, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("checkout", "wheels", "installed"))
    for name in ("curation", "metadata", "runtime"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, checkout], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--target", folder, *wheels.glob("*.whl")], check=True)
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Run a command of the wheel beside a folder `metadata/`, the result of a build; return what it prints."""
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "entries.parquet").touch()

    def started(*command) -> str:
        environment = os.environ | {"PYTHONPATH": str(installed), "PATH": f"{installed / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    return started


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_the_wheel_brings_the_commands(run, command):
    assert f"usage: {command}" in run(command, "--help")


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_a_job_works_copied_alone(run, job, tmp_path):
    shutil.copy(ROOT / "jobs" / f"{job}.py", tmp_path)
    name = JOBS[job]
    assert f"usage: {name} " in run(sys.executable, f"{job}.py", "--help")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_one_job_runs_any_command(run, command, tmp_path):
    shutil.copy(ROOT / "jobs" / "run.py", tmp_path)
    assert f"usage: {command} " in run(sys.executable, "run.py", command, "--help")


@pytest.mark.slow
def test_a_folder_called_metadata_hides_no_package(run, installed):
    code = "from metadata import Entries; import metadata; print(metadata.__file__)"
    assert run(sys.executable, "-c", code).strip() == str(installed / "metadata" / "__init__.py")


def test_data_files_come_with_the_packages(installed):
    here = {
        path.relative_to(ROOT) for name in ("curation", "metadata", "runtime") for path in (ROOT / name).rglob("*.*")
    }
    data = {path for path in here if path.suffix not in (".py", ".pyc", ".md", ".nbc", ".nbi")}
    assert len(data) > 3
    assert [path for path in sorted(data) if not (installed / path).exists()] == []


@pytest.mark.parametrize("job", [*JOBS, "run"])
def test_a_job_says_what_is_missing(job, tmp_path):
    shutil.copy(ROOT / "jobs" / f"{job}.py", tmp_path)
    bare = [sys.executable, "-S", "-E", f"{job}.py"]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "clip-curation is not installed in" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["clip-nothing"]])
def test_a_job_for_any_command_says_which_there_are(arguments):
    job = [sys.executable, str(ROOT / "jobs" / "run.py"), *arguments]
    done = subprocess.run(job, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "give one of clip-align, clip-cluster" in done.stderr
