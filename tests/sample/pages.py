"""Made-up pages: whose images have which texts, and how a page spells their URLs.

A page is a function of its number, and the text of an image one of the image, so all of them can be made in any order.
"""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from tests.sample.texts import names, sentence, zipf

# Percent of the pages; about 44 % of the web's alt texts are English.
SHARES = {
    **{"en": 44, "de": 7, "es": 6, "fr": 6, "ja": 6, "ru": 6, "zh": 5, "pt": 3, "ar": 2, "id": 2, "ko": 2, "pl": 2},
    **{"tr": 2, "bg": 1, "cs": 1, "fa": 1, "he": 1, "hi": 1, "th": 1, "vi": 1},
}
UP_TO = list(accumulate(SHARES.values()))
SITES = 6  # of each language
POPULAR = 40  # images of a site that many of its pages show
BADGE = "https://cdn.share.example/badge.png"  # one image with another text on every page
SPACER = "https://cdn.share.example/spacer.gif"
JUNK = [
    "image",
    "IMG_2034.jpg",
    "photo",
    "",
    "logo",
    "   ",
    "DSC00123",
    "untitled-1.png",
    "😀👍",
    "Caf&eacute; &amp; bar",
    "12/05/2019",
    "★★★★★",
    "$19.99",
    "—",
    "null",
    "fi\u200bx\u00adme\n\n2 lines\tand a tab",
    "ｆｕｌｌ　ｗｉｄｔｈ™",
]


@dataclass(frozen=True)
class Page:
    """One page; `images` are the attributes of its <img> in order, `base` is its <base href> or None."""

    number: int
    language: str
    url: str
    title: str
    base: str | None
    images: list[dict[str, str]]

    @property
    def robots(self) -> str:
        """What the page tells robots."""
        return "noai, noimageai" if self.number % 25 == 0 else "index, follow"


def page(number: int) -> Page:
    """Return the page of that number."""
    random = Random(number)
    language = list(SHARES)[bisect(UP_TO, random.random() * UP_TO[-1])]
    host = f"https://{language}{int(random.random() * SITES)}.example"
    base = zipf([None, f"{host}/media/", "/media/"], random) if random.random() < 0.1 else None
    title = sentence(language, random)
    images = [_spelled(image, host, base, random) for image in _images(number, language, host, title, random)]
    return Page(number, language, f"{host}/blog/{number}.html", title, base, images)


def _images(number, language, host, title, random) -> list[dict[str, str]]:
    """Return the images of a page with absolute URLs."""
    images = [{"src": f"{host}/media/logo.png", "alt": host.removeprefix("https://")}]
    if random.random() < 0.3:
        images.append({"src": BADGE, "alt": f"{title} ({number})"})
    if random.random() < 0.3:
        images.append({"src": SPACER, "alt": ""})
    for place in range(6 + int(random.random() * 6)):
        new = random.random() < 0.7
        name = number * 16 + place + POPULAR if new else int(random.random() ** 2 * POPULAR)
        images.append(_image(language, host, name, random))
    return images


def _image(language, host, name, random) -> dict[str, str]:
    """Return an image with the texts that it has everywhere; a page in ten describes it in its own words."""
    own = Random(f"{host}/{name}")
    image = {"src": f"{host}/media/{_file(name)}", "alt": _text(language, own)}
    if random.random() < 0.1:
        image["alt"] = _text(language, random)
    if random.random() < 0.15:
        image["title"] = image["alt"] if random.random() < 0.4 else _text(language, random)
    if random.random() < 0.05:
        image["data-image-title"] = _text(language, random)
    if random.random() < 0.02:
        image["src"] = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    if random.random() < 0.03:
        del image["alt"]
    return image


def _file(name: int) -> str:
    return f"bild-ö{name}.jpg?w=300&h=200" if name % 17 == 0 else f"{name}.jpg"


def _text(language, random) -> str:
    """Return what one finds in an alt: mostly a sentence, now and then English, names, junk or far too much."""
    kind = random.random()
    if kind < 0.12:
        return zipf(JUNK, random)
    if kind < 0.18:
        return names(language, random)
    if kind < 0.183:
        return " ".join(sentence(language, random) for _ in range(80))
    return sentence("en" if kind > 0.94 else language, random)


def _spelled(image, host, base, random) -> dict[str, str]:
    """Return the image with its URL as a page may write it, in four of ten cases relative."""
    media = f"{host}/media/"
    if not image["src"].startswith(media) or random.random() < 0.55:
        return image
    name = image["src"].removeprefix(media)
    scheme_relative = media.removeprefix("https:") + name
    near = name if base else f"../media/{name}"
    return image | {"src": zipf([f"/media/{name}", near, scheme_relative], random)}
