"""Of several forms of one dump one is read, and the log says which; new names of dumps are recognised."""

import bz2
import gzip
import json
import logging
import random

import pytest

from metadata.wikipedia import dumps
from metadata.wikipedia.dump_files import find
from tests.support.dumps import INDEX, articles_of, dump, page, read, write
from tests.support.dumps import multistream as streams

PLAIN = "dewiki-20240101-pages-articles{}.xml{}.bz2"


@pytest.fixture(autouse=True)
def shown(caplog):
    caplog.set_level(logging.INFO)
    return caplog


def long_page(title):
    """Return a page beside which the head of its dump is short, packed, too."""
    return page(title, "".join(map(chr, random.Random(title).choices(range(0x4E00, 0x9FFF), k=3_000))))


def whole(folder, titles="abc"):
    return write(folder / PLAIN.format("", ""), dump(*map(long_page, titles)), bz2.compress)


def parts(folder, *titles):
    for i, title in enumerate(titles, 1):
        write(folder / PLAIN.format(i, f"-p{i}p{i}"), dump(long_page(title)), bz2.compress)


def names(folder):
    return [file.path.rpartition("/")[2] for file in find([folder])]


def titles_of(folder):
    return [title for _, title, _ in articles_of([folder])]


def test_the_parts_of_a_dump_are_read_rather_than_the_whole(tmp_path, caplog):
    whole(tmp_path)
    parts(tmp_path, "a", "b", "c")
    assert titles_of(tmp_path) == ["a", "b", "c"]
    assert names(tmp_path) == [PLAIN.format(i, f"-p{i}p{i}") for i in (1, 2, 3)]
    assert "dewiki-20240101 is given more than once: its parts are read, not the whole dump" in caplog.text


def test_parts_that_are_not_all_of_a_dump_are_left_out(tmp_path, caplog):
    whole(tmp_path)
    parts(tmp_path, "a", "b")
    assert names(tmp_path) == [PLAIN.format("", "")]
    assert "the whole dump is read, not its parts" in caplog.text


def test_a_multistream_dump_with_its_index_is_read_rather_than_others(tmp_path, caplog):
    path = streams(tmp_path, [[long_page("a"), long_page("b")], [long_page("c")]])
    whole(tmp_path)
    parts(tmp_path, "a", "b", "c")
    assert names(tmp_path) == [path.name]
    (tmp_path / INDEX.format("", "")).unlink()
    assert names(tmp_path) == [PLAIN.format(i, f"-p{i}p{i}") for i in (1, 2, 3)]
    assert "not the multistream dump nor the whole dump" in caplog.text


def test_parts_in_a_folder_of_their_own_are_recognised(tmp_path):
    whole(tmp_path / "whole")
    parts(tmp_path / "parts", "a", "b", "c")
    assert titles_of(tmp_path) == ["a", "b", "c"]


def test_dumps_of_other_wikipedias_are_not_compared(tmp_path, caplog):
    whole(tmp_path)
    write(tmp_path / "frwiki-20240101-pages-articles1.xml-p1p2.bz2", dump(page("d")), bz2.compress)
    assert len(names(tmp_path)) == 2
    assert caplog.text == ""


@pytest.mark.parametrize(
    "other",
    [
        "dewiki-20240201-pages-articles1.xml-p1p2.bz2",
        "dewiki-latest-pages-articles.xml.bz2",
        "dewiki-2025-11-01-p1p2.xml.bz2",
    ],
)
def test_of_dumps_of_several_days_both_are_read_and_a_warning_says_so(tmp_path, caplog, other):
    whole(tmp_path)
    write(tmp_path / other, dump(page("d")), bz2.compress)
    assert len(names(tmp_path)) == 2
    assert "articles of dewiki count once for each of its dumps: dewiki-20240101-pages-articles, dewiki-" in caplog.text
    assert "more than once" not in caplog.text


def test_files_of_one_dump_are_no_reason_to_warn(tmp_path, caplog):
    parts(tmp_path, "a", "b")
    for pages in ("p1p2", "p3p4"):
        write(tmp_path / f"frwiki-2025-11-01-{pages}.xml.bz2", dump(page("a"), code="fr"), bz2.compress)
    names(tmp_path)
    assert caplog.text == ""


def test_the_files_of_the_content_that_is_current_are_dumps(tmp_path):
    folder = tmp_path / "mediawiki_content_current" / "dewiki" / "2025-11-01" / "xml" / "bzip2"
    for title, pages in (("a", "p1p2"), ("b", "p3p4")):
        talk = page("Diskussion:A", ns="1")
        write(folder / f"dewiki-2025-11-01-{pages}.xml.bz2", dump(page(title), talk), bz2.compress)
    write(folder / "SHA256SUMS", "a")
    write(folder / "_SUCCESS", "")
    rows, tally = read(find([tmp_path]))
    assert rows == [("de", "a", "Ein Hund bellt."), ("de", "b", "Ein Hund bellt.")]
    assert tally["dropped.namespace"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "dewiki-20240101-cirrussearch-content.json.gz",
        "index_name=dewiki_content/dewiki_content-20251102-00000.json.bz2",
        "index_name=dewiki_content/part-00000.json.bz2",
    ],
)
def test_cirrus_dumps_of_articles_are_found_in_folders_and_those_of_other_pages_are_not(tmp_path, name):
    for each in (name, name.replace("content", "general"), "other/notes.json"):
        line = json.dumps({"title": "Hund", "text": "Ein Hund.", "namespace": 0})
        write(tmp_path / each, line, {"bz2": bz2.compress, ".gz": gzip.compress}.get(each[-3:]))
    assert [(file.path, file.wikipedia) for file in find([tmp_path])] == [(str(tmp_path / name), "de")]


def test_a_short_multistream_dump_is_one_file_with_or_without_its_index(tmp_path):
    path = streams(tmp_path, [[page("a")], [page("b")]])
    assert path.stat().st_size < dumps.SPAN_BYTES
    assert titles_of(tmp_path) == ["a", "b"]
