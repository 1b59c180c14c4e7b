"""The images of a tree, their links, and the largest of a srcset: by the HTML standard, a character at a time."""

import re

PLACEHOLDERS = "blank clear default dummy empty fallback gray grey lazy loader loading pixel preload preloader".split()
PLACEHOLDERS += ["spacer", "transparent", "1x1"]


def naive_link(attributes):
    """Return the src that shows something, else the first link instead that may show a picture, else the src."""
    src = attributes.get("src", "")
    instead = [attributes.get(name, "") for name in ("data-src", "data-lazy-src", "data-original")]
    for name in ("data-srcset", "data-lazy-srcset", "srcset", "source srcset"):
        instead.append(naive_largest(attributes.get(name, "")) or "")
    instead.append(attributes.get("noscript src", ""))
    name, _, link = attributes.get("other src", "").partition("=")
    names_another = any(word in name.lower() for word in "placeholder fallback error hover poster alt gt-".split())
    instead.append("" if names_another else link.strip(" \t\n\f\r\"'"))
    found = [] if naive_shows(src) else [link for link in instead if naive_shows(link) and "{" not in link]
    return found[0] if found else attributes.get("src")


def naive_shows(link):
    link = link.lstrip("".join(map(chr, range(33))))
    scheme = re.match("([A-Za-z][A-Za-z0-9+.-]*):", link)
    if (
        link == ""
        or link[0] == "#"
        or link.startswith("//:0")
        or (scheme and scheme[1].lower() not in ("http", "https"))
    ):
        return False
    name = re.split("[?#]", link)[0].split("/")[-1]
    name = "".join(c.lower() if c.isascii() else c for c in name)
    words = [re.search(f"(^|[^a-z]){word}($|[^a-z])", name) for word in PLACEHOLDERS]
    return not any(words) and "placeholder" not in name and "lazyload" not in name


def naive_images(tree):
    """Return the attributes of each image of selectolax's tree, with what it has from a source and a noscript."""
    return [naive_values(image) | naive_source(image) | naive_noscript(image) for image in tree.css("img")]


def naive_values(node):
    return {name: value or "" for name, value in node.attributes.items()}


def naive_source(image):
    """The set of the first source of a picture that has one, if the image is behind it."""
    found, node = {}, image
    while image.parent.tag == "picture" and (node := node.prev):
        values = [naive_values(node).get(name) for name in ("data-srcset", "data-lazy-srcset", "srcset")]
        if node.tag == "source" and any(values):
            found = {"source srcset": next(filter(None, values))}
    return found


def naive_noscript(image):
    """The src of the first image of the noscript right behind the image, or its picture, if that has no text."""
    behind = naive_next(image)
    if behind is None and image.parent.tag == "picture":
        behind = naive_next(image.parent)
    first = behind.css_first("img") if behind is not None and behind.tag == "noscript" else None
    values = naive_values(first) if first else {}
    has_text = any(values.get(name) for name in ("alt", "title", "data-image-title"))
    return {} if has_text or "src" not in values else {"noscript src": values["src"]}


def naive_next(node):
    """The node behind this one and behind white space."""
    while (node := node.next) is not None and node.tag == "-text" and not node.text().strip(" \t\n\f\r"):
        pass
    return node


def naive_largest(value):
    """Return the largest link by width, else by density, that may show a picture."""
    found = [(link, *size) for link, *size in naive_set(value) if naive_shows(link) and "{" not in link]
    for kind in "wx":
        sizes = [size for _, of, size in found if of == kind]
        if sizes:
            return next(link for link, of, size in found if (of, size) == (kind, max(sizes)))
    return None


def naive_set(value):
    """Return link, kind and size of each candidate of a srcset."""
    found, at, space = [], 0, " \t\n\f\r"
    while True:
        while at < len(value) and value[at] in space + ",":
            at += 1
        if at == len(value):
            return found
        link = ""
        while at < len(value) and value[at] not in space:
            link += value[at]
            at += 1
        descriptors = []
        if link[-1] == ",":
            while link[-1] == ",":
                link = link[:-1]
        else:
            descriptors, at = naive_descriptors(value, at)
        size = naive_size(descriptors)
        if size:
            found.append((link, *size))


def naive_descriptors(value, at):
    """Return the descriptors from value[at] on, and the place behind them."""
    found, current, state = [], "", "in"
    for place in range(at, len(value) + 1):
        c = value[place] if place < len(value) else None
        if state == "after" and c is not None and c not in " \t\n\f\r":
            state = "in"
        if state == "parens":
            current += c or ""
            state = "in" if c == ")" else state
        elif state == "in" and c is not None and c in " \t\n\f\r":
            found, current, state = found + [current] * (current != ""), "", "after"
        elif state == "in" and c == ",":
            return found + [current] * (current != ""), place + 1
        elif state == "in":
            current += c or ""
            state = "parens" if c == "(" else state
    return found + [current] * (current != ""), len(value)


def naive_size(descriptors):
    """Return kind and size, `w` or `x`, of a candidate; None if its descriptors are in error."""
    width = density = height = None
    for each in descriptors:
        whole, number = re.fullmatch("[0-9]+", each[:-1]), each[:-1]
        if each[-1] == "w" and whole:
            if width is not None or density is not None or float(number) == 0:
                return None
            width = float(number)
        elif each[-1] == "x" and re.fullmatch(r"-?([0-9]+|[0-9]*\.[0-9]+)([eE][-+]?[0-9]+)?", number):
            if (width, density, height) != (None, None, None) or float(number) < 0 or float(number) == float("inf"):
                return None
            density = float(number)
        elif each[-1] == "h" and whole:
            if height is not None or density is not None or float(number) == 0:
                return None
            height = float(number)
        else:
            return None
    if height is not None and width is None:
        return None
    return ("w", width) if width is not None else ("x", 1.0 if density is None else density)
