"""Downloads are planned from languages and a seed alone; published checksums are found in their lists."""

import hashlib

import pytest

from metadata.download.sources import WORDNETS, Download, Listing, Published, Snapshot, plan, published_digest
from metadata.languages import LANGUAGES
from runtime.errors import InputError


def test_sums_are_read_in_every_form_that_the_tools_write():
    digest = hashlib.md5(b"x").hexdigest()
    for line in (f"{digest}  a.gz", f"{digest} *a.gz", f"{digest}  ./a.gz", f"{digest.upper()}  a.gz\r"):
        text = f"not a line\n\n{'0' * 32}  b-a.gz\n{line}\n"
        assert published_digest(Published("https://a.org", "a.gz"), text) == digest


def test_sums_without_the_file_or_with_a_broken_checksum_give_none():
    for text in ("", "<html>", f"{'0' * 32}  b.gz", f"{'0' * 31}  a.gz", f"{'g' * 32}  a.gz", "a.gz"):
        assert published_digest(Published("https://a.org", "a.gz"), text) is None


def test_the_index_of_nltk_gives_the_better_checksum_of_the_very_package():
    text = (
        '<packages><package id="wordnet31" checksum="' + "1" * 32 + '"/>\n'
        '<package checksum="' + "2" * 32 + '" id="wordnet"\n name="犬" sha256_checksum="' + "3" * 64 + '" />'
        '<package id="omw-1.4" checksum="' + "4" * 32 + '"/></packages>'
    )
    found = [published_digest(Published("https://a.org", name, "nltk"), text) for name in ("wordnet", "omw-1.4", "omw")]
    assert found == ["3" * 64, "4" * 32, None]


def test_the_dump_of_every_wikipedia_of_a_language_is_planned():
    wikis = [listing.folder.split("/")[3] for listing in plan(["zh", "be"], ["wikipedia"])]
    assert {"zhwiki", "zh_yuewiki", "zh_classicalwiki", "bewiki", "be_x_oldwiki"} <= set(wikis)
    assert len(wikis) == len(set(wikis))
    assert "be_taraskwiki" not in wikis


def test_a_dump_is_planned_by_the_list_of_its_checksums():
    [listing] = plan(["ja"], ["wikipedia"], snapshot=Snapshot(dump="20240101"))
    folder = "https://dumps.wikimedia.org/jawiki/20240101"
    name = "jawiki-20240101-pages-articles-multistream.xml.bz2"
    sums = f"{folder}/jawiki-20240101-sha1sums.txt"
    assert (listing.sums, listing.marker) == (sums, None)
    assert listing.downloads([name]) == [Download(f"{folder}/{name}", f"wikipedia/{name}", Published(sums, name))]


def test_the_content_that_is_current_is_planned_by_its_day_and_needs_one():
    listings = plan(["be"], ["wikipedia"], snapshot=Snapshot(dump="20251101", content_current=True))
    folder = "https://dumps.wikimedia.org/other/mediawiki_content_current/be_x_oldwiki/2025-11-01/xml/bzip2"
    assert [(each.folder, each.sums, each.marker) for each in listings][-1] == (
        folder,
        f"{folder}/SHA256SUMS",
        f"{folder}/_SUCCESS",
    )
    with pytest.raises(InputError, match="such as dump 20251101"):
        Snapshot(content_current=True)


def test_all_languages_are_planned_by_default_and_each_file_once():
    planned = plan(None, ["wikipedia", "pageviews", "wordnet"])
    wikis = {code for language in LANGUAGES for code in language.wikipedia} - {"be_tarask"}
    assert sum(isinstance(each, Listing) for each in planned) == len(wikis)
    assert len(set(planned)) == len(planned)


def test_the_days_are_drawn_by_the_seed_alone():
    first, again, other = (plan(["en"], ["pageviews"], seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert first == plan(["ja", "th"], ["pageviews"], 0)
    assert len(first) == 26


def test_the_days_of_a_seed_stay_as_they_are():
    names = "".join(each.path for each in plan(["en"], ["pageviews"], seed=0))
    assert hashlib.md5(names.encode()).hexdigest() == "6341fcadb1bcca8e59168019ddbbfa44"
    assert "pageviews/pageviews-20240705-070000.gz" in names


def test_days_and_hours_are_drawn_evenly():
    downloads = [each for seed in range(100) for each in plan(["en"], ["pageviews"], seed)]
    stamps = [each.path.split("-")[1:] for each in downloads]
    months = [stamp[0][4:6] for stamp in stamps]
    hours = [stamp[1][:2] for stamp in stamps]
    assert all(130 < months.count(f"{month:02}") < 290 for month in range(1, 13))
    assert all(60 < hours.count(f"{hour:02}") < 160 for hour in range(24))


def test_hourly_files_lie_in_the_folder_of_their_month():
    url = next(each.url for each in plan(["en"], ["pageviews"], seed=0) if "20240705" in each.url)
    assert url == "https://dumps.wikimedia.org/other/pageviews/2024/2024-07/pageviews-20240705-070000.gz"


def test_wordnets_are_planned_for_the_languages_that_have_one():
    def names(*languages):
        return [each.path for each in plan(languages, ["wordnet"])]

    assert names("en") == ["wordnet/wordnet.zip"]
    assert names("sq", "zh") == ["wordnet/omw-1.4.zip"]
    assert names("als", "zu") == []
    assert [each.published.name for each in plan(["en", "ja"], ["wordnet"])] == ["wordnet", "omw-1.4"]


def test_newer_wordnets_are_planned_by_name():
    def urls(*languages, **numbers):
        return [each.url for each in plan(languages, ["wordnet"], snapshot=Snapshot(**numbers))]

    release = "https://github.com/omwn/omw-data/releases/download/v2.0"
    assert urls("ja", "sq", wordnets=("omw-2.0",)) == [f"{release}/omw-{name}-2.0.tar.xz" for name in ("ja", "sq")]
    assert urls("it", wordnets=("omw-2.0",)) == [f"{release}/omw-{name}-2.0.tar.xz" for name in ("it", "iwn")]
    assert urls("en", wordnets=("oewn-2025",)) == ["https://en-word.net/static/english-wordnet-2025.xml.gz"]
    assert [url.rpartition("/")[2] for url in urls("de", wordnets=("odenet-1.4", "omw-1.4"))] == ["odenet-1.4.tar.xz"]


def test_every_wordnet_is_of_languages_in_the_table():
    codes = {code for urls in WORDNETS.values() for each in urls.values() for code in each.split()}
    assert codes <= {code for language in LANGUAGES for code in language.wordnet}
    assert len(WORDNETS["omw-2.0"]) == 32


def test_a_mirror_stands_for_wikimedia_checksums_included():
    listing, *views = plan(["ja"], ["wikipedia", "pageviews"], mirror="http://mirror.org/wikimedia/")
    for url in (listing.folder, listing.sums, *(each.url for each in views)):
        assert url.startswith("http://mirror.org/wikimedia/")
        assert "//" not in url.removeprefix("http://")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["xx"], ["wikipedia"]), "not the code of a metadata language"),
        ((["en"], ["wikipedia"], 0, "file:///dumps"), "not a URL to download from"),
    ],
)
def test_a_plan_of_something_unknown_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        plan(*arguments)


@pytest.mark.parametrize("dump", ["2024-01-01", "../latest"])
def test_a_snapshot_that_cannot_be_is_refused(dump):
    with pytest.raises(InputError, match="dump"):
        Snapshot(dump=dump)
