"""Pages for which a parser of HTML may take the square of their length, of any length."""

from collections.abc import Callable

IMAGE = "<img src=a.jpg alt=x>"
LATIN = IMAGE.encode() + b"\xe9 "

# Name → a page, given how often its piece is repeated. Each has one image at least.
PAGES: dict[str, Callable[[int], str | bytes]] = {
    "deep": lambda n: "<div>" * n + IMAGE,
    "navs that other tags end": lambda n: "<nav class=menu><ul></div></section></form>" * n + IMAGE,
    "containers between images": lambda n: ("<div class=ad>" + IMAGE) * n,
    "names": lambda n: "<div class='" + "ad " * n + "'>" + IMAGE * (n // 8 + 1),
    "names of a link": lambda n: "<a class='" + "logo-" * n + "' id='" + "Xy" * n + "'>" + IMAGE * (n // 8 + 1),
    "formatting": lambda n: "<b><i><a>" * n + IMAGE,
    "formatting again and again": lambda n: "".join(f"<font a{k}>" for k in range(n)) + "<p>" * n + IMAGE,
    "paragraphs": lambda n: "<p>" * n + IMAGE,
    "tables": lambda n: "<table><tr><td>" * n + IMAGE,
    "images before a table": lambda n: "<table>" + IMAGE * n,
    "attributes": lambda n: "<img src=a alt=x" + "".join(f" a{k}" for k in range(n)) + ">",
    "one attribute": lambda n: "<img src=a alt=x" + " alt=y" * n + ">",
    "svg": lambda n: "<svg>" * n + "</svg>" * n + IMAGE,
    "ends in svg": lambda n: "<svg>" + "<g>" * n + "</x>" * n + IMAGE,
    "titles in svg": lambda n: "<svg><title>" * n + "</p></svg>" * n + IMAGE,
    "math": lambda n: "<math><mi>" * n + "</p>" * n + IMAGE,
    "templates": lambda n: "<template>" * n + "</template>" * n + IMAGE,
    "selects": lambda n: "<select><option>" * n + IMAGE,
    "framesets": lambda n: "<frameset>" * n + IMAGE,
    "bases": lambda n: "<base href=/x/>" * n + IMAGE,
    "metas": lambda n: "<meta charset=none>" * n + IMAGE,
    "charsets": lambda n: "<meta http-equiv=content-type content='" + "charset=" * n + "'>" + IMAGE,
    "encodings": lambda n: "<?xml" + ' encoding="' * n + '">' + IMAGE,
    "references": lambda n: "<img src=a alt='" + "&amp;&#x20ac;&a" * n + "'>",
    "long references": lambda n: "<img src=a alt='&#" + "9" * n + ";&" + "a" * n + "'>",
    "comments": lambda n: IMAGE + "<!--" * n,
    "scripts": lambda n: IMAGE + "<script>" * n,
    "scripts in comments": lambda n: IMAGE + "<script>" + "<!--<script>" * n,
    "ends in a title": lambda n: IMAGE + "<title>" + "</titl" * n,
    "sections": lambda n: IMAGE + "<svg>" + "<![CDATA[" * n,
    "tags without end": lambda n: IMAGE + "<a" * n,
    "quotes": lambda n: IMAGE + '<a "' * n,
    "images": lambda n: IMAGE * n,
    "sets": lambda n: "<img alt=x srcset='" + "a,b 2x, (" * n + "'>",
    "commas": lambda n: "<img alt=x srcset='a" + "," * n + " 1x, b 2x'>",
    "pictures": lambda n: "<picture><source srcset=a>" * n + IMAGE,
    "spaces and noscripts": lambda n: IMAGE + " <noscript>" * n,
    "dots": lambda n: "<img src='" + "../" * n + "' alt=x>",
    "images and a long base": lambda n: "<base href='" + "a/" * n + "'>" + IMAGE * n,
    "bytes that are no text": lambda n: LATIN + bytes(k * 7919 >> 3 & 255 | 128 for k in range(n)),
    "bytes of no encoding": lambda n: b"<meta charset=gbk>" + LATIN + b"\xff" * n,
}
