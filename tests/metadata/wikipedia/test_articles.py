"""Dumps, Cirrus dumps and tables give their articles."""

import bz2
import gzip
import json
import lzma
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.wikipedia import articles, dumps
from metadata.wikipedia.dump_files import find
from runtime.tallies import TaskResult
from tests.naive.wikipedia import naive_articles
from tests.support.dumps import articles_of, dump, page, read, titles_and_tally, write


@pytest.mark.parametrize(
    ("name", "pack"),
    [("xml", None), ("xml.bz2", bz2.compress), ("xml.gz", gzip.compress), ("xml.xz", lzma.compress)],
)
def test_a_dump_gives_its_articles_whatever_packs_it(tmp_path, name, pack):
    path = write(tmp_path / f"dewiki-latest-pages-articles.{name}", dump(page(), page("Köln", "Eine Stadt.")), pack)
    assert articles_of([path]) == [("de", "Hund", "Ein Hund bellt."), ("de", "Köln", "Eine Stadt.")]


def test_a_multistream_dump_is_read_to_its_end(tmp_path):
    streams = [dump(page("a"), page("b"))[:-12], page("c"), page("d") + "</mediawiki>"]
    packed = b"".join(bz2.compress(stream.encode()) for stream in streams)
    titles, _ = titles_and_tally(write(tmp_path / "dewiki-pages-articles-multistream.xml.bz2", packed))
    assert titles == ["a", "b", "c", "d"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1"])
def test_other_encodings_are_read(tmp_path, encoding):
    bom = b"\xff\xfe" if encoding == "utf-16-le" else b""
    content = dump(page("Köln", "Die Stadt Köln."), before=f'<?xml version="1.0" encoding="{encoding[:10]}"?>\n')
    path = write(tmp_path / "dewiki.xml", bom + content.encode(encoding))
    assert articles_of([path]) == [("de", "Köln", "Die Stadt Köln.")]


def test_pages_are_found_however_the_file_is_read(tmp_path, monkeypatch):
    path = write(tmp_path / "dewiki.xml", dump(*(page(f"Ä{i}") for i in range(50))))
    whole = articles_of([path])
    for size in (1, 2, 7, 100):
        monkeypatch.setattr(dumps, "CHUNK_BYTES", size)
        assert articles_of([path]) == whole


def test_of_old_schemas_without_namespaces_only_articles_are_read(tmp_path):
    pages = [page(title, ns=None) for title in ("Hund", "Diskussion:Hund", "Schublade:Tiere", "Talk:A", "Alien: Hund")]
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(*pages)))
    assert titles == ["Hund", "Alien: Hund"]
    assert tally["dropped.namespace"] == 3


@pytest.mark.parametrize("text", ["#REDIRECT [[a]]", "#WEITERLEITUNG [[a]]", " #तुपर्प्रेषित [[a]]", "#redirect:[[a]]"])
def test_redirects_are_told_by_their_text_too(tmp_path, text):
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(page("a", text), page("b", "# [[c]] d"))))
    assert titles == ["b"]
    assert tally["dropped.redirect"] == 1


def test_of_several_revisions_the_last_is_read(tmp_path):
    two = page("a", "old").replace("</page>", "<revision><text>new</text></revision></page>")
    assert articles_of([write(tmp_path / "dewiki.xml", dump(two))]) == [("de", "a", "new")]


def test_categories_under_the_name_of_the_dump_s_head_are_dropped(tmp_path):
    path = write(tmp_path / "dewiki.xml", dump(page("a", "b [[Schublade:C|d]] e")))
    assert articles_of([path]) == [("de", "a", "b e")]
    assert articles.namespaces(find([path])[0]) == ["Diskussion", "Schublade"]


def test_cirrus_dumps_give_their_plain_text(tmp_path):
    sources = [
        {"namespace": 0, "title": "Inu", "text": "犬は　動物。", "content_model": "wikitext"},
        {"namespace": 1, "title": "ノート:Inu", "text": "a"},
        {"namespace": 0, "title": "Null", "text": None},
    ]
    lines = [line for source in sources for line in (json.dumps({"index": {"_id": "1"}}), json.dumps(source))]
    path = write(
        tmp_path / "jawiki-20240101-cirrussearch-content.json.gz", "\n".join([*lines, "{broken"]), gzip.compress
    )
    rows, tally = read(find([path]))
    assert rows == [("ja", "Inu", "犬は 動物。")]
    expected = {
        "dropped.namespace": 1,
        "dropped.no_text": 1,
        "dropped.bad_json": 1,
        "articles": 1,
        "pages": 4,
        "files": 1,
    }
    assert tally == expected


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_tables_give_their_title_and_text(tmp_path, type_):
    table = pa.table({"id": ["1"] * 4, "title": ["a", None, "c", "é"], "text": ["x\n\ny", "z", None, "ü"]})
    table = table.set_column(2, "text", table["text"].cast(type_))
    folder = tmp_path / "20231101.simple"
    folder.mkdir()
    pq.write_table(table, folder / "train-00000-of-00001.parquet")
    rows, tally = read(find([tmp_path]))
    assert rows == [("simple", "a", "x\ny"), ("simple", "é", "ü")]
    assert (tally["dropped.no_title"], tally["dropped.no_text"]) == (1, 1)


def test_a_table_may_hold_several_wikipedias_in_a_column(tmp_path):
    table = pa.table({"title": ["a", "b", "c"], "text": ["x", "y", "z"], "language": ["en", "zh-yue", "en"]})
    pq.write_table(table, tmp_path / "all.parquet")
    files = find([tmp_path])
    assert [file.wikipedia for file in files] == ["en", "zh_yue"]
    assert sorted(read(files)[0]) == [("en", "a", "x"), ("en", "c", "z"), ("zh_yue", "b", "y")]


def test_a_table_without_rows_has_no_articles(tmp_path):
    pq.write_table(
        pa.table({"title": pa.array([], pa.string()), "text": pa.array([], pa.string())}), tmp_path / "enwiki.parquet"
    )
    rows, tally = read(find([tmp_path]))
    assert rows == []
    assert tally == {"files": 1, "dropped.no_pages": 1}


def test_batches_are_bounded_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(articles, "BATCH_ROWS", 3)
    path = write(tmp_path / "dewiki.xml", dump(*(page(str(i)) for i in range(10))))
    batches = list(articles.articles(find([path])[0], TaskResult()))
    assert [batch.num_rows for batch in batches] == [3, 3, 3, 1]
    assert all(batch.schema == articles.ARTICLES for batch in batches)


def test_bytes_that_are_no_utf8_in_a_table_are_replaced(tmp_path):
    text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"], pa.binary()).buffers())
    pq.write_table(pa.table({"title": ["a"], "text": text}), tmp_path / "enwiki.parquet")
    assert articles_of([tmp_path]) == [("en", "a", "caf\ufffd")]


@pytest.mark.slow
@pytest.mark.shared
def test_real_dumps_give_the_articles_of_the_naive_twin(shared_data):
    paths = sorted((shared_data / "wikipedia").rglob("*.bz2"))
    assert len(paths) > 60
    for path in paths:
        expected = naive_articles(bz2.decompress(path.read_bytes()))
        pages = dumps.xml_pages(dumps.unpacked(str(path)), Counter())
        found = [(p.title, p.text) for p in pages if p.namespace == "0" and not p.redirect]
        assert found == expected
