"""Words of URLs, stated sizes and licences count as the rules over images say, case by case."""

from random import Random

import pytest

from curation.licences import LICENCES
from curation.plugins.gate.filters import IMAGE, ImageBatch
from curation.plugins.gate.policies.image_rules import url_words
from curation.plugins.gate.policies.policies import Policy
from curation.plugins.gate.policies.word_tables import rows_in
from tests.support.rules import failing
from tests.support.stated_images import batch, image

pytestmark = pytest.mark.kernels


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
        ("/foto/spacer-po-lesie.jpg", False),  # "a walk" in Polish
        ("/img/spacer_1x1.gif", True),
        ("/foto/navi/titanic.jpg", False),  # "ships" in Italian
        ("/ajax-1995.jpg", False),
        ("/ajax-loader.gif", True),
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
    assert failing("url_words", batch(image("http://logo.example" + path))) == [fails]


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
    assert failing("min_stated_size", batch(row)) == [fails]


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
    assert failing("url_words", batch(image(url))) == [fails]


def test_words_of_urls_are_lower_case_letters_and_listed_once():
    assert all(word.isascii() and word.islower() for word in url_words())
    words = {row["word"]: row["places"] for row in rows_in("url_words.csv")}
    assert all(word.isalpha() or ("." in word and places == "host") for word, places in words.items())
    assert len(rows_in("url_words.csv")) == len(url_words()) >= 200


@pytest.mark.parametrize("names", ["cc0", "cc-by,cc0", "other", ",".join(LICENCES)])
def test_an_image_stays_if_its_pages_state_licences_and_none_but_those(names):
    draw = Random(names)
    stated = [[*draw.sample([*LICENCES], draw.choice([0, 1, 1, 2, 3]))] for _ in range(300)]
    own = [sum(map(LICENCES.get, each)) | draw.choice([0, 1, 8192]) for each in stated]
    [chosen] = Policy.parse([f"license:{names}"]).filters(IMAGE)
    stays = [bool(each) and {*each} <= {*names.split(",")} for each in stated]
    rows = batch(*(image(signals=bits) for bits in own), image())
    assert chosen.mask(ImageBatch.of(rows)).tolist() == [*(not each for each in stays), True]
    assert chosen.mask(ImageBatch.of(rows.slice(7, 9))).tolist() == [not each for each in stays[7:16]]
    assert chosen.mask(ImageBatch.of(rows.slice(0, 0))).tolist() == []
