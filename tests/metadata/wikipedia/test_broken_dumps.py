"""Broken pages and cut files are counted and cost no other article."""

import bz2
import gzip
import lzma
from functools import partial

import pytest

from metadata.wikipedia import articles, dumps
from tests.support.dumps import dump, page, titles_and_tally, write

BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "{}">]>'.format("&a;" * 1000)


def test_each_page_that_is_no_article_is_counted_under_its_reason(tmp_path):
    pages = [
        page("good"),
        page(None),
        page("a", text=None),
        page("b", text=""),
        page("c", ns="10"),
        page("d", extra='<redirect title="e" />'),
        page("f", text="{}", model="<model>wikibase-item</model>"),
        page("g", text="{{only}} [[File:a.jpg]]"),
        page("h", text="a &undefined; b"),
        page("i", text="a <b> b"),
        page("j")[:-7],  # never closed
        page("k", text="x" * (articles.PAGE_CHARACTERS + 1)),
        page("last"),
    ]
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(*pages)))
    assert titles == ["good", "last"]
    dropped = {name.removeprefix("dropped."): count for name, count in tally.items() if name.startswith("dropped.")}
    once = ("no_title", "namespace", "redirect", "not_wikitext", "empty", "too_long")
    assert dropped == dict.fromkeys(once, 1) | {"no_text": 2, "bad_xml": 3}
    assert tally["pages"] == tally["articles"] + sum(dropped.values()) == 13


@pytest.mark.parametrize(
    ("ending", "pack"), [("bz2", partial(bz2.compress, compresslevel=1)), ("gz", gzip.compress), ("xz", lzma.compress)]
)
def test_articles_before_a_cut_are_kept(tmp_path, ending, pack):
    pages = [page(str(i), " ".join(str(hash((i, j))) for j in range(200))) for i in range(100)]
    packed = pack(dump(*pages).encode())
    titles, tally = titles_and_tally(write(tmp_path / f"dewiki.xml.{ending}", packed[: len(packed) * 3 // 4]))
    assert 20 < len(titles) < 100
    assert titles == [str(i) for i in range(len(titles))]
    assert tally["dropped.truncated"] == 1


def test_articles_before_damage_are_kept(tmp_path):
    streams = [bz2.compress(part.encode()) for part in (dump(page("a"))[:-12], page("b"), page("c"))]
    streams[2] = streams[2][:30] + b"damage" + streams[2][36:]
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml.bz2", b"".join(streams)))
    assert titles == ["a", "b"]
    assert tally["dropped.corrupt"] == 1


def test_a_plain_dump_that_stops_within_a_page_is_counted(tmp_path):
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(page("a"), page("b"))[:-60]))
    assert titles == ["a"]
    assert tally["dropped.truncated"] == 1


@pytest.mark.parametrize("content", [b"", b"\n", dump().encode(), bz2.compress(b"")])
def test_an_empty_dump_is_counted(tmp_path, content):
    name = "dewiki.xml.bz2" if content.startswith(b"BZ") else "dewiki.xml"
    titles, tally = titles_and_tally(write(tmp_path / name, content))
    assert titles == []
    assert tally == {"files": 1, "dropped.no_pages": 1}


def test_entities_that_a_document_type_defines_are_never_expanded(tmp_path):
    content = dump(page("a", "&b;" * 1000), page("good"), before=BILLION_LAUGHS)
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", content))
    assert titles == ["good"]
    assert tally["dropped.bad_xml"] == 1


def test_memory_is_bounded_by_a_page_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(dumps, "PAGE_BYTES", 1000)
    monkeypatch.setattr(dumps, "CHUNK_BYTES", 100)
    endless = page("a", "x" * 5000)
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(endless, page("good"), endless[:-7])))
    assert titles == ["good"]
    assert tally["dropped.too_long"] == 2


def test_bytes_that_are_no_utf8_cost_one_page(tmp_path):
    content = dump(page("a", "caf\u00e9"), page("good")).encode().replace("é".encode(), b"\xe9")
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", content))
    assert titles == ["good"]
    assert tally["dropped.bad_xml"] == 1
