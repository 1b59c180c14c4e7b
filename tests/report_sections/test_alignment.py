"""Classes of evaluation sets are counted in pool and manifest as the definitions say."""

import json
from math import log
from random import Random
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.plugins.report_sections import alignment as align
from curation.plugins.report_sections.alignment import (
    Classes,
    count_classes,
    divergence,
    finders_of,
    main,
    read_classes,
)
from metadata import Entries
from runtime.errors import InputError
from tests.naive.alignment import naive_divergence, naive_named
from tests.support.in_turn import in_turn
from tests.support.written_run import write_run

FORMS = [["dog", "hound"], ["Cat"], ["hot dog"], ["crane"], ["crane"], ["東京", "犬"], ["unseen"]]
CLASSES = Classes(tuple(names[0] for names in FORMS), tuple(map(tuple, FORMS)))
WORDS = ["dog", "Dog", "hound", "CAT", "hot", "crane", "cranes", "東京", "犬", "É", "x"]


@pytest.mark.parametrize("rules", ["unicode", "meta"])
def test_texts_that_name_a_class_are_counted_as_the_definition_says(rules):
    random = Random(0)
    texts = [" ".join(random.choices(WORDS, k=random.randrange(6))) for _ in range(400)]
    languages = random.choices(["en", "de", None], k=len(texts))
    rows = pa.array(texts), pa.array(languages)
    cuts = [(0, 100), (100, 0), (100, 300)]
    batches = [tuple(column.slice(begin, size) for column in rows) for begin, size in cuts]
    counts = count_classes(batches, finders_of((("en", CLASSES), ("ja", CLASSES)), rules))
    named = [naive_named(text, FORMS, rules) for text, code in zip(texts, languages, strict=True) if code == "en"]
    assert counts["en"][2:].tolist() == [sum(number in each for each in named) for number in range(len(FORMS))]
    assert counts["en"][:2].tolist() == [languages.count("en"), sum(map(bool, named))]
    assert not counts["ja"].any()


def test_a_null_text_names_nothing():
    counts = count_classes(
        [(pa.array([None, "a dog"]), pa.array(["en", "en"]))], finders_of((("en", CLASSES),), "unicode")
    )
    assert counts["en"][2:].tolist() == [1, 0, 0, 0, 0, 0, 0]


@given(st.lists(st.integers(0, 50), max_size=8))
def test_the_divergence_is_that_of_the_definition(counts):
    expected = naive_divergence(counts)
    assert divergence(np.array(counts, np.int64)) == (expected and pytest.approx(expected, abs=1e-12))


def test_classes_come_from_json_or_lines_with_several_names_each(tmp_path):
    forms = {
        "list.json": json.dumps(["dog", ["big cat", "lion"]]),
        "object.json": json.dumps({"dog": "dog", "big cat": ["big cat", "lion"]}),
        "lines.txt": "dog\n\nbig cat | lion\n",
    }
    for name, content in forms.items():
        (tmp_path / name).write_text(content, "utf-8")
        expected = Classes(("dog", "big cat"), (("dog",), ("big cat", "lion")))
        assert read_classes([f"en={tmp_path / name}"]) == {"en": expected}
    (tmp_path / "templates").write_text("a {}\nthe {} here\n")
    found = read_classes([f"en={tmp_path / 'lines.txt'}"], [f"en={tmp_path / 'templates'}"])["en"]
    assert found.forms == (("a dog", "the dog here"), ("a big cat", "a lion", "the big cat here", "the lion here"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "does not have any classes"),
        ("[]", "does not have any classes"),
        ("[1]", "names are not strings"),
        ('{"a": []}', "class 'a' whose names are not strings"),
        ("[", "begins like JSON, but is not valid JSON"),
        ("a || b", "names are not strings"),
        (b"\xff", "is not UTF-8 at byte 0"),
    ],
)
def test_a_file_without_usable_classes_is_refused(tmp_path, content, fault):
    (tmp_path / "classes").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=fault):
        read_classes([f"en={tmp_path / 'classes'}"])


@pytest.mark.parametrize(
    ("arguments", "templates", "fault"),
    [
        (["words.txt"], [], "write LANGUAGE=FILE"),
        (["en={}", "en={}"], [], "classes of en are given twice"),
        (["xx={}"], [], "'xx' is not the code of a metadata language"),
        (["en=none"], [], "cannot read none"),
        (["en={}"], ["en={}"], "the template 'dog' of en has no {} in the place of the name"),
        (["en={}"], ["de={template}"], "templates of de but no classes"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(tmp_path, arguments, templates, fault):
    (tmp_path / "classes").write_text("dog\n")
    (tmp_path / "template").write_text("a {}\n")
    paths = {"{}": str(tmp_path / "classes"), "{template}": str(tmp_path / "template")}

    def filled(argument: str) -> str:
        for mark, path in paths.items():
            argument = argument.replace(mark, path)
        return argument

    with pytest.raises(InputError, match=fault.replace("{", r"\{")):
        read_classes([*map(filled, arguments)], [*map(filled, templates)])


@pytest.fixture(autouse=True)
def _without_spark(monkeypatch):
    """Let the command run its tasks in this process."""
    monkeypatch.setattr(align, "engine_for", lambda args, name: in_turn())


@pytest.fixture
def run(tmp_path):
    """A run in which balancing keeps every cat, and few of the dogs."""
    images = [[("a dog", "en", [0])]] * 900 + [[("a cat", "en", [1])]] * 30 + [[("Ein Hund", "de", [2])]] * 5
    return write_run(tmp_path / "run", Entries.build({"en": ["dog", "cat"], "de": ["Hund"]}), images, t=30)


def test_the_command_shows_and_writes_how_balancing_changes_the_classes(run, tmp_path, capsys):
    (tmp_path / "en.txt").write_text("dog\ncat\naxolotl\n")
    (tmp_path / "de.json").write_text('["Hund"]')
    files = [f"en={tmp_path / 'en.txt'}", f"de={tmp_path / 'de.json'}"]
    main([str(run), "--classes", *files, "--output", str(tmp_path / "out")])
    said = capsys.readouterr().out.splitlines()
    assert said[0].split("  ")[0] == "language"
    assert [line.split(")")[0] for line in said[1:]] == ["English (en", "German (de"]
    english = json.loads((tmp_path / "out" / "alignment.json").read_text())["languages"]["en"]
    assert english["found"] == {"pool": 2, "manifest": 2}
    assert [(each["class"], each["pool"]) for each in english["counts"]] == [("dog", 900), ("cat", 30), ("axolotl", 0)]
    dogs, cats = (each["manifest"] for each in english["counts"][:2])
    assert cats == 30
    assert 10 < dogs < 60
    assert english["divergence"]["pool"] == pytest.approx(log(2) + 30 / 31 * log(30 / 31) + log(1 / 31) / 31)
    assert english["divergence"]["manifest"] < 0.2 < english["divergence"]["pool"]
    drawn = ElementTree.parse(tmp_path / "out" / "alignment.svg").getroot()
    assert len(drawn.findall("{*}svg/{*}svg")) == 2
    assert len(drawn.findall(".//{*}polyline")) == 4
    assert [text.text for text in drawn.findall(".//{*}text")].count("manifest") == 2


def test_a_run_that_names_no_class_has_figures_all_the_same(run, tmp_path, capsys):
    (tmp_path / "de.txt").write_text("犬\n", "utf-8")
    main([str(run), "--classes", f"de={tmp_path / 'de.txt'}", "--output", str(tmp_path / "out")])
    assert capsys.readouterr().out.splitlines()[-1].split()[-2:] == ["–", "–"]
    ElementTree.parse(tmp_path / "out" / "alignment.svg")


def test_figures_that_are_written_already_are_read_again(run, tmp_path, capsys):
    (tmp_path / "en.txt").write_text("dog\n")
    for _ in range(2):
        main([str(run), "--classes", f"en={tmp_path / 'en.txt'}", "--output", str(tmp_path / "out")])
    printed = capsys.readouterr()
    first, second = printed.out[: len(printed.out) // 2], printed.out[len(printed.out) // 2 :]
    assert first == second != ""
    assert f"output {tmp_path / 'out'} is already complete: the same command has made it (" in " ".join(
        printed.err.split()
    )


def test_a_folder_that_holds_something_is_left_alone(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "en.txt").write_text("dog\n")
    for to, reason in (
        ("out", "did not write (en.txt); specify an empty or new folder"),
        ("run/curated/out", "is in the input"),
    ):
        with pytest.raises(SystemExit):
            main([str(run), "--classes", f"en={tmp_path / 'out' / 'en.txt'}", "--output", str(tmp_path / to)])
        assert reason in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["en.txt"]
