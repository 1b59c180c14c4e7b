"""The page of languages has a row for each, with names of other programs that are theirs."""

import importlib.util
import json

import pytest

from curation.language.engines import Identifier
from curation.language.fasttext_file import ModelFile
from metadata.languages import LANGUAGES
from tests.support.checkout import ROOT


@pytest.fixture(scope="module")
def languages():
    """The module that makes the page."""
    spec = importlib.util.spec_from_file_location("languages_page", ROOT / "docs" / "site" / "languages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_language_has_a_row_of_as_many_cells(languages):
    rows = [row for row in languages.page().splitlines() if row.startswith("| ")]
    assert [row.split("|")[1].strip(" `") for row in rows[2:]] == [language.code for language in LANGUAGES]
    assert {row.count("|") for row in rows} == {rows[0].count("|")}


def test_a_row_says_what_other_programs_call_the_language(languages):
    [row] = [row for row in languages.page().splitlines() if row.startswith("| `th` ")]
    assert [cell.strip() for cell in row.split("|")[1:8]] == [
        "`th`", "Thai", "`th`", "`tha`", "`th`", "**`tha_Thai`**", "ICU, dictionary"
    ]  # fmt: skip


def test_the_labels_of_lid176_are_those_of_the_model(languages):
    shown = {label for language in LANGUAGES for label in languages.of_lid176(language)}
    assert shown == {label.text.removeprefix("__label__") for label in ModelFile.open(Identifier.open().path).labels()}


def test_what_is_taken_of_a_build_is_what_the_page_reads(languages):
    taken = languages.take({"name": "clip-metadata-undated-00000000", "languages": {"th": 5}, "entries": 5}, "make it")
    assert taken.keys() == json.loads(languages.ENTRIES.read_text("utf-8")).keys()
