import bz2
import gzip
import json
import lzma
from collections import Counter
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.wikipedia import articles, dumps
from metadata.wikipedia.files import find
from runtime.errors import InputError
from tests.naive.wikipedia import naive_articles

SITEINFO = (
    "<siteinfo><sitename>Wikipedia</sitename><dbname>{code}wiki</dbname><namespaces>"
    '<namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Diskussion</namespace>'
    '<namespace key="14" case="first-letter">Schublade</namespace></namespaces></siteinfo>'
)
BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "{}">]>'.format("&a;" * 1000)


def page(title="Hund", text="Ein '''Hund''' bellt.", ns="0", extra="", model="<model>wikitext</model>"):
    named = "" if title is None else f"<title>{title}</title>"
    space = "" if ns is None else f"<ns>{ns}</ns>"
    body = "" if text is None else f'<text xml:space="preserve">{text}</text>'
    return f"<page>{named}{space}<id>1</id>{extra}<revision>{model}{body}</revision></page>"


def dump(*pages, code="de", siteinfo=SITEINFO, before=""):
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">'
    return before + head + siteinfo.format(code=code) + "\n".join(pages) + "</mediawiki>"


def write(path, content, pack=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(pack(content) if pack else content)
    return path


def read(files):
    tally = Counter()
    rows = [row for file in files for batch in articles.articles(file, tally) for row in batch.to_pylist()]
    return [(row["wikipedia"], row["title"], row["text"]) for row in rows], tally


def articles_of(paths, language=None):
    return read(find(paths, language))[0]


def titles_and_tally(path, language=None):
    rows, tally = read(find([path], language))
    return [title for _, title, _ in rows], tally


# What is read


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
        monkeypatch.setattr(dumps, "CHUNK", size)
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
    batches = list(articles.articles(find([path])[0], Counter()))
    assert [batch.num_rows for batch in batches] == [3, 3, 3, 1]
    assert all(batch.schema == articles.ARTICLES for batch in batches)


# Which Wikipedia


@pytest.mark.parametrize(
    ("name", "head", "argument", "code"),
    [
        ("dewiki-20240101-pages-articles1.xml-p1p297012.bz2", "de", None, "de"),
        ("zh_min_nanwiki.xml", "zh_min_nan", None, "zh_min_nan"),
        ("be_x_oldwiki-latest-pages-articles.xml", "be_x_old", None, "be_x_old"),
        ("mini/zh-yue/wiki.xml", "en", None, "zh_yue"),
        ("language=th/dump.xml", "en", None, "th"),
        ("simplewiki/dump.xml", "simple", None, "simple"),
        ("some/dump.xml", "als", None, "als"),
        ("de/dump.xml", "de", "fr", "fr"),
        ("some/dump.xml", "commons", "zh-yue", "zh_yue"),
    ],
)
def test_the_argument_tells_the_wikipedia_or_the_path_or_the_head(tmp_path, name, head, argument, code):
    pack = bz2.compress if name.endswith("bz2") else None
    (file,) = find([write(tmp_path / name, dump(page(), code=head), pack)], argument)
    assert file.wikipedia == code


def test_a_head_that_differs_from_the_path_is_counted(tmp_path):
    paths = [write(tmp_path / code / "wiki.xml", dump(page(), code="en")) for code in ("de", "en", "ja")]
    rows, tally = read(find(paths))
    assert [code for code, _, _ in rows] == ["de", "en", "ja"]
    assert tally["conflicts.language"] == 2


def test_the_base_address_tells_the_wikipedia_where_the_head_has_no_database(tmp_path):
    siteinfo = "<siteinfo><base>http://zh-yue.wikipedia.org/wiki/A</base></siteinfo>"
    (file,) = find([write(tmp_path / "dump.xml", dump(page(), siteinfo=siteinfo))])
    assert file.wikipedia == "zh_yue"


def test_the_addresses_of_a_table_tell_its_wikipedia(tmp_path):
    table = pa.table({"title": ["a"], "text": ["b"], "url": ["https://sw.wikipedia.org/wiki/a"]})
    pq.write_table(table, tmp_path / "train.parquet")
    assert find([tmp_path])[0].wikipedia == "sw"


def test_two_files_of_one_wikipedia_are_both_read(tmp_path):
    paths = [write(tmp_path / f"dewiki-part{i}.xml", dump(page(f"a{i}"))) for i in range(2)]
    assert [title for _, title, _ in articles_of(paths)] == ["a0", "a1"]


def test_a_file_named_twice_is_read_once(tmp_path):
    path = write(tmp_path / "dewiki.xml", dump(page()))
    assert len(articles_of([path, tmp_path, tmp_path])) == 1


def test_a_folder_gives_its_dumps_and_nothing_else(tmp_path):
    for name in (
        "dewiki-pages-articles.xml",
        "dewiki-stub-articles.xml",
        "dewiki-abstract.xml",
        "a.json",
        "b.txt",
        ".c.xml",
    ):
        write(tmp_path / name, dump(page()))
    assert [file.path.rpartition("/")[2] for file in find([tmp_path])] == ["dewiki-pages-articles.xml"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("some/dump.xml", dump(page(), code="commons"), "give --language"),
        ("enwiktionary-latest.xml", dump(page(), siteinfo=""), "give --language"),
        ("enwiki.txt", "a", "no known kind"),
        ("enwiki.xml", "<html><body>", "no MediaWiki dump"),
        ("enwiki.xml.bz2", "no bz2", "damaged"),
        ("enwiki.json", "[1]\n{}\n", "no Cirrus search dump"),
        ("enwiki.parquet", "PAR1", "no Parquet"),
        ("empty/readme.md", "a", "no known kind"),
    ],
)
def test_what_is_no_wikipedia_is_refused(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        find([write(tmp_path / name, content)])


def test_all_files_that_are_refused_are_named(tmp_path):
    for name in ("a.xml", "c.xml"):
        (tmp_path / name).write_text("<html>")
    (tmp_path / "b.xml").write_text("<mediawiki><siteinfo><dbname>dewiki</dbname></siteinfo></mediawiki>")
    with pytest.raises(InputError, match=r"a\.xml is no MediaWiki dump.*; refused, too: \S+c\.xml$"):
        find([str(tmp_path)])


def test_missing_paths_folders_without_dumps_and_unknown_languages_are_refused(tmp_path):
    write(tmp_path / "a" / "b.txt", "c")
    for paths, language, message in [
        ([tmp_path / "none.xml"], None, "no file or folder"),
        ([tmp_path / "a"], None, "holds no dump"),
        (["nowhere://a"], None, "cannot open"),
        ([], "tlh", "no Wikipedia"),
    ]:
        with pytest.raises(InputError, match=message):
            find(paths, language)


def test_tables_without_the_columns_or_with_strange_languages_are_refused(tmp_path):
    pq.write_table(pa.table({"title": ["a"]}), tmp_path / "enwiki.parquet")
    with pytest.raises(InputError, match=r"lacks the columns \['text'\]"):
        find([tmp_path])
    pq.write_table(pa.table({"title": ["a"], "text": ["b"], "lang": ["tlh"]}), tmp_path / "enwiki.parquet")
    with pytest.raises(InputError, match="tlh"):
        find([tmp_path])


# What is broken


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
    monkeypatch.setattr(dumps, "CHUNK", 100)
    endless = page("a", "x" * 5000)
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", dump(endless, page("good"), endless[:-7])))
    assert titles == ["good"]
    assert tally["dropped.too_long"] == 2


def test_bytes_that_are_no_utf8_cost_one_page(tmp_path):
    content = dump(page("a", "caf\u00e9"), page("good")).encode().replace("é".encode(), b"\xe9")
    titles, tally = titles_and_tally(write(tmp_path / "dewiki.xml", content))
    assert titles == ["good"]
    assert tally["dropped.bad_xml"] == 1


def test_bytes_that_are_no_utf8_in_a_table_are_replaced(tmp_path):
    text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"], pa.binary()).buffers())
    pq.write_table(pa.table({"title": ["a"], "text": text}), tmp_path / "enwiki.parquet")
    assert articles_of([tmp_path]) == [("en", "a", "caf\ufffd")]


# Real data


@pytest.mark.shared
def test_real_dumps_give_the_articles_of_the_naive_twin(shared_data):
    paths = sorted((shared_data / "wikipedia").rglob("*.bz2"))
    assert len(paths) > 60
    for path in paths:
        expected = naive_articles(bz2.decompress(path.read_bytes()))
        pages = dumps.xml_pages(dumps.unpacked(str(path)), Counter())
        found = [(p.title, p.text) for p in pages if p.namespace == "0" and not p.redirect]
        assert found == expected


@pytest.mark.shared
def test_real_wikipedias_are_told_by_their_folders(shared_data):
    for folder in (shared_data / "wikipedia" / "mini").iterdir():
        assert {file.wikipedia for file in find([folder])} == {folder.name}
