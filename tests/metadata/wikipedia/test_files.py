"""The Wikipedia of a file is found out from an argument, its path or its head."""

import bz2

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.wikipedia.dump_files import find
from runtime.errors import InputError
from tests.support.dumps import articles_of, dump, page, read, write


@pytest.mark.parametrize(
    ("name", "head", "argument", "code"),
    [
        ("dewiki-20240101-pages-articles1.xml-p1p297012.bz2", "de", None, "de"),
        ("zh_min_nanwiki.xml", "zh_min_nan", None, "zh_min_nan"),
        ("be_x_oldwiki-latest-pages-articles.xml", "be_x_old", None, "be_x_old"),
        ("mini/zh-yue/wiki.xml", "en", None, "zh_yue"),
        ("language=th/dump.xml", "en", None, "th"),
        ("simplewiki/dump.xml", "en", None, "simple"),
        ("some/dump.xml", "als", None, "als"),
        ("de/dump.xml", "de", "fr", "fr"),
        ("some/dump.xml", "some_private_", "zh-yue", "zh_yue"),
        ("enwiki-2025-11-01-p1p41242.xml.bz2", "en", None, "en"),
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
        ("some/dump.xml", dump(page(), code="some_private_"), "pass its code to wikipedia_code"),
        ("enwiki.txt", "a", "does not end as a known format"),
        ("enwiki.xml", "<html><body>", "not a MediaWiki dump"),
        ("enwiki.xml.bz2", "no bz2", "damaged"),
        ("enwiki.json", "[1]\n{}\n", "not a Cirrus search dump"),
        ("enwiki.parquet", "PAR1", "not Parquet"),
        ("empty/readme.md", "a", "does not end as a known format"),
    ],
)
def test_what_is_no_wikipedia_is_refused(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        find([write(tmp_path / name, content)])


def test_all_files_that_are_refused_are_named(tmp_path):
    for name in ("a.xml", "c.xml"):
        (tmp_path / name).write_text("<html>")
    (tmp_path / "b.xml").write_text("<mediawiki><siteinfo><dbname>dewiki</dbname></siteinfo></mediawiki>")
    (tmp_path / "enwiktionary.xml").write_text(dump(page()))
    with pytest.raises(InputError) as refusal:
        find([str(tmp_path), str(tmp_path / "none")])
    assert str(refusal.value).replace(f"{tmp_path}/", "") == (
        "some paths cannot be read as a Wikipedia: none (it does not exist, or is an empty folder); a.xml, c.xml (it is"
        " not a MediaWiki dump: it begins with '<html>'); enwiktionary.xml (it belongs to enwiktionary, another "
        "project); a Wikipedia is a dump (.xml, also .bz2, .gz or .xz), a Cirrus search dump (.json.gz) or Parquet"
    )


def test_missing_paths_folders_without_dumps_and_unknown_languages_are_refused(tmp_path):
    write(tmp_path / "a" / "b.txt", "c")
    for paths, language, message in [
        ([tmp_path / "none.xml"], None, "it does not exist"),
        ([tmp_path / "a"], None, "does not hold a dump"),
        (["nowhere://a"], None, "cannot be opened"),
        ([], "tlh", "not the code of a Wikipedia"),
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


@pytest.mark.shared
def test_real_wikipedias_are_told_by_their_folders(shared_data):
    for folder in (shared_data / "wikipedia" / "mini").iterdir():
        assert {file.wikipedia for file in find([folder])} == {folder.name}
