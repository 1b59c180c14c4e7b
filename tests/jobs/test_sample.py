"""The sample of `make demo` holds what a crawl holds, so that the demo shows what the program does about it."""

import bz2
import gzip
import json
from collections import Counter, defaultdict
from random import Random
from urllib.parse import urljoin

import fasttext
import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from curation.language.engines import default_model
from metadata import wordnet
from metadata.entries import Entries
from metadata.wikipedia import dump_files as wikifiles
from tests.sample.archives import BROKEN
from tests.sample.make_sample import make_sample
from tests.sample.texts import LANGUAGES, SPACELESS, entries, names, sections, sentence, zipf
from tests.sample.views import OTHER_PROJECTS
from tests.sample.wikipedias import MARKUP
from tests.sample.wordnets import CODES


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sample")
    make_sample(directory)
    return directory


@pytest.fixture(scope="module")
def documents(directory):
    """What the WATs' records say, and None for each that is no page's."""
    return [_document(record) for wat in sorted(directory.glob("crawl/*.wat.gz")) for record in _records(wat)]


@pytest.fixture(scope="module")
def images(documents):
    """(page URL, base, attributes) of every image of the WATs."""
    return [
        (document["WARC-Header-Metadata"]["WARC-Target-URI"], html["Head"].get("Base"), link)
        for document in documents
        if document and (html := _html(document))
        for link in html["Links"]
        if link["path"] == "IMG@/src"
    ]


@pytest.fixture(scope="module")
def texts(images):
    """The distinct alts of each absolute URL."""
    found = defaultdict(Counter)
    for page, base, image in images:
        found[urljoin(urljoin(page, base or ""), image["url"])][image.get("alt", "")] += 1
    return found


@pytest.mark.slow
def test_the_same_bytes_are_made_every_time(directory, tmp_path):
    make_sample(tmp_path)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")]
    wordnets = 4 + len(CODES)
    assert len(files) == 3 + 1 + 1 + len(LANGUAGES) + len(LANGUAGES) + 1 + wordnets
    assert all((tmp_path / file).read_bytes() == (directory / file).read_bytes() for file in files)


def test_no_time_is_in_the_gzip_members(directory):
    for path in directory.glob("crawl/*.gz"):
        assert path.read_bytes()[4:8] == bytes(4)


def test_every_record_is_a_gzip_member_as_in_common_crawl(directory):
    path = next(directory.glob("crawl/*.wat.gz"))
    data = path.read_bytes()
    starts = list(_finds(data, b"\x1f\x8b\x08" + bytes(5)))
    with open(path, "rb") as file:
        assert len(starts) == sum(1 for _ in ArchiveIterator(file)) > 1000
    assert gzip.decompress(data[starts[1] : starts[2]]).startswith(b"WARC/1.0\r\n")


def test_pages_are_in_at_least_twelve_languages_and_english_is_the_most_frequent(documents):
    metas = [_html(document)["Head"]["Metas"][0]["content"] for document in documents if document and _html(document)]
    pages = Counter(metas)
    assert len(pages) == len(LANGUAGES) >= 12
    assert pages["en"] == max(pages.values())
    assert 0.4 < pages["en"] / len(metas) < 0.5


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_are_identified_as_their_language(language):
    model, random = fasttext.load_model(str(default_model())), Random(0)
    labels = [model.predict(sentence(language, random))[0][0] for _ in range(200)]
    assert labels.count(f"__label__{language}") / len(labels) >= 0.85


def test_four_in_ten_urls_are_relative_and_some_to_a_base(images):
    relative = [(base, image) for _, base, image in images if not image["url"].startswith(("http", "data:"))]
    assert 0.35 < len(relative) / len(images) < 0.45
    assert sum(base is not None for base, _ in relative) > 100


def test_the_same_image_and_text_stand_on_several_pages(texts):
    repeated = [url for url, alts in texts.items() if max(alts.values()) > 1 and "logo" not in url]
    assert len(repeated) > 500


def test_an_image_has_more_texts_than_are_kept_of_one(texts):
    assert max(map(len, texts.values())) > 64


def test_some_images_have_several_texts(texts, images):
    assert sum(1 < len(alts) < 64 for alts in texts.values()) > 100
    assert sum(image.get("title", image.get("alt")) != image.get("alt") for _, _, image in images) > 100


def test_there_is_junk(images):
    alts = Counter(image.get("alt") for _, _, image in images)
    assert all(alts[junk] for junk in ("", None, "   ", "IMG_2034.jpg", "😀👍", "Caf&eacute; &amp; bar"))
    assert max(len(alt or "") for alt in alts) > 2000
    assert any(image["url"].startswith("data:") for _, _, image in images)


def test_broken_records_are_among_the_others(documents):
    assert documents.count(None) == 2 * len(BROKEN)


def test_html_pages_are_in_the_charset_that_they_name(directory):
    (warc,) = directory.glob("crawl/*.warc.gz")
    charsets = set()
    with open(warc, "rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            charset = record.http_headers["Content-Type"].partition("charset=")[2]
            assert f'charset="{charset}"' in record.reader.read().decode(charset)
            charsets.add(charset)
    assert charsets == {"utf-8", "shift_jis", "windows-1251"}


def test_pairs_hold_images_of_the_crawl_and_null_texts(directory, texts):
    pairs = pq.read_table(directory / "pairs/pairs.parquet").to_pylist()
    assert sum(pair["url"] in texts for pair in pairs) > 500
    assert any(pair["text"] is None for pair in pairs)


def test_entries_are_a_list_that_can_be_read(directory):
    lists = {path.stem: path.read_text("utf-8").splitlines() for path in directory.glob("entries/*.txt")}
    assert lists.keys() == set(LANGUAGES)
    assert len(Entries.build(lists)) == sum(map(len, lists.values())) > 4000


def test_a_dump_has_what_a_reader_must_leave_out(directory):
    for path in directory.glob("wikipedia/*.xml.bz2"):
        dump = bz2.decompress(path.read_bytes()).decode()
        assert all(each in dump for each in (*MARKUP, "#REDIRECT [[", "<ns>1</ns>", "&lt;ref&gt;", "[["))


def test_a_dump_is_of_the_wikipedia_that_its_name_and_head_tell(directory):
    files = wikifiles.find([directory / "wikipedia"])
    assert sorted(file.wikipedia for file in files) == LANGUAGES
    assert not any(file.conflict for file in files)


def test_page_views_are_of_all_languages_mobile_and_other_projects(directory):
    (path,) = directory.glob("pageviews/*.gz")
    lines = [line.split(" ") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert {len(line) for line in lines} == {4}
    projects = {line[0] for line in lines}
    assert projects == {*LANGUAGES, *(f"{language}.m" for language in LANGUAGES), *OTHER_PROJECTS}


def test_wordnets_can_be_read_in_both_forms(directory):
    files, tally = wordnet.find([directory / "wordnet"]), Counter()
    assert {file.language.code for file in files} == {"en", *CODES}
    assert all(len(wordnet.lemmas(file, tally)) > 20 for file in files)
    assert tally["other_keys"] > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_absent_entries_are_entries_that_occur_nowhere(language):
    random, absent = Random(0), sections(language)["absent"]
    assert absent
    assert set(absent) <= set(entries(language))
    texts = "\n".join(sentence(language, random) for _ in range(2000))
    assert not [entry for entry in absent if entry in texts]


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - SPACELESS))
def test_names_hold_no_entry(language):
    random = Random(0)
    words = {word for _ in range(200) for word in names(language, random).split()}
    assert not words & set(entries(language))


def test_few_items_are_frequent_and_many_rare():
    random, items = Random(0), list(range(60))
    drawn = Counter(zipf(items, random) for _ in range(10_000))
    assert drawn[0] > 2_000
    assert 0 < drawn[59] < 100
    assert len(drawn) == 60


def _records(path):
    with open(path, "rb") as file:
        yield from (record.reader.read() for record in ArchiveIterator(file, record_types=WarcRecordType.metadata))


def _document(payload):
    try:
        return dict(json.loads(payload)["Envelope"])
    except (ValueError, TypeError):
        return None


def _html(document):
    return document["Payload-Metadata"].get("HTTP-Response-Metadata", {}).get("HTML-Metadata")


def _finds(data, needle):
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)
