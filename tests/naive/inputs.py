"""Naive twins of the readers of inputs, from their definitions."""

import gzip
import json
import re
from html.entities import html5
from urllib.parse import urljoin, urlsplit


def naive_resolve(page, base, link):
    """Return the URL a link of a page means, or the reason why it means none."""
    if base:
        try:
            joined = urljoin(page, naive_trim(base))
        except ValueError:
            joined = ""
        page = joined if naive_is_http(joined) else page
    link = naive_trim(link)
    if link == "":
        return "empty_url"
    scheme = re.match("([a-z][a-z0-9+.-]*):", link, re.I)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return "not_http"
    try:
        if naive_is_http(link):
            urlsplit(link)
            return link
        url = urljoin(page, link)
    except ValueError:
        return "bad_url"
    return url if naive_is_http(url) else "not_http"


def naive_trim(link):
    while link and ord(link[0]) <= 32:
        link = link[1:]
    while link and ord(link[-1]) <= 32:
        link = link[:-1]
    return "".join(character for character in link if character not in "\t\r\n")


def naive_is_http(url):
    scheme, colon, rest = url.partition("://")
    return scheme.lower() in ("http", "https") and rest[:1] not in ("", "/", "?", "#")


def naive_unescape(text):
    """Resolve the complete references in a text one by one, from the left; what they give is not read again."""
    done = ""
    while "&" in text:
        before, _, rest = text.partition("&")
        done += before
        name, semicolon, behind = rest.partition(";")
        number = re.fullmatch("#([0-9]+)|#[xX]([0-9a-fA-F]+)", name)
        if semicolon and (number or name + ";" in html5):
            done += naive_character(number) if number else html5[name + ";"]
            text = behind
        else:
            done, text = done + "&", rest
    return done + text


def naive_character(number):
    """Return what a reference by number means: the HTML standard's table, which is windows-1252, and its errors."""
    code = int(number[1] or number[2], 10 if number[1] else 16)
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    try:
        return bytes([code]).decode("cp1252") if 0x80 <= code < 0xA0 else chr(code)
    except UnicodeDecodeError:
        return chr(code)


def naive_clean(text):
    text = naive_unescape(text)
    for end in ("\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"):
        text = text.strip().replace(end, " ")
    return text.strip()


def naive_wat(packed):
    """Return url, text, kind and page of each pair of a sound WAT file."""
    pairs = []
    for record in gzip.decompress(packed).split(b"WARC/1.0\r\n")[1:]:
        head, _, body = record.partition(b"\r\n\r\n")
        if b"application/json" not in head:
            continue
        envelope = json.loads(body)["Envelope"]
        html = envelope["Payload-Metadata"].get("HTTP-Response-Metadata", {}).get("HTML-Metadata", {})
        page = envelope["WARC-Header-Metadata"].get("WARC-Target-URI")
        for link in html.get("Links", []):
            if link["path"] == "IMG@/src":
                url = naive_resolve(page, html.get("Head", {}).get("Base"), link.get("url", ""))
                for kind in ("alt", "title", "data-image-title"):
                    text = naive_clean(link.get(kind, ""))
                    if text and naive_is_http(url):
                        pairs.append((url, text, kind, page))
    return pairs


def naive_pair(url, text):
    """Return the (url, text) that a row of a table gives, or the reason why it gives none."""
    if url is None or url == "":
        return "empty_url"
    text = naive_clean(text or "")
    if not naive_is_http(url):
        return "url_in_text" if naive_is_http(text) else "not_http"
    return (url, text) if text else "empty_text"
