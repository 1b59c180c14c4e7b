"""Naive twin of metadata.wikipedia.pageviews: one line at a time, sharing no code with the package."""

import re
from collections import Counter
from urllib.parse import unquote_to_bytes

WIKIPEDIAS = {"en", "de", "ko", "zh-yue", "fr", "simple"}
NAMESPACES = {
    "": {"talk", "user", "user talk", "special", "file", "category", "wikipedia", "en", "de", "zh-yue", "wikt"},
    "de": {"datei", "spezial", "benutzer diskussion"},
    "ko": {"특수", "사용자토론"},
}
DOMAINS = "com net org edu gov mil info biz io tv at au br ca ch cn cz de es eu fr it jp kr nl pl ru se uk".split()
MAIN_PAGES = {"": {"Main Page"}, "de": {"Hauptseite"}, "fr": {"Accueil principal"}}


def naive_titles(content: bytes) -> tuple[list[tuple[str, str, int]], Counter]:
    """Return the rows kept of a page-view file, in order, and the count of each reason to drop a line."""
    rows, tally = [], Counter()
    for line in content.split(b"\n")[:-1]:
        row = _row(line)
        if isinstance(row, str):
            tally[row] += 1
        else:
            rows.append(row)
    return rows, tally


def _row(line: bytes):
    fields = line.split(b" ")
    if len(fields) not in (4, 6):
        return "fields"
    code, _, site = fields[0].decode("latin-1").partition(".")
    if code not in WIKIPEDIAS or site not in ("", "m", "zero", "wikipedia"):
        return "other_project"
    if len(fields) != (6 if site == "wikipedia" else 4):
        return "fields"
    views = fields[2] if len(fields) == 4 else fields[4]
    if not re.fullmatch(rb"[0-9]{1,9}", views) or int(views) == 0:
        return "views"
    try:
        title = unquote_to_bytes(fields[1]).decode("utf-8")
    except UnicodeDecodeError:
        return "encoding"
    title = re.sub("[ _]+", " ", title).strip(" ")
    return _refusal(code, title) or (code.replace("-", "_"), title, int(views))


def _refusal(code: str, title: str) -> str | None:
    if any(_is_mojibake(word) for word in title.split(" ")):
        return "mojibake"
    illegal = set("#<>[]{|}\ufffd\x7f") | {chr(code) for code in range(32)}
    escape = re.search("%[0-9A-Fa-f]{2}|&#?[A-Za-z0-9]+;", title)
    if not title or title[0] == ":" or illegal & set(title) or escape or len(title.encode()) > 255:
        return "title"
    if _has_url(title.lower()):
        return "url"
    if title in MAIN_PAGES[""] | MAIN_PAGES.get(code, set()):
        return "main_page"
    prefix, colon, _ = title.partition(":")
    if colon and prefix.strip().lower() in NAMESPACES[""] | NAMESPACES.get(code, set()):
        return "namespace"
    return None


def _is_mojibake(word: str) -> bool:
    """Whether some choice of the byte behind each character gives the UTF-8 of another word."""
    packed = bytearray()
    for character in word:
        choices = [byte for byte in range(256) if character in (chr(byte), _cp1252(byte))]
        if not choices:
            return False
        packed.append(choices[0])
    try:
        return packed.decode("utf-8") != word
    except UnicodeDecodeError:
        return False


def _cp1252(byte: int) -> str | None:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return None


def _has_url(title: str) -> bool:
    if any(scheme in title for scheme in ("http:/", "https:/", "ftp:/")):
        return True
    for i in range(len(title)):
        before, after = title[:i], title[i:]
        if (
            after.startswith("www.")
            and after[4:5].isalnum()
            and not (before and (before[-1].isalnum() or before[-1] == "."))
        ):
            return True
        if any(after.startswith(f".{domain}/") for domain in DOMAINS):
            label = before[-2:]
            if len(label) == 2 and all(each.isalnum() or each == "-" for each in label):
                return True
    return False
