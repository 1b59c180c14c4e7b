"""The pages of docs/: their examples run and print what they show, and the reference of files names what is written."""

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curation.dataframes
import metadata as metadata_package
from curation import EntryCounts, Matching, Thresholds, draws, keep_probability, rates_of
from curation.image_ids import uids
from curation.schemas import GATE_REMOVED
from metadata import Entries
from tests.sample.wikipedias import write_dump
from tests.support.checkout import ROOT, of_a_user

DOCS = ROOT / "docs"
FILES = "\n".join(page.read_text("utf-8") for page in sorted((DOCS / "reference" / "files").glob("*.md")))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \| *([^|]*?) *\| *([^|]*?) *\|$", re.MULTILINE)
LISTS = {"en": "english", "ja": "japanese"}
JSON_TYPES = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": None,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder in which the pages' examples run, as in a checkout."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "jobs").symlink_to(ROOT / "jobs")
    if sys.version_info >= (3, 11):
        (folder / "metadata").mkdir()  # must not hide the package from Spark's workers
    write_dump(folder / "swwiki-latest-pages-articles.xml.bz2", "id")  # words of another language will do
    return folder


@pytest.fixture(scope="module")
def curated(folder) -> Path:
    """What the quick start wrote, as the page on t has left it."""
    follow("start/quick-start.md", folder)
    follow("how-to/choosing-t.md", folder)
    return folder / "curated"


@pytest.fixture(scope="module")
def metadata(folder) -> Path:
    """What the page on a new language wrote."""
    follow("start/new-language.md", folder)
    return folder / "my-metadata"


def follow(page: str, folder: Path, section: str = "") -> None:
    """Run the examples of a page, or of a section, from top to bottom; compare what they print with what it shows."""
    names, printed, here = {}, "", Path.cwd()
    text = (DOCS / page).read_text("utf-8")
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for language, block in BLOCK.findall(text):
        if language == "sh":
            printed = shell(block, folder)
        elif language == "text":
            assert words(block) in words(printed)
        else:
            os.chdir(folder)
            try:
                run_doctest(block, names, page) if ">>>" in block else exec(block, names)
            finally:
                os.chdir(here)


def shell(script: str, folder: Path) -> str:
    """Run a script as a reader with the virtual environment would; return what it said."""
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env=of_a_user(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def words(text: str) -> str:
    return " ".join(text.split())


def run_doctest(block: str, names: dict, page: str) -> None:
    said = []
    test = doctest.DocTestParser().get_doctest(block, names, page, None, None)
    results = doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert results.failed == 0, "".join(said)
    assert results.attempted


@pytest.mark.slow
def test_the_worked_example_of_a_gate_can_be_followed(folder):
    follow("how-to/gates.md", folder, "A worked example")
    rows = pq.read_table(folder / "gated" / "gated").to_pylist()
    assert ["our dog"] == [text["text"] for row in rows for text in row["candidates"] if "our" in text["text"]]


def test_the_first_manifest_can_be_followed_to_one_that_is_balanced(folder):
    follow("start/first-manifest.md", folder)


def test_the_quick_start_and_the_page_on_t_can_be_followed(curated):
    assert (curated / "report.html").is_file()
    assert json.loads((curated / "run.json").read_text())["parameters"]["target_size"] == 10


@pytest.mark.slow
def test_the_page_on_a_new_language_can_be_followed(metadata):
    assert json.loads((metadata / "metadata.json").read_text())["sources"]["sw"]["unigrams"] > 50


def test_the_library_keeps_the_rows_that_the_job_keeps(curated, folder):
    pairs = pd.read_csv(folder / "pairs.csv").dropna()
    lists = {code: (folder / f"{name}.txt").read_text().split() for code, name in LISTS.items()}
    entries = Entries.build(lists)
    found = Matching.of(entries).find(pairs["text"])
    counts = EntryCounts.zeros(len(entries), entries.digest).count(found["entries"])
    t = json.loads((curated / "thresholds.json").read_text())["languages"]["en"]["t"]
    thresholds = Thresholds.of(counts.by_language(entries.languages), t)
    probability = keep_probability(found["entries"], rates_of(counts.values, entries.languages, thresholds))
    kept = pairs[draws(0, "keep", uids(pairs["url"])) < probability]
    rows = pq.read_table(curated / "curated", columns=["url", "text"]).to_pylist()
    assert sorted(kept.itertuples(index=False, name=None)) == sorted((row["url"], row["text"]) for row in rows)


# --- the reference of files ---


@pytest.mark.parametrize("name", ["thresholds.json", "run.json"])
def test_the_fields_of_a_run_are_those_of_the_reference(curated, name):
    require_documented(json.loads((curated / name).read_text("utf-8")), name)


@pytest.mark.slow
def test_the_fields_of_metadata_are_those_of_the_reference(metadata):
    require_documented(json.loads((metadata / "metadata.json").read_text("utf-8")), "metadata.json")


@pytest.mark.parametrize("name", ["curated/00000.parquet", "matched/00000.parquet", "counts.parquet"])
def test_the_columns_of_a_run_are_those_of_the_reference(curated, name):
    assert columns(pq.read_schema(curated / name)) == documented_columns(name)


def test_the_columns_of_what_a_gate_removed_are_those_of_the_reference():
    assert columns(GATE_REMOVED) == documented_columns("gate_removed/")


@pytest.mark.slow
def test_the_columns_of_metadata_are_those_of_the_reference(metadata):
    assert columns(pq.read_schema(metadata / "entries.parquet")) == documented_columns("entries.parquet")


@pytest.mark.slow
def test_every_file_of_a_run_is_in_the_reference(curated, metadata):
    written = {path.name for output in (curated, metadata) for path in output.iterdir()}
    assert [name for name in sorted(written) if name not in FILES] == []


def documented(name: str) -> list[tuple[str, str, str]]:
    """The rows of the table about a file: name, type and meaning."""
    part = next(part for part in re.split(r"^##+ ", FILES, flags=re.MULTILINE) if part.startswith(name))
    return ROW.findall(part)


def documented_columns(name: str) -> list[tuple[str, str]]:
    return [(column, type) for column, type, _ in documented(name)]


def columns(schema: pa.Schema) -> list[tuple[str, str]]:
    return [pair for field in schema for pair in _columns(field.name, field.type)]


def _columns(name: str, type: pa.DataType) -> list[tuple[str, str]]:
    if pa.types.is_list(type) and pa.types.is_struct(type.value_type):
        inner = [pair for field in type.value_type for pair in _columns(f"{name}[].{field.name}", field.type)]
        return [(name, "list<struct>"), *inner]
    return [(name, f"list<{type.value_type}>" if pa.types.is_list(type) else str(type))]


def require_documented(facts: dict, name: str) -> None:
    """Assert that each field has a row of its type, and each row a field unless it, or one above it, may lack.

    An object needs no row if a field in it has one, and neither do items of an array that has one. The page on folders
    has the fields that all descriptors have, which have a `kind`.
    """
    rows = documented(name) + (documented("The descriptor") if "kind" in facts else [])
    types_of = [(pattern(field), type) for field, type, _ in rows]
    implied = [pattern(field) for row, _, _ in rows for field in [*above(row), f"{row}[]"]]
    found = list(fields(facts))
    for field, value in found:
        rows_of = [(known.pattern.endswith(".+"), type) for known, type in types_of if known.fullmatch(field)]
        types = [type for rest, type in rows_of if rest == min(rows_of)[0]]  # a row of its own, or else `.*`
        assert types or any(known.fullmatch(field) for known in implied), (
            f"{name} has a field {field}, which docs/reference/files do not name"
        )
        assert not types or "" in types or any(is_of(value, type) for type in types), f"{field} is {value!r}: {types}"
    may_lack = tuple(field for field, _, meaning in rows if meaning.startswith(("With", "Where")))
    below = tuple(field + mark for field in may_lack for mark in ".[")
    always = [field for field, _, _ in rows if field not in may_lack and not field.startswith(below)]
    assert [field for field in always if not any(pattern(field).fullmatch(known) for known, _ in found)] == []


def above(field: str) -> list[str]:
    """Return the objects and arrays that a field is in: of `a.b[].c` these are `a`, `a.b` and `a.b[]`."""
    return [field[: mark.start()] for mark in re.finditer(r"\.|\[\]", field) if mark.start()] + [
        field[: mark.end()] for mark in re.finditer(r"\[\]", field) if mark.end() < len(field)
    ]


def pattern(field: str) -> re.Pattern:
    below, field = field.endswith(".*"), field.removesuffix(".*")
    return re.compile(re.sub(r"\\\{\w+\\\}", r"[^.\\[]+", re.escape(field)) + (r"\..+" if below else ""))


def fields(value, name: str = ""):
    """Yield path and value of each field; the items of an array are one field."""
    inner = value.items() if isinstance(value, dict) else [("[]", each) for each in value]
    for key, each in inner:
        path = f"{name}{key}" if key == "[]" else f"{name}.{key}".removeprefix(".")
        yield path, each
        if isinstance(each, dict | list):
            yield from fields(each, path)


def is_of(value, types: str) -> bool:
    expected = [JSON_TYPES[type] for type in types.split(" or ")]
    return any(value is None if type is None else isinstance(value, type) for type in expected)


# --- the reference of names ---


@pytest.mark.parametrize("package", [curation, curation.dataframes, metadata_package], ids=lambda each: each.__name__)
def test_every_public_name_is_on_a_page(package):
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "reference" / "api").glob("*.md"))
    named = {part for name in re.findall(r"^::: ([\w.]+)$", pages, re.MULTILINE) for part in name.split(".")}
    assert sorted(set(package.__all__) - named) == []
