"""Metadata have a name and a digest that other programs can compute, and a recipe by which they are built again."""

import json
import os
import re
import shutil
import subprocess

import pytest

from metadata import Entries, InputError
from metadata.commands import main
from metadata.sources import Sources, require_entries
from metadata.wikipedia.dump_files import WikipediaFile

LISTS = {
    "ja": ["犬", "ab", "猫", "é", "\u0061\u0301"],
    "en": ["zebra", "Äpfel", "a b", "a", "Z"],
    "zh": ["𠀋", "\ufb01"],
}


BARE = json.dumps(dict.fromkeys(("name", "sha256", "sha256_of", "rules", "parameters", "inputs", "recipe"), {}))


def facts_of(folder) -> dict:
    return json.loads((folder / "metadata.json").read_text("utf-8"))


def test_the_digest_is_what_sort_and_sha256sum_give(tmp_path):
    Entries.build(LISTS).save(tmp_path / "out")
    (tmp_path / "lists").mkdir()
    for code, entries in LISTS.items():
        (tmp_path / "lists" / code).write_text("".join(f"{entry}\n" for entry in entries), "utf-8")
    script = 'for code in *; do sort -o "$code" "$code"; done; sha256sum * | tee ../sums | sha256sum; cat ../sums'
    asked = {"cwd": tmp_path / "lists", "env": os.environ | {"LC_ALL": "C"}, "capture_output": True, "text": True}
    printed = subprocess.run(["sh", "-c", script], check=True, **asked).stdout.splitlines()
    facts = facts_of(tmp_path / "out")
    assert printed[0].split()[0] == facts["sha256"]
    assert dict(reversed(line.split()) for line in printed[1:]) == facts["sha256_of"]
    assert facts["name"] == f"clip-metadata-undated-{facts['sha256'][:8]}"


def test_the_order_of_entries_changes_ids_but_not_the_name(tmp_path):
    Entries.build(LISTS).save(tmp_path / "a")
    Entries.build({code: entries[::-1] for code, entries in LISTS.items()}).save(tmp_path / "b")
    Entries.build(LISTS | {"ja": LISTS["ja"][1:]}).save(tmp_path / "c")
    one, turned, other = (facts_of(tmp_path / name) for name in "abc")
    assert one["name"] == turned["name"] != other["name"]
    assert one["digest"] != turned["digest"]
    assert [code for code in LISTS if one["sha256_of"][code] != other["sha256_of"][code]] == ["ja"]


def source(folder, text: str = "a page"):
    """Files that stand for dumps, views and a wordnet; their content does not matter here."""
    folder.mkdir()
    (folder / "dewiki-20251101-pages-articles.xml").write_text(text)
    for day in ("20240105", "20251231", "20240105"):
        (folder / f"pageviews-{day}-110000").write_text("de A 1 0\n")
    return folder


def described(folder) -> dict:
    files = sorted(map(str, folder.iterdir()))
    dumps = [WikipediaFile(path, "xml", "de") for path in files if "wiki-" in path]
    return Sources(wikipedias=dumps, pageviews=[path for path in files if "pageviews-" in path]).recipe


def test_a_recipe_states_files_and_days_and_no_folder(tmp_path):
    found = described(source(tmp_path / "a"))
    assert found == described(source(tmp_path / "b")) != described(source(tmp_path / "c", "another page"))
    assert (found["date"], found["days"]) == ("2025-12-31", ["2024-01-05", "2025-12-31"])
    [dump] = found["sources"]["wikipedia"]
    assert (dump["name"], dump["bytes"], len(dump["sha256"])) == ("dewiki-20251101-pages-articles.xml", 6, 64)
    assert str(tmp_path) not in json.dumps(found)


def test_of_a_large_file_name_and_size_must_do(tmp_path, monkeypatch):
    monkeypatch.setattr("metadata.sources.MAX_HASHED_BYTES", 5)
    assert described(source(tmp_path / "a"))["sources"]["wikipedia"][0].keys() == {"name", "bytes"}


@pytest.fixture
def built(tmp_path):
    """Metadata of a wordnet and a list, beside these; building them needs no Spark."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "wn-data-dan.tab").write_text("# Dan\tdan\n00001740-n\tdan:lemma\thund\n", "utf-8")
    (tmp_path / "en.txt").write_text("dog\ncat\n")
    run(
        tmp_path,
        "out",
        "--wordnet",
        tmp_path / "words",
        "--entries",
        f"en={tmp_path / 'en.txt'}",
        "--set",
        "unigram_limit=9",
    )
    return tmp_path


def run(folder, output: str, *arguments) -> None:
    main([*map(str, arguments), "--output", str(folder / output)])


def again(folder, *arguments) -> None:
    run(
        folder,
        "again",
        "--recipe",
        folder / "out" / "metadata.json",
        "--entries",
        f"en={folder / 'en.txt'}",
        *arguments,
    )


def test_a_recipe_builds_the_same_entries_again_also_from_copies(built, capsys):
    again(built)
    shutil.copytree(built / "words", built / "copies")
    first = facts_of(built / "again")
    again(built, "--wordnet", built / "copies")
    assert capsys.readouterr().out.endswith(f"These are the same entries as in {first['name']}.\n")
    assert [{**facts_of(built / name), "inputs": None, "checksum": None} for name in ("out", "again")] == [
        {**first, "inputs": None, "checksum": None}
    ] * 2


TAB = "wn-data-dan.tab"
CHANGES = {
    "longer": (
        lambda words: (words / TAB).write_text((words / TAB).read_text() + "#\n"),
        f"built from wordnet {TAB} with 3\\d bytes and SHA-256 .*, but your file has 3\\d bytes and SHA-256 ",
    ),
    "a list": (
        lambda words: (words.parent / "en.txt").write_text("dog\n"),
        "built from lists en with a list and SHA-256 .*, but your file has a list and SHA-256 ",
    ),
    "missing": (
        lambda words: (words / TAB).rename(words / "da.tab"),
        f"{TAB} with 3\\d bytes and SHA-256 .*, but your sources lack this file",
    ),
    "more": (lambda words: shutil.copy(words / TAB, words / "b.tab"), "was built without wordnet b.tab"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_differs_is_named(built, capsys, change):
    changed, said = CHANGES[change]
    changed(built / "words")
    with pytest.raises(SystemExit) as ended:
        again(built, "--wordnet", built / "words")
    assert ended.value.code == 2
    assert re.search(said, capsys.readouterr().err)


def test_numbers_beside_a_recipe_are_refused(built, capsys):
    with pytest.raises(SystemExit):
        again(built, "--set", "unigram_limit=5")
    assert "--recipe already states the numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"{}", "it has no '"),
        (b"[]", "its JSON has another structure"),
        (BARE.encode(), "it has no '"),
        (BARE.replace("{}", "[]").encode(), "its JSON has another structure"),
        (b"\x00", "it is not JSON"),
        (b"\xf5", "it is not JSON"),
        (b"--input a.csv", "it is not JSON"),
    ],
)
def test_a_file_without_a_recipe_is_refused(built, capsys, content, reason):
    if content is not None:
        (built / "a.json").write_bytes(content)
    with pytest.raises(SystemExit):
        run(built, "again", "--recipe", built / "a.json")
    said = capsys.readouterr().err
    assert f"a.json does not hold a recipe ({reason}" in said
    assert "[Errno" not in said


def test_other_entries_of_the_same_sources_are_reported_with_the_versions_that_differ(built):
    facts = facts_of(built / "out")
    other = facts | {"sha256": "0" * 64, "sha256_of": facts["sha256_of"] | {"da": "0" * 64}}
    other["recipe"] = facts["recipe"] | {"made_with": facts["recipe"]["made_with"] | {"icu": "1.0"}}
    require_entries(facts, facts)
    with pytest.raises(
        InputError, match=r"the entries of da differ from clip-.*; clip-.* was made with icu 1.0 instead of"
    ):
        require_entries(other, facts)
