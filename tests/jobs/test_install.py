"""The wheel brings the commands and data files, and a folder `metadata/` where a user works hides nothing."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packaging.requirements import Requirement

from tests.support.checkout import ROOT, of_a_user

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


def needed(package: Distribution, extras: tuple[str, ...] = ("",)) -> Iterator[Distribution]:
    """Yield a package, and all that it needs for these extras, some more than once."""
    yield package
    for requirement in map(Requirement, package.requires or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield from needed(distribution(requirement.name), tuple(requirement.extras) or ("",))


@pytest.fixture(scope="module")
def plain(installed, tmp_path_factory) -> Path:
    """The folder of commands of an environment that has the wheel with the extra `starter`, and no other extra."""
    folder = tmp_path_factory.mktemp("plain")
    venv.create(folder)
    bin, packages = folder / "bin", next(folder.glob("lib/python*/site-packages"))
    (own,) = distributions(name="clip-curation", path=[str(installed)])
    for package in {each.name: each for each in needed(own, ("", "starter")) if each is not own}.values():
        for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (packages / name).symlink_to(Path(str(package.locate_file(name))))
    (packages / "wheel.pth").write_text(f"{installed}\n")
    for command in COMMANDS:
        (bin / command).write_text(re.sub("^#!.*", f"#!{bin / 'python'}", (installed / "bin" / command).read_text()))
        (bin / command).chmod(0o755)
    for path in (path for path in ROOT.glob("*/**/__pycache__/*") if path.suffix in ("", ".nbi", ".nbc")):
        if (source := installed / path.relative_to(ROOT).parent.parent).is_dir():  # what is compiled need not be again
            (source / "__pycache__").mkdir(exist_ok=True)
            shutil.copy(path, source / "__pycache__")
    return bin


@pytest.fixture
def work(sample, tmp_path) -> Path:
    """A folder with what README and the start pages take as inputs."""
    pq.write_table(pa.table({"url": ["http://a.example/1.jpg"], "text": ["the dog"]}), tmp_path / "pairs.parquet")
    shutil.copy(tmp_path / "pairs.parquet", tmp_path / "animals.parquet")
    for name, source in {
        "wordnets": "wordnet",
        "dumps": "wikipedia",
        "pageviews": "pageviews",
        "crawl": "crawl",
    }.items():
        (tmp_path / name).symlink_to(sample / source)
    dump = next((sample / "wikipedia").rglob("*.xml.bz2"))
    (tmp_path / "swwiki-latest-pages-articles.xml.bz2").symlink_to(dump)
    (tmp_path / "swahili.txt").write_text("mbwa\n")
    (tmp_path / "english.txt").write_text("dog\n")
    (tmp_path / "japanese.txt").write_text("犬\n")
    (tmp_path / "pairs.csv").write_text("url,text\nhttp://a.example/1.jpg,the dog\n")
    return tmp_path


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


BLOCK = re.compile(r"^```sh\n(.*?)^```$|((?:^    [^\n]*\n)+)", re.DOTALL | re.MULTILINE)
START = [ROOT / "README.md", *sorted((ROOT / "docs" / "start").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("page", START, ids=lambda page: page.stem)
def test_the_commands_of_the_first_pages_run_without_extras(plain, work, page):
    blocks = "".join(map("".join, BLOCK.findall(page.read_text("utf-8"))))
    lines = re.findall(r"^ *(clip-[a-z]+ (?:.*\\\n)*.*)$", blocks, re.M)
    assert lines
    environment = of_a_user(PATH=f"{plain}:/usr/bin:/bin", XDG_CACHE_HOME=str(work / "home"))
    for line in (line for line in lines if "--download" not in line):
        line = line.replace("--metadata metadata ", "")  # starter metadata, as the page allows
        line = line.replace("--output curated", "--output curated --overwrite")  # README's runs write into one folder
        done = subprocess.run(["sh", "-c", line], cwd=work, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        needs_pictures = "--status images" in line or "--tars images" in line
        assert done.returncode == (2 if needs_pictures else 0), f"{line}\n{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "package", "extra"),
    [
        (["--input", "table:web.pairs"], "pyspark", "spark"),
        (["--master", "local"], "pyspark", "spark"),
        (["--images", "animals.parquet", "--keep", "text <> ''"], "duckdb", "conditions"),
    ],
)
def test_one_sentence_names_the_extra_that_is_missing(plain, work, flags, package, extra):
    command = [plain / "clip-curate", "--input", "pairs.parquet", "--entries", "en=english.txt", "--output", "out"]
    environment = of_a_user(PATH=f"{plain}:/usr/bin:/bin", XDG_CACHE_HOME=str(work / "home"))
    done = subprocess.run([*command, *flags], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1] == f"clip-curate: {package} is not installed: pip install 'clip-curation[{extra}]'"
    )
