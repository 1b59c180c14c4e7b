"""Entries: ids in a fixed order, a digest that names them, and files that are refused when they are not as written."""

import json
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata import Entries, InputError
from metadata import entries as entries_module
from metadata import entries as module
from metadata.entries import read_list, read_lists, strings_digest
from tests.support.flips import flip

LISTS = {"ja": ["猫", "写真"], "en": ["photo", "dog", "St. Louis"], "other": ["x"], "de": ["Hund"]}


def test_ids_follow_the_order_of_languages_and_lists():
    entries = Entries.build(LISTS)
    assert [entries.entry(i) for i in range(len(entries))] == ["photo", "dog", "St. Louis", "Hund", "猫", "写真", "x"]
    assert [entries.language(i) for i in range(len(entries))] == ["en", "en", "en", "de", "ja", "ja", "other"]
    assert Entries.build(dict(reversed(LISTS.items()))).digest == entries.digest


def test_entries_that_one_array_of_strings_cannot_hold_are_refused(monkeypatch):
    monkeypatch.setattr(module, "_MAX_ENTRIES_BYTES", 4)
    assert len(Entries.build({"en": ["ab", "é"]})) == 2
    for lists in ({"en": ["abc", "é"]}, {"en": ["abc"], "de": ["é"]}):
        with pytest.raises(InputError, match="the entries have 5 bytes together, but the most is 4; leave some out"):
            Entries.build(lists)


def test_the_entries_of_a_language_are_a_slice():
    entries = Entries.build(LISTS)
    assert entries.of("ja").to_pylist() == ["猫", "写真"]
    assert entries.ids("ja") == slice(4, 6)
    assert entries.of("fr").to_pylist() == []


def test_the_digest_changes_with_any_entry_its_language_or_its_place():
    digests = {
        Entries.build(lists).digest
        for lists in (
            {"en": ["a", "b"]},
            {"en": ["b", "a"]},
            {"en": ["ab"]},
            {"de": ["a", "b"]},
            {"en": ["a"], "de": ["b"]},
        )
    }
    assert len(digests) == 5


def test_the_digest_of_a_slice_is_that_of_its_strings():
    strings = pa.array(["x", "a", "猫", "y"], pa.string())
    assert strings_digest(strings[1:3]) == strings_digest(pa.array(["a", "猫"], pa.large_string()))
    assert strings_digest(strings[4:]) == strings_digest(pa.array([], pa.string()))


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ({"en": ["dog", "cat", "dog"]}, "'dog' of en is repeated"),
        ({"en": ["dog", ""]}, "entry 1 of en is empty"),
        ({"en": ["dog", None]}, "entry 1 of en is null"),
        ({"en": ["dog", 7]}, "must be strings"),
        ({"en": ["\ud800"]}, "valid Unicode"),
        ({"xx": ["dog"]}, "'xx' is not the code of a metadata language"),
        ({}, "there are no entries"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(lists, named):
    with pytest.raises(InputError, match=named):
        Entries.build(lists)


def test_an_id_outside_is_refused():
    with pytest.raises(InputError, match="use an id from 0 to 6"):
        Entries.build(LISTS).entry(7)
    with pytest.raises(InputError, match="no entry -1"):
        Entries.build(LISTS).language(-1)


def test_saved_entries_open_as_they_were(tmp_path):
    entries = Entries.build(LISTS)
    entries.save(tmp_path)
    again = Entries.open(tmp_path)
    assert again.table.equals(entries.table)
    assert (again.digest, again.languages) == (entries.digest, entries.languages)
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "entries.parquet").read_bytes() == (tmp_path / "entries.parquet").read_bytes()


def test_entries_are_read_once_on_a_machine_and_mapped_from_then_on(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    built = Entries.build(LISTS)
    built.save(tmp_path / "saved")
    Entries.open(tmp_path / "saved")
    monkeypatch.setattr(entries_module, "read_table", None)
    opened = Entries.open(tmp_path / "saved")
    assert (opened.strings, opened.languages, opened.digest) == (built.strings, built.languages, built.digest)
    assert [opened.language(id) for id in range(len(opened))] == built.table["language"].to_pylist()


@pytest.mark.parametrize("name", ["strings.json", "offsets.npy", "data.npy"])
def test_what_is_damaged_in_the_cache_is_read_again(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "cache"))
    built = Entries.build(LISTS)
    built.save(tmp_path / "saved")
    Entries.open(tmp_path / "saved")
    (kept,) = (tmp_path / "cache").glob(f"*/entries-*/{name}")
    flip(kept, Random(0))
    assert Entries.open(tmp_path / "saved").strings == built.strings


def test_row_groups_go_across_languages(tmp_path, monkeypatch):
    entries = Entries.build(LISTS)
    monkeypatch.setattr(module, "_GROUP_ROWS", 2)
    entries.save(tmp_path)
    pq.write_table(entries.table.combine_chunks(), tmp_path / "whole.parquet", row_group_size=2)
    assert (tmp_path / "entries.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def change_digest(folder):
    facts = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(facts | {"digest": "0" * 32}))


def change_version(folder):
    facts = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(facts | {"version": 99}))


def change_an_entry(folder):
    table = pq.read_table(folder / "entries.parquet").to_pandas()
    table.loc[1, "entry"] = "cat"
    pq.write_table(pa.Table.from_pandas(table), folder / "entries.parquet")


def drop_a_column(folder):
    pq.write_table(pq.read_table(folder / "entries.parquet").drop_columns("sources"), folder / "entries.parquet")


@pytest.mark.parametrize("damage", [change_digest, change_version, change_an_entry, drop_a_column])
def test_damaged_entries_are_refused(tmp_path, damage):
    Entries.build(LISTS).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError):
        Entries.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "entries"),
    [
        (b"dog\ncat\n", ["dog", "cat"]),
        (b"\xef\xbb\xbfdog\r\n\r\n a b \r\n", ["dog", " a b "]),
        ('["dog", "猫", "a\\nb"]'.encode(), ["dog", "猫", "a\nb"]),
        (b"[sic]\ndog\n", ["[sic]", "dog"]),
    ],
)
def test_a_list_is_read_as_it_is(tmp_path, content, entries):
    (tmp_path / "list").write_bytes(content)
    assert read_list(tmp_path / "list") == entries


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"", "not hold any entries"),
        (b"[]", "not hold any entries"),
        (b'["a", 1]', "entry 1 is 1, not"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, content, named):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=named):
        read_list(tmp_path / "list")


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        (
            "list.csv",
            "id,entry\n0,dog\n",
            "list.csv seems to be a table, because each line has a ','; write a JSON array",
        ),
        ("list.TSV", "dog\t1\ncat\t2\n", "list.TSV seems to be a table, because each line has a"),
        (
            "list",
            '{"dog": 0, "cat": 1}',
            "list is a JSON object; write a JSON array of strings, or one entry on each line",
        ),
        ("list.json", '\n{\n "dog": 0\n}', "list.json is a JSON object"),
    ],
)
def test_a_table_or_an_object_is_no_list(tmp_path, name, content, named):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=named):
        read_list(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "entries"), [("list", ["Paris, Texas"]), ("list.csv", ["dog", "Paris, Texas"]), ("list", ["{x}", "{y}"])]
)
def test_an_entry_may_look_like_a_row_or_an_object(tmp_path, name, entries):
    (tmp_path / name).write_text("\n".join(entries))
    assert read_list(tmp_path / name) == entries


def test_a_language_given_twice_is_refused(tmp_path):
    (tmp_path / "list").write_text("dog\n")
    with pytest.raises(InputError, match="given twice"):
        read_lists([f"en={tmp_path / 'list'}", f"en={tmp_path / 'list'}"])
