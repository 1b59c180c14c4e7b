"""Links between pages lead to files and headings that exist, and the pages that name files name files that exist."""

import re
from pathlib import Path

import pytest

from curation import schemas
from tests.support.checkout import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *(
        page
        for folder in ("docs", "notebooks", "curation", "metadata", "runtime", "tests")
        for page in ROOT.glob(f"{folder}/**/*.md")
    ),
]
PACKAGES = ("curation", "metadata", "runtime", "jobs", "tests")
DESIGNS = [page for page in PAGES if page.name == "DESIGN.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
OF_CODE = re.compile(r"^(```|~~~).*?^\1$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"`((?:curation|metadata|runtime|jobs|tests|docs)/[\w./]*)`")
MODULE = re.compile(r"`([\w/]+\.py)`")
MOST_WORDS = {"README.md": 1_000, "DESIGN.md": 1_500}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_that_exist(page):
    broken = []
    for link in LINK.findall(OF_CODE.sub("", page.read_text("utf-8"))):
        path, _, anchor = link.partition("#")
        if ":" in path or path.startswith("../../actions/"):  # of other hosts, and of the repository's own
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", [ROOT / "docs" / "explanation" / "where.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_pages_that_say_where_things_are_name_files_that_exist(page):
    text = page.read_text("utf-8")
    paths = PATH.findall(text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    beside = [module for module in MODULE.findall(text) if "/" not in module]  # in the folder of the path before it
    known = {path.name for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")}
    assert [module for module in beside if module not in known] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *DESIGNS], ids=name)
def test_pages_that_are_read_first_stay_short(page):
    assert len(page.read_text("utf-8").split()) < MOST_WORDS[page.name]


@pytest.mark.parametrize("page", DESIGNS, ids=name)
def test_designs_name_modules_that_exist(page):
    roots = [page.parent, *page.relative_to(ROOT).parents, ROOT / page.relative_to(ROOT).parts[0]]
    modules = MODULE.findall(page.read_text("utf-8"))
    assert [module for module in modules if not any((ROOT / root / module).exists() for root in roots)] == []


def test_every_page_of_docs_is_in_the_menu_of_the_site():
    menu = (ROOT / "docs" / "site" / "mkdocs.yml").read_text("utf-8")
    pages = [str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")]
    assert [page for page in pages if f" {page}\n" not in menu] == []


def test_the_map_of_curation_shows_the_columns_of_the_tables_of_a_run():
    section = (ROOT / "curation" / "DESIGN.md").read_text("utf-8").partition("## The tables of a run")[2]
    rows = re.findall(r"^\| `([A-Z]+)` \|[^|]*\|([^|]*)\|", section, re.MULTILINE)
    shown = {table: re.findall(r"`(\w+)`", columns) for table, columns in rows}
    tables = ("CANDIDATES", "PAIRS", "MATCHED", "COUNTS", "CURATED")
    assert shown == {table: getattr(schemas, table).names for table in tables}
