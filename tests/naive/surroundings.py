"""The surroundings of images from their definition: tokens in a list, words in lists, and blocks in a dictionary."""

import re
from collections import Counter

from curation.kernels.html import ATTRIBUTES, BREAKOUT, CONTAINERS, RAW, SETS

MOST_WORDS, NEAR_BYTES, CAPTION_BYTES = 16, 250, 2000
SIDES = ("width", "height")
TEXTS = ("alt", "title", "data-image-title")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
POINTS = {"svg": ("foreignobject", "desc", "title"), "math": ("mi", "mo", "mn", "ms", "mtext")}
SIZES = (8, 6, 9, 5, 5, 5, 5, 6, 6, 6, 6, 6)
SPACES = b" \t\n\f\r"
# The alternatives are signs, ideograms, references, signs again, and letters.
CHARACTER = re.compile(
    rb"(?P<sign>\xc2.?|\xe2[\x80\x81].?|\xe2\Z|\xe3\x80.?|[\xe3-\xe9].?\Z|\xef[\xbc\xbd].?)|(?P<alone>[\xe3-\xe9]..)"
    rb"|(?P<reference>&[0-9A-Za-z#\x80-\xc1\xc3-\xe1\xea-\xee\xf0-\xff]{0,9};)|(?P<letter>[0-9A-Za-z\x80-\xff])|.",
    re.S,
)


def naive_surroundings(page: bytes) -> list[int]:
    """Return the number of each image of a page."""
    images, h1 = found_images(page)
    top = words_of_element(page, h1)
    described = []
    for image in images:
        text = words_of(image["text"])
        after = image["after"]
        near = [
            words_in(page[after : after + NEAR_BYTES], b"img"),
            words_of_element(page, image["heading"]),
            top,
            words_of_element(page, image["link"]),
            words_of_element(page, caption_of(page, after) if image["in_figure"] else None),
        ]
        relations = [relation(text, words) for words in near]
        related = max(relations[:2] + relations[3:]) >= 3
        small = any(re.fullmatch(rb"[0-9]{1,2}(?i:px)?", image["attributes"].get(side, b"")) for side in SIDES)
        about = [len(text), len(image["text"]), related, small, image["link"] is not None]
        described.append((image["block"], text, about, relations))
    texts = Counter((block, *text) for block, text, _, _ in described)
    blocks = {}
    for block, _, about, _ in described:
        blocks.setdefault(block, []).append(about)
    return [numbered(blocks[block], texts[(block, *text)], about, near) for block, text, about, near in described]


def numbered(block: list[list[int]], equal: int, about: list[int], relations: list[int]) -> int:
    others = len(block) - 1
    sums = [sum(column) - own for column, own in zip(zip(*block, strict=True), about, strict=True)]
    words, size, *some = [value // max(others, 1) for value in (sums[0], sums[1])] + sums[2:] + [equal - 1]
    values = [min(others.bit_length(), 7), min(words.bit_length(), 5), min(size.bit_length(), 8)]
    values += [4 * value // max(others, 1) for value in some] + relations
    number = 0
    for value, size in zip(reversed(values), reversed(SIZES), strict=True):
        assert 0 <= value < size
        number = number * size + value
    return number


def relation(text: list[bytes], others: list[bytes]) -> int:
    if not text or not others:
        return 0
    shared = sum(word in others for word in text)
    if shared == len(text):
        return 5 if {*others} <= {*text} else 4
    return 3 if 2 * shared >= len(text) else 2 if shared else 1


def words_of(text: bytes) -> list[bytes]:
    """Return the first words of a text without tags."""
    return words_in(text, None)


def words_in(text: bytes, last_tag: bytes | None) -> list[bytes]:
    """Return the first words of a piece of a page, up to a tag that begins with the three bytes `last_tag`."""
    words = []
    word = b""
    i = 0
    while i < len(text):
        if text[i : i + 1] == b"<" and last_tag is not None:
            words.append(word)
            word = b""
            name, end = markup(text, i)
            if name and name.lstrip(b"/").lower()[:3] == last_tag:
                break
            i = end
            continue
        match = CHARACTER.match(text, i)
        i = match.end()
        if match["letter"]:
            word += match["letter"].lower()
        else:
            words += [word, match["alone"] or b""]
            word = b""
    return [word for word in [*words, word] if word][:MOST_WORDS]


def words_of_element(page: bytes, begin: int | None) -> list[bytes]:
    """Return the words of the element whose name begins at page[begin]."""
    if begin is None:
        return []
    name, _, end = naive_tag(page, begin - 1) or (b"", {}, len(page))
    name = name or re.match(rb"[^ \t\n\f\r/>]*", page[begin:])[0].lower()
    return words_in(page[end : end + NEAR_BYTES], name[:3])


def caption_of(page: bytes, after: int) -> int | None:
    piece = page[after : after + CAPTION_BYTES]
    match = re.search(rb"<(/?)fig(.)", piece[:-1], re.I | re.S)
    return after + match.start() + 1 if match and not match[1] and match[2].lower() == b"c" else None


def markup(text: bytes, i: int) -> tuple[bytes, int]:
    """Return the name of the tag at text[i], and the index after it; b"" for a comment or a plain <."""
    if re.match(rb"</?[A-Za-z]", text[i : i + 3]):
        name, _, end = naive_tag(text, i) or (b"", {}, len(text))
        name = name or re.match(rb"</?([^ \t\n\f\r/>]*)", text[i:])[1]
        if name[:3] in (b"scr", b"sty") and text[i + 1 : i + 2] != b"/":
            closed = re.compile(rb"</" + re.escape(name) + rb"[ \t\n\f\r/>]", re.I).search(text, end)
            end = closed.start() if closed else len(text)
        return name, end
    if text.startswith(b"<!--", i):
        rest = re.compile(rb"<!--(?:-?>|.*?--!?>|.*)", re.S).match(text, i)
        return b"", rest.end()
    if re.match(rb"<[!/?]", text[i : i + 2]):
        end = text.find(b">", i + 2)
        return b"", end + 1 if end >= 0 else len(text)
    return b"", i + 1


def naive_tag(page: bytes, i: int) -> tuple[bytes, dict[str, bytes], int] | None:
    """Return name, attributes and end of the tag at page[i]; None if it does not end."""
    name = re.compile(rb"</?([^ \t\n\f\r/>]*)").match(page, i)
    i = name.end()
    attributes = {}
    while True:
        i = re.compile(rb"[ \t\n\f\r/]*").match(page, i).end()
        if i >= len(page):
            return None
        if page[i : i + 1] == b">":
            return name[1].lower(), attributes, i + 1
        key = re.compile(rb".[^ \t\n\f\r/>=]*", re.S).match(page, i)
        value = re.compile(rb"[ \t\n\f\r]*=[ \t\n\f\r]*(\"[^\"]*(\"?)|'[^']*('?)|[^ \t\n\f\r>]*)").match(
            page, key.end()
        )
        i = key.end() if value is None else value.end()
        said = b"" if value is None else value[1]
        if said[:1] in (b'"', b"'"):
            if not (value[2] or value[3]):
                return None
            said = said[1:-1]
        attributes.setdefault(key[0].lower().decode("latin-1"), said)


def found_images(page: bytes) -> tuple[list[dict], int | None]:
    """Return what is known of each image of a page, in order, and where the name of its first h1 begins."""
    images = []
    frames = []
    open_tags = []
    h1 = heading = link = None
    source = None  # whether the open <picture> has a <source>; None without one
    i = 0
    while (i := page.find(b"<", i)) >= 0:
        at = i
        if not re.match(rb"</?[A-Za-z]", page[i : i + 3]):
            if frames and frames[-1] in POINTS and page.startswith(b"<![CDATA[", i):
                end = page.find(b"]]>", i)
                i = end + 3 if end >= 0 else len(page)
            else:
                i = markup(page, i)[1]
            continue
        is_end = page[i + 1 : i + 2] == b"/"
        if (read := naive_tag(page, i)) is None:
            break
        tag, attributes, i = read
        name = tag.decode("latin-1")
        closes = page[i - 2 : i - 1] == b"/"
        if is_end:
            if name in frames and (frames[-1] == name or frames[-1] != "template"):
                del frames[len(frames) - 1 - frames[::-1].index(name) :]
            if not frames or frames[-1] not in (*POINTS, "template"):
                link = None if name == "a" else link
                last = [k for k in range(len(open_tags)) if open_tags[k][0] == name][-1:]
                if last and last[0] >= len(open_tags) - 64:
                    del open_tags[last[0] :]
            source = None if name == "picture" else source
            continue
        if frames and frames[-1] in POINTS:
            if name not in BREAKOUT and not (name == "font" and {"color", "face", "size"} & {*attributes}):
                if not closes and (name == frames[-1] or name in POINTS[frames[-1]]):
                    frames.append(name)
                continue
            while frames and frames[-1] in POINTS:
                frames.pop()
        if name in RAW:
            closed = re.compile(rb"</" + name.encode() + rb"[ \t\n\f\r/>]", re.I).search(page, i)
            i = closed.start() if closed and name != "plaintext" else len(page)
        elif name == "template" or (name in POINTS and not closes):
            frames.append(name)
        elif "template" in frames:
            continue
        elif name in CONTAINERS:
            open_tags.append((name, re.sub(rb"[0-9]", b"", attributes.get("class", b""))))
        elif name == "a":
            link = at + 1
        elif name in HEADINGS:
            heading = at + 1
            h1 = at + 1 if name == "h1" and h1 is None else h1
        elif name == "picture":
            source = False
        elif name == "source":
            source = None if source is None else source or not {*SETS}.isdisjoint(attributes)
        elif name in ("img", "image") and (source or {*ATTRIBUTES[: ATTRIBUTES.index("width")]} & {*attributes}):
            text = next(filter(None, (attributes.get(kind) for kind in TEXTS)), b"")
            facts = {"attributes": attributes, "text": text, "after": i, "link": link, "heading": heading}
            facts["in_figure"] = any(tag == "figure" for tag, _ in open_tags)
            images.append(facts | {"block": tuple(open_tags[-4:])})
        source = None if name in ("img", "image") else source
    return images, h1
