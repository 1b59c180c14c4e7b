"""Naive twin of what pages say of their use, by the parser of the standard library."""

from html.parser import HTMLParser

from tests.naive.structured_fields import naive_refuses_training

ROBOTS = {"noai": 1, "noimageai": 2, "noindex": 4, "none": 4, "noimageindex": 8, "noml": 64}


class Reader(HTMLParser):
    """Collects the attributes of metas and of images."""

    def __init__(self, html):
        super().__init__()
        self.found = {"meta": [], "img": []}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag in self.found:
            self.found[tag].append({name: value or "" for name, value in reversed(attrs)})


def naive_pairs(html, headers):
    """Return signals, stated width and height of each image of a page with such headers."""
    found = Reader(html).found
    stated = list(headers)
    for meta in found["meta"]:
        if "content" in meta:
            stated += [(meta[key], meta["content"]) for key in ("name", "http-equiv") if key in meta]
    page = naive_page_signals(stated)
    sizes = [[naive_pixels(image.get(side, "")) for side in ("width", "height")] for image in found["img"]]
    own = [32 if "data-noai" in image else 0 for image in found["img"]]
    return [(page + bit, *size) for bit, size in zip(own, sizes, strict=True)]


def naive_page_signals(stated):
    """Return the sum of the signals that headers and metas state."""
    said = set()
    usages = [value for name, value in stated if name.strip().lower() == "content-usage"]
    if naive_refuses_training(", ".join(usages)):
        said.add(512)
    for name, value in stated:
        name = name.strip().lower()
        for token in value.lower().split(","):
            token = token.split(":")[-1].strip()
            if naive_speaks_to_robots(name) and token in ROBOTS:
                said.add(ROBOTS[token])
            if name == "tdm-reservation" and token == "1":
                said.add(16)
    return sum(said)


def naive_speaks_to_robots(name):
    """Say whether a header or meta has the name of all robots, or of one."""
    if name in ("robots", "x-robots-tag"):
        return True
    is_plain = all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name)
    return is_plain and any(word.endswith("bot") for word in name.split("-"))


def naive_pixels(value):
    """Return the number of pixels that the value of an attribute states, or None."""
    value = value.lower().strip(" \t\n\r\f\v").removesuffix("px").rstrip(" \t\n\r\f\v").removeprefix("+")
    whole, dot, part = value.partition(".")
    digits = set("0123456789")
    sound = whole and len(whole) <= 6 and set(whole) <= digits and set(part) <= digits
    return int(whole) if sound else None
