"""The maps of the packages name every room, and that of curation states the import contract of setup.cfg."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PACKAGES = ("curation", "curation/plugins", "metadata", "runtime")


def section(package: str, heading: str = "") -> str:
    """Return a section of the map of a package, or what stands before the first one."""
    parts = re.split(r"^## (.*)$", (ROOT / package / "DESIGN.md").read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[0::2], strict=True))[heading]


def named(row: str) -> list[str]:
    """Return the names in code before the colon of an item of a list."""
    return re.findall(r"`([^`]+)`", row.partition(": ")[0])


def rooms(package: Path) -> set[str]:
    """Return the modules and folders of a package."""
    found = {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    return found | {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_map_names_every_room_once(package):
    rows = [row for row in section(package).splitlines() if row.startswith("- ")]
    on_map = [name for row in rows for name in named(row) if not name.endswith(".csv")]
    assert sorted(on_map) == sorted(rooms(ROOT / package))


def test_the_map_of_curation_states_the_floors_of_the_import_contract():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    layers = config["importlinter:contract:curation"]["layers"].split("\n")
    rows = [row for row in section("curation", "Which way imports go").splitlines() if re.match(r"\d+\. ", row)]
    floors = [re.findall(r"`([^`]+)`", row) for row in rows]
    assert floors == [re.findall(r"\w+", layer) for layer in layers if layer]
