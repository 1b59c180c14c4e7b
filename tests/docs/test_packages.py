"""What docs and messages advise to install is what the extras of setup.cfg name."""

import re
import sys
from configparser import ConfigParser

import pytest

from runtime import packages
from tests.support.checkout import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.md")]
PACKAGE = re.compile(r"'([a-zA-Z][\w.-]*(?:\[\w+\])?(?:[<>=]=?[\w.,<>=]+)?)'")


GUIDES = [ROOT / "README.md", *ROOT.glob("docs/start/*.md"), *ROOT.glob("docs/how-to/*.md")]
EXAMPLE = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)
IMPORT = re.compile(r"^(?:>>> |\.\.\. )? *(?:import|from) (\w+)", re.MULTILINE)
NAME = re.compile(r"[\w.-]+")
OWN = {"curation", "metadata", "runtime"}
PACKAGE_OF = {"PIL": "pillow", "open_clip_train": "open_clip_torch", "streaming": "mosaicml-streaming"}  # by module


def of_setup() -> dict[str, list[str]]:
    """Return what each extra requires, as setup.cfg says it."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return {
        name: [line for line in value.split("\n") if line and not line.startswith("#")]
        for name, value in config["options.extras_require"].items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_packages_of_the_extras_with_their_bounds(page):
    extras = of_setup()
    known = {f"clip-curation[{name}]" for name in extras} | {each for packages in extras.values() for each in packages}
    for line in re.findall(r"pip install ([^\n]*)", page.read_text("utf-8")):
        advised = line.partition("`: ")[0]
        assert {each for each in PACKAGE.findall(advised) if re.search(r"[<>=\[]", each)} <= known


def names_of(requirements: str) -> set[str]:
    """Return the names of the packages in lines of setup.cfg, without bounds and extras."""
    return {NAME.match(line)[0] for line in requirements.split("\n") if line and not line.startswith("#")}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_what_a_page_imports_comes_with_what_it_says_to_install(page):
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    text = page.read_text("utf-8")
    installed = names_of(config["options"]["install_requires"])
    for line in re.findall(r"pip install ([^\n`]*)", text):
        installed |= {*NAME.findall(line)}
        for extra in re.findall(r"clip-curation\[(\w+)\]", line):
            installed |= names_of(config["options.extras_require"][extra])
    imported = {*IMPORT.findall("\n".join(EXAMPLE.findall(text)))} - sys.stdlib_module_names - OWN
    assert {PACKAGE_OF.get(module, module) for module in imported} <= installed


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_no_page_advises_to_install_the_project_over_an_editable_installation(page):
    assert not re.search(r"pip install [^\n`]*\.\[", page.read_text("utf-8"))


@pytest.mark.parametrize("package", [name for name, extra in packages._EXTRAS.items() if extra])
def test_a_message_names_an_extra_that_there_is(package):
    said = packages.missing_package(f"No module named '{package}'")
    extra = re.fullmatch(rf"{package} is not installed: pip install 'clip-curation\[(\w+)\]'", said)
    assert extra is not None
    assert extra[1] in of_setup()


def test_what_no_extra_brings_is_named_itself_and_what_is_no_package_not_at_all():
    assert packages.missing_package("No module named 'gcsfs'") == "gcsfs is not installed: pip install gcsfs"
    assert packages.missing_package("No module named 'numbers'") is None
