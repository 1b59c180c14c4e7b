"""A matcher is saved, opened mapped into memory, and refused where it is damaged."""

import json
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from curation.matching.finders import matchers_of, open_matchers
from curation.matching.matcher import Matcher
from metadata.entries import Entries
from runtime.errors import InputError
from tests.naive.matching import naive_matches
from tests.support.checkout import ROOT
from tests.support.flips import flip
from tests.support.mapped import is_mapped
from tests.support.matching import ENTRIES, RULES, TEXTS, answers, saved

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("rules", RULES)
def test_a_saved_matcher_answers_alike_and_knows_its_entries(tmp_path, rules):
    matcher = Matcher.build(ENTRIES, rules)
    opened = saved(matcher, tmp_path / "matcher")
    assert answers(opened, TEXTS) == naive_matches(TEXTS, ENTRIES, rules)
    assert (opened.rules, opened.size, opened.digest) == (rules, len(ENTRIES), matcher.digest)
    assert Matcher.build(ENTRIES[::-1], rules).digest != matcher.digest


@pytest.mark.parametrize("rules", RULES)
def test_an_opened_matcher_is_mapped_into_memory(tmp_path, rules):
    opened = saved(Matcher.build(ENTRIES, rules), tmp_path / "matcher")
    arrays = [array for trie in opened.tries for array in trie if array.nbytes]
    assert all(map(is_mapped, arrays))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


@pytest.mark.parametrize("field", ["version", "rules", "size", "digest", "arrays", "unicode"])
def test_a_header_that_says_something_else_is_refused(tmp_path, field):
    Matcher.build(ENTRIES, "unicode").save(tmp_path)
    header = json.loads((tmp_path / "matcher.json").read_text())
    for change in (header | {field: "other"}, {name: value for name, value in header.items() if name != field}):
        (tmp_path / "matcher.json").write_text(json.dumps(change))
        with pytest.raises(InputError, match="build it again"):
            Matcher.open(tmp_path)


def test_a_folder_without_a_matcher_is_refused(tmp_path):
    (tmp_path / "english.txt").write_text("dog\n")
    with pytest.raises(
        InputError, match=r"english.txt is a file; pass a folder with matcher.json and its arrays, or build"
    ):
        Matcher.open(tmp_path / "english.txt")
    with pytest.raises(InputError, match="build it again"):
        Matcher.open(tmp_path / "nothing")


def test_opening_takes_less_than_50_milliseconds(tmp_path):
    words = [f"{a}{b} {c}" for a in "abcdefghij" for b in range(100) for c in range(100)]
    Matcher.build(words, "unicode").save(tmp_path)
    Matcher.open(tmp_path)
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        Matcher.open(tmp_path)
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.05


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of matchers that a first run has left in an empty cache, and how a run asks for it."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    entries = Entries.build({"en": ["dog", "a park"], "ja": ["犬"]})
    ask = partial(matchers_of, entries, "unicode")
    return ask(), ask


def test_a_second_run_on_the_same_entries_builds_nothing(kept, monkeypatch):
    folder, ask = kept
    monkeypatch.setattr(Matcher, "build", None)
    assert ask() == folder
    assert open_matchers(folder).find("ja", pa.array(["a 犬"])).to_pylist() == [[2]]


def content_of(folder: Path) -> dict[Path, bytes]:
    """Return the content of each file in a folder of matchers, without its locks."""
    files = (file for file in folder.rglob("*.*") if file.suffix != ".lock")
    return {file.relative_to(folder): file.read_bytes() for file in files}


@pytest.mark.parametrize("name", ["en/matcher.json", "ja", "index.json"])
def test_what_is_damaged_or_missing_in_the_cache_is_built_again(kept, name):
    folder, ask = kept
    whole = content_of(folder)
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    else:
        flip(folder / name, Random(0))
    assert ask() == folder
    assert content_of(folder) == whole


def test_a_matcher_that_is_damaged_after_that_is_refused_with_what_to_delete(kept):
    folder, _ = kept
    flip(max((folder / "en").iterdir(), key=lambda file: file.stat().st_size), Random(0))
    with pytest.raises(InputError, match=f"is damaged .*: delete {folder} and run the same command again"):
        open_matchers(folder).find("en", pa.array(["dog"]))


def test_a_worker_opens_the_matcher_of_no_other_language_and_builds_a_damaged_one_again(kept, tmp_path):
    folder, _ = kept
    for code in ("en", "ja"):
        flip(max((folder / code).iterdir(), key=lambda file: file.stat().st_size), Random(0))
    damaged = content_of(folder)
    entries = Entries.build({"en": ["dog", "a park"], "ja": ["犬"]})
    assert matchers_of(entries, "unicode", complete=False) == folder
    assert content_of(folder) == damaged
    finders = open_matchers(folder, "unicode", entries.on_disk(tmp_path / "strings"))
    assert finders.find("en", pa.array(["a dog"])).to_pylist() == [[0]]
    changed = {path.parts[0] for path, content in content_of(folder).items() if content != damaged[path]}
    assert changed == {"en"}


def test_the_same_entries_give_the_same_files(tmp_path):
    for name in ("one", "two"):
        Matcher.build(ENTRIES, "meta").save(tmp_path / name)
    assert [p.read_bytes() for p in files_of(tmp_path / "one")] == [p.read_bytes() for p in files_of(tmp_path / "two")]


def test_a_second_process_maps_the_arrays_and_answers_alike(tmp_path):
    Matcher.build(ENTRIES, "unicode").save(tmp_path)
    program = "import sys; from curation import Matcher; print(Matcher.open(sys.argv[1]).find(['a dog']).to_pylist())"
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(naive_matches(["a dog"], ENTRIES, "unicode"))
