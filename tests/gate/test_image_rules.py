"""Words of URLs, drawings, texts of an image and stated sizes count as the rules over images say, case by case."""

from random import Random

import pytest

from curation.inputs.crawl.links import IMAGE_PLACES
from curation.leaves.gate.image_rules import url_words
from curation.leaves.gate.policies import Policy
from curation.leaves.gate.word_tables import listed
from curation.licences import LICENCES
from tests.support.rules import failing_images
from tests.support.stated_images import batch, image


@pytest.mark.parametrize(
    ("path", "fails"),
    [
        ("/logo.png", True),
        ("/siteLogo2.png", True),
        ("/img/LOGO-big.png", True),
        ("/XMLIcon.png", True),
        ("/icon24x24.png", True),
        ("/static/icons/a.png", True),
        ("/social-icons/a.png", True),
        ("/third-party-logos/a.png", True),
        ("/a%2Flogo.png", True),
        ("/a/%6Cogo.png", True),
        ("/_sprite_2x.png", True),
        ("/AVATARS/1", True),
        ("/logo", True),
        ("/logo.42faf13.png", True),
        ("/lazyload-empty.gif", True),
        ("/transparent-16x9.png", True),
        ("/no-image.png", True),
        ("/coming_soon.png", True),
        ("/facebook-dark.png", True),
        ("/catalogo.png", False),
        ("/logoed.png", False),
        ("/silicon.png", False),
        ("/pixelated.jpg", False),
        ("/google-pixel-7.jpg", False),
        ("/display_pic_with_logo/1.jpg", False),
        ("/d_placeholder_image/1.jpg", False),
        ("/a-hallway-with-the-logo-of-a-firm.jpg", False),
        ("/a-photograph-of-the-sign-with-the-new-logo.jpg", False),
        ("/loading-dock.jpg", False),
        ("/promo/our-book.jpg", True),
        ("/promo.jpg", False),
        ("/null", True),
        ("/files/anonymous.jpg", True),
        ("/no-cat-image.jpg", False),
        ("/footer-logo-firm-new-town-of-men.png", True),
        ("/donate-button-en.png", True),
        ("/headers/a.jpg", True),
        ("/header_small/a.jpg", False),
        ("/misc/forum_stats.png", True),
        ("/élogo.png", False),
        ("/%C3%A9logo.png", False),
        ("/a.jpg?logo=1", False),
        ("/a.jpg#logo", False),
        ("/a.logo", False),
        ("?x=/logo.png", False),
        ("/advertisementsandmore.png", False),
        ("/" + "logo" * 100_000, False),
        ("", False),
        ("/", False),
    ],
)
def test_words_count_where_a_file_or_folder_has_its_name_from_them(path, fails):
    assert failing_images("url_words", batch(image("http://logo.example" + path))) == [fails]


@pytest.mark.parametrize(
    ("url", "fails"),
    [
        ("http://a.example/b.svg", True),
        ("http://a.example/b.SVGZ?x#y", True),
        ("http://wikimedia.org.example/b.svg", True),
        ("http://a.example/wikimedia.org/b.svg", True),
        ("http://upload.wikimedia.org/b.svg", False),
        ("HTTPS://UPLOAD.WIKIMEDIA.ORG:443/b.svg", False),
        ("http://a.example/b.svg.png", False),
        ("http://a.example/b.svgs", False),
        ("http://a.example/b?x=.svg", False),
        ("http://a.example/b.sv", False),
        ("http://a.example/b.svg/c", False),
    ],
)
def test_drawings_stay_only_from_media_archives(url, fails):
    assert failing_images("svg", batch(image(url))) == [fails]


def test_texts_of_an_image_are_counted_by_language_and_those_of_archives_are_not():
    texts = [("a", "en"), ("b", "en"), ("c", "de"), ("d", "fr")]
    rows = [
        image(texts=texts[1:]),
        image(texts=texts),
        image("http://upload.wikimedia.org/a.png", texts),
        image(texts=[]),
    ]
    assert failing_images("max_texts_per_image", batch(*rows)) == [False, True, False, False]


@pytest.mark.parametrize(
    ("places", "shown", "structure", "away"),
    [
        (["in home link"], 1, True, False),
        (["in home link", "in contents"], 1, True, False),
        (["in home link", "in figure"], 9, False, False),
        (["in link away"], 2, False, False),
        (["in link away"], 3, False, True),
        (["in link away"], None, False, False),
        (["in link away", "in figure"], 3, False, False),
        (["in home link", "in link away"], 3, True, True),
        (["in header"], 2, False, False),
        (["in header"], 3, True, False),
        (["in header", "in menu"], None, True, False),
        (["in header", "in menu", "in contents"], 9, False, False),
        (["in footer"], 1, True, False),
        (["in interface"], 1, True, False),
        (["in interface", "in contents"], 1, False, False),
        (["in figure"], 9, False, False),
        ([], 9, False, False),
    ],
)
def test_the_places_of_an_image_speak_for_or_against_it(places, shown, structure, away):
    row = image(signals=1 | sum(IMAGE_PLACES[place] for place in places), shown=shown)
    assert failing_images("structure", batch(row, image())) == [structure, False]
    assert failing_images("link_away", batch(row, image())) == [away, False]


@pytest.mark.parametrize(
    ("width", "height", "fails"),
    [
        (99, 500, True),
        (500, 99, True),
        (100, 100, False),
        (None, 99, True),
        (100, None, False),
        (None, None, False),
        (0, 0, True),
        (16, 9, False),
        (1, 1, True),
        (None, 9, True),
    ],
)
def test_the_smaller_stated_side_counts(width, height, fails):
    row = image(stated_width=width, stated_height=height)
    assert failing_images("min_stated_size", batch(row)) == [fails]


@pytest.mark.parametrize(
    ("url", "fails"),
    [
        ("http://doubleclick.net/a.jpg", True),
        ("HTTPS://C.StatCounter.com/1/0", True),
        ("http://a.b.statcounter.com", True),
        ("http://statcounter.com?a=b", True),
        ("http://statcounter.com.example/a", False),
        ("http://mystatcounter.com/a", False),
        ("http://com/a", False),
        ("http://51.la", True),
        ("http://a.example/statcounter.com/b.jpg", False),
        ("statcounter.com", False),
    ],
)
def test_hosts_of_counters_and_advertisements_count_with_all_below_them(url, fails):
    assert failing_images("url_words", batch(image(url))) == [fails]


@pytest.mark.parametrize(
    ("sides", "places", "fails"),
    [
        ((120, 90), ["in contents"], False),
        ((180, 90), ["in figure"], False),
        ((182, 90), ["in contents"], True),
        ((99, 99), ["in contents"], True),
        ((120, 90), ["in contents", "in menu"], True),
        ((120, 90), [], True),
        ((None, 90), ["in contents"], True),
    ],
)
def test_the_longer_side_of_thumbnails_counts(sides, places, fails):
    signals = sum(IMAGE_PLACES[place] for place in places)
    row = image(stated_width=sides[0], stated_height=sides[1], signals=signals)
    assert failing_images("min_stated_size", batch(row)) == [fails]


def test_words_of_urls_are_lower_case_letters_and_listed_once():
    assert all(word.isascii() and word.islower() for word in url_words())
    words = {row["word"]: row["places"] for row in listed("url_words.csv")}
    assert all(word.isalpha() or ("." in word and places == "host") for word, places in words.items())
    assert len(listed("url_words.csv")) == len(url_words()) >= 200


@pytest.mark.parametrize("names", ["cc0", "cc-by,cc0", "other", ",".join(LICENCES)])
def test_an_image_stays_if_its_pages_state_licences_and_none_but_those(names):
    draw = Random(names)
    stated = [[*draw.sample([*LICENCES], draw.choice([0, 1, 1, 2, 3]))] for _ in range(300)]
    own = [sum(map(LICENCES.get, each)) | draw.choice([0, 1, 8192]) for each in stated]
    [chosen] = Policy.parse([f"license:{names}"]).rules
    stays = [bool(each) and {*each} <= {*names.split(",")} for each in stated]
    rows = batch(*(image(signals=bits) for bits in own), image())
    assert chosen.fails(rows).tolist() == [*(not each for each in stays), True]
    assert chosen.fails(rows.slice(7, 9)).tolist() == [not each for each in stays[7:16]]
    assert chosen.fails(rows.slice(0, 0)).tolist() == []
