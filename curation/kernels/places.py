"""The words in names of elements that tell where on a page their content is, and the bits for these places."""

import numpy as np

from curation.kernels.markup import name_index, table_of
from runtime.kernels import lean
from runtime.kernels.machine import byte_at

# These bits tell where on the page an image is; they are also in schemas.IMAGE_PLACES.
FIGURE, HEADER, FOOTER, MENU, ADVERT, INTERFACE, CONTENTS = (1 << bit for bit in (13, *range(24, 30)))
# These words, in ids, classes, roles and tags, say where an image is, or what it is. Other words, such as `search`,
# `author` and `aside`, are around described pictures just as often.
NAMES_OF_PLACES = {
    HEADER: "head header hdr masthead topbar",
    FOOTER: "colophon contentinfo foot footer ftr",
    MENU: (
        "breadcrumb breadcrumbs dropdown megamenu menu menubar nav navbar navi navigation submenu subnav toolbar topnav"
    ),
    ADVERT: (
        "ad ads adsbygoogle adsense advert advertisement advertisements advertising adverts banner banners dfp "
        "leaderboard mpu promo promos promotion promotions skyscraper sponsor sponsored sponsors"
    ),
    INTERFACE: (
        "avatar avatars badge badges button buttons captcha close comment commentlist comments cookie emoticon flag "
        "flags follow gravatar ico icon icons inlineimg login logo logos payment payments rating ratings share sharing "
        "smilie smiley smilies social spinner stars statusicon subforumicon userpic"
    ),
    CONTENTS: (
        "album article caption entry gallery grid hentry item items listing photo photos picture pictures portfolio "
        "post product products recipe related result results story teaser thumb thumbnail thumbnails thumbs"
    ),
}

_SPACE = ord(" ")

BIT_OF: dict[str, int] = {}
for _bit, _names in NAMES_OF_PLACES.items():
    BIT_OF.update(dict.fromkeys(_names.split(), _bit))
_ORDERED_NAMES, PLACE_NAMES = table_of(BIT_OF)
PLACE_BITS = np.array([BIT_OF[name] for name in _ORDERED_NAMES])


@lean
def inner_bits(outer, inner):
    """Return the bits of the page inside an element: `outer` holds the bits around it, `inner` the bits of its names.

    Inner CONTENTS replace an outer INTERFACE, and the reverse. The element's own CONTENTS do not count beside its own
    MENU or INTERFACE. Its own HEADER and FOOTER do not count in CONTENTS.
    """
    if inner & (MENU | INTERFACE):
        inner &= ~CONTENTS
    if (inner | outer) & CONTENTS:
        inner &= ~(HEADER | FOOTER)
    if inner & CONTENTS:
        outer &= ~INTERFACE
    elif inner & INTERFACE:
        outer &= ~CONTENTS
    return outer | inner


@lean
def bits_of_words(data, begin, end):
    """Return the bits of the words in data[begin:end]: runs of letters, cut where a capital follows a small letter."""
    bits = np.int64(0)
    i = np.int64(begin)
    was_small = False
    while i <= end:
        byte = byte_at(data, i) if i < end else _SPACE
        is_letter = ord("a") <= byte | 32 <= ord("z") or byte >= 0x80
        if not is_letter or (was_small and byte < ord("a")):
            number = name_index(data, begin, i, PLACE_NAMES) if begin < i else -1
            bits |= PLACE_BITS[number] if number >= 0 else 0
            begin = i if is_letter else i + 1
        was_small = is_letter and byte >= ord("a")
        i += 1
    return bits
