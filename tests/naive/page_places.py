"""Naive twin of the places that pages give their images: by selectolax's tree, with sets of words."""

import re

from curation.kernels.places import NAMES_OF_PLACES

WORDS = {bit: set(words.split()) for bit, words in NAMES_OF_PLACES.items()}
FIGURE, HEADER, FOOTER, MENU, ADVERT, INTERFACE, CONTENTS = 8192, *WORDS
CONTAINERS = "div section article main nav aside header footer figure form table ul ol".split()


def naive_places(image):
    """Return the bits of IMAGE_PLACES, without those of the link, of an image of a tree."""
    around, node = [], image
    while (node := node.parent) is not None:
        around.append(node)
    link = [node for node in around if node.tag == "a"][:1]
    places = set()
    for node in [node for node in reversed(around) if node.tag in CONTAINERS] + link + [image]:
        places = naive_inner(places, naive_own(node))
    return sum(places)


def naive_inner(outer, own):
    if own & {MENU, INTERFACE}:
        own = own - {CONTENTS}
    if CONTENTS in own | outer:
        own = own - {HEADER, FOOTER}
    if CONTENTS in own:
        outer = outer - {INTERFACE}
    elif INTERFACE in own:
        outer = outer - {CONTENTS}
    return outer | own


def naive_own(node):
    """The places that an element's tag, id, class and role name, and rel where it says `sponsored`."""
    values = {name: value or "" for name, value in node.attributes.items()}
    found = naive_named(values.get("id", "")) | naive_named(values.get("class", ""))
    found |= naive_named(node.tag) if node.tag in CONTAINERS else set()
    found |= {FIGURE} if node.tag == "figure" else set()
    found |= {HEADER if place == ADVERT else place for place in naive_named(values.get("role", ""))}
    return found | (naive_named(values.get("rel", "")) & {ADVERT})


def naive_named(value):
    """The places named by words: letters, ASCII or not, up to another sign or to a capital behind a small letter."""
    pieces = re.findall("(?:[A-Za-z]|[^\0-\x7f])+", value)
    words = [word for piece in pieces for word in re.sub("([a-z]|[^\0-\x7f])([A-Z])", r"\1 \2", piece).split(" ")]
    return {bit for bit, listed in WORDS.items() for word in words if word.lower() in listed}
