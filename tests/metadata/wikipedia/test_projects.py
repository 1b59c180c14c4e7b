"""Files of Wikimedia's other projects are never read as a Wikipedia."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metadata.languages import is_wikipedia
from metadata.wikipedia.dump_files import WIKIS, find
from runtime.errors import InputError
from tests.support.dumps import dump, page, write

SITE = "<siteinfo><dbname>{}</dbname><base>{}</base></siteinfo>"


@pytest.mark.parametrize("language", [None, "en"])
@pytest.mark.parametrize(
    ("name", "siteinfo"),
    [
        ("en/enwiktionary-20240101-pages-articles.xml", ""),
        ("en/commonswiki-latest-pages-articles.xml", ""),
        ("wikidatawiki-latest.xml", ""),
        ("en/specieswiki.xml", ""),
        ("en/zh_min_nanwiktionary.xml", ""),
        ("enwikivoyage/pages.xml", ""),
        ("enwiktionary/20240101/pages.xml", ""),
        ("en/pages.xml", SITE.format("enwiktionary", "")),
        ("enwiki/pages.xml", SITE.format("commonswiki", "https://commons.wikimedia.org/wiki/Main_Page")),
        ("en/pages.xml", SITE.format("", "https://en.wiktionary.org/wiki/Wiktionary:Main_Page")),
        ("en/pages.xml", SITE.format("", "http://www.wikidata.org/wiki/A")),
    ],
)
def test_a_dump_of_another_project_is_refused(tmp_path, name, siteinfo, language):
    path = write(tmp_path / name, dump(page(), siteinfo=siteinfo))
    for given in (path, tmp_path):
        with pytest.raises(InputError, match=rf"{path.name} \(it belongs to \S+, another project\)"):
            find([given], language)


@pytest.mark.parametrize(
    ("name", "siteinfo", "code"),
    [
        ("enwiki.xml", SITE.format("enwiki", "https://en.wikipedia.org/wiki/Main_Page"), "en"),
        ("en/pages.xml", SITE.format("wikidb", "http://localhost/wiki"), "en"),
        ("wikimedia/wikipedia/20231101.en/pages.xml", "", "en"),
        ("wikisource/en/pages.xml", "", "en"),  # a folder's name that is no database's
        ("commonswiki/enwiki-latest.xml", "", "en"),
        ("en/metawiki2.xml", "", "en"),
    ],
)
def test_a_wikipedia_is_read(tmp_path, name, siteinfo, code):
    write(tmp_path / name, dump(page(), siteinfo=siteinfo))
    assert [file.wikipedia for file in find([tmp_path])] == [code]


def test_a_cirrus_dump_of_another_project_is_refused(tmp_path):
    line = json.dumps({"title": "dog", "text": "a dog", "namespace": 0, "wiki": "enwiktionary", "language": "en"})
    path = write(tmp_path / "en" / "a-cirrussearch-content.json.gz", line, gzip.compress)
    with pytest.raises(InputError, match=r"\(it belongs to enwiktionary, another project\)"):
        find([path])


def test_a_table_with_addresses_of_another_project_is_refused(tmp_path):
    (tmp_path / "20231201.en").mkdir()
    table = pa.table({"title": ["a"], "text": ["b"], "url": ["https://en.wikisource.org/wiki/a"]})
    pq.write_table(table, tmp_path / "20231201.en" / "train.parquet")
    with pytest.raises(InputError, match=r"\(it belongs to en.wikisource.org, another project\)"):
        find([tmp_path])


def test_no_other_project_is_a_wikipedia_of_the_table():
    assert not [code for code in WIKIS if is_wikipedia(code)]
