"""Naive twin of the licences that pages state, by a parser of trees and a character at a time."""

import json

from selectolax.lexbor import LexborHTMLParser

LETTERS = "abcdefghijklmnopqrstuvwxyz"
FOUR = ("by", "nc", "nd", "sa")
TOKENS = ("license", "cc:license", "dct:license", "dcterms:license", "xhv:license", "schema:license")
TOKENS += ("http://schema.org/license", "https://schema.org/license")
FOR_HTML = ("foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext")


def naive_licences(html):
    """Return the names of the licences that a page states; if none, those that its other links lead to."""
    links, metas, scripts = [], [], []
    for node in LexborHTMLParser(html).css("a, area, link, meta, script"):
        values = {name: value or "" for name, value in node.attributes.items()}
        if naive_is_foreign(node):
            continue
        if node.tag == "meta":
            metas += [
                (values[name], values.get("content", "")) for name in ("name", "property", "itemprop") if name in values
            ]
        elif node.tag == "script":
            kind = values.get("type", "")
            if naive_is_rsl(kind) and ("license" in node.html.lower() or "licdomai" in node.html.lower()):
                links.append(("license", "", kind))
            elif kind.strip().lower() == "application/ld+json":
                scripts.append(node.text())
        elif "href" in values:
            tokens = values.get("rel", "") + " " + values.get("itemprop", "")
            links.append((tokens, values["href"], values.get("type", "")))
    return naive_stated(links, metas, scripts)


def naive_is_foreign(node):
    """Say whether SVG or MathML is nearer around a node than a point in it where HTML goes on."""
    while (node := node.parent) is not None:
        if node.tag in ("svg", "math"):
            return True
        if (node.tag or "").lower() in FOR_HTML:
            return False
    return False


def naive_stated(links, metas, scripts=()):
    stated, linked = set(), set()
    for tokens, address, kind in links:
        if any(token in TOKENS for token in tokens.lower().split()):
            stated.add("rsl" if naive_is_rsl(kind) else naive_name(address))
        else:
            linked.add(naive_linked(address))
    for name, content in metas:
        *before, last = name.strip().lower().replace(":", ".").split(".")
        if (last == "license" and before in ([], ["og"], ["cc"], ["dc"], ["dct"], ["dcterms"], ["dc", "rights"])) or (
            last == "rights" and before in (["dc"], ["dct"], ["dcterms"]) and naive_code(content) is not None
        ):
            stated.add(naive_name(content))
    for text in scripts:
        try:
            found = json.loads(text, strict=False)
        except ValueError:
            continue
        for value in naive_values(found):
            stated.add(naive_name(value))
    return (stated - {None}) or (linked - {None})


def naive_is_rsl(kind):
    """Say whether a media type is that of RSL."""
    return kind.split(";")[0].strip().lower() == "application/rsl+xml"


def naive_values(found):
    if isinstance(found, list):
        return [value for each in found for value in naive_values(each)]
    if not isinstance(found, dict):
        return []
    kinds = found.get("@type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    own = found.get("license")
    own = own if isinstance(own, list) else [own]
    own = [each.get("@id", each.get("url")) if isinstance(each, dict) else each for each in own]
    if any(str(kind).endswith("Object") for kind in kinds):
        own = []
    return [each for each in own if isinstance(each, str)] + naive_values(found.get("@graph"))


def naive_name(value):
    """Return the name of the licence that a statement means; None if it is empty."""
    if not value.strip():
        return None
    code = naive_code(value)
    code = naive_short(value) if code is None else code
    return (None if code is None else naive_of_code(code)) or "other"


def naive_linked(address):
    """Return the name of the licence that a link leads to, if it leads to a page about one of Creative Commons."""
    rest = address.lstrip().lower()
    for scheme in ("https:", "http:"):
        rest = rest.removeprefix(scheme) if rest.startswith(scheme + "//") else rest
    if not rest.startswith("//"):
        return None
    host = rest[2:].split("/")[0]
    if not (host == "creativecommons.org" or host.endswith(".creativecommons.org")):
        return None
    if host != "creativecommons.org" and any(c not in LETTERS + "0123456789-._" for c in host):
        return None
    code = naive_code(address)
    return None if code is None else naive_of_code(code)


def naive_code(value):
    """Return the code behind the first address of a licence of Creative Commons in a text."""
    value = "".join(c.lower() if c.isascii() else c for c in value)
    for at in range(len(value)):
        before = value[at - 1] if at else " "
        if not value.startswith("creativecommons.org", at) or before in LETTERS + "0123456789_-":
            continue
        rest = value[at + len("creativecommons.org") :]
        for folder in ("/licenses/", "/publicdomain/"):
            if rest.startswith(folder):
                rest = rest.removeprefix(folder)
                code = rest[: len(rest) - len(rest.lstrip(LETTERS + "+-"))]
                if code:
                    return code
    return None


def naive_short(value):
    """Return the code in a short name such as CC BY-SA 4.0."""
    value = "".join(c.lower() if c.isascii() else "#" for c in value)
    for at in range(len(value)):
        before = value[at - 1] if at else " "
        if not value.startswith("cc", at) or before in LETTERS + "0123456789_":
            continue
        rest = value[at + 2 :]
        rest = rest[1:] if rest[:1] in (" ", "_", "-") and rest else rest
        for word in ("zero", "0"):
            if rest.startswith(word) and rest[len(word) : len(word) + 1] not in [*LETTERS]:
                return word
        found, code = None, "by"
        while rest.startswith("by"):
            if rest[2:3] not in [*LETTERS]:
                found = code
            rest = rest[2:]
            while rest[:1] in (" ", "_", "-") and rest and rest[1:3] in FOUR[1:]:
                code, rest = f"{code}-{rest[1:3]}", rest[3:]
                if rest[:1] not in [*LETTERS]:
                    found = code
            break
        if found:
            return found
    return None


def naive_of_code(code):
    code = code.rstrip("-")
    parts = code.split("-")
    if code in ("zero", "0"):
        return "cc0"
    if code in ("mark", "certification", "publicdomain"):
        return "public-domain"
    if code in ("sampling", "sampling+", "nc-sampling+", "devnations"):
        return "cc-other"
    if any(part not in FOUR for part in parts) or len(set(parts)) < len(parts):
        return None
    six = ({"by"}, {"by", "sa"}, {"by", "nd"}, {"by", "nc"}, {"by", "nc", "sa"}, {"by", "nc", "nd"})
    return "-".join(["cc", *(part for part in FOUR if part in parts)]) if set(parts) in six else "cc-other"
