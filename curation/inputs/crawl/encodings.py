"""Find the encoding of a web page as the HTML standard does, and decode the page.

The first of these that is present decides: the byte order mark, the HTTP header, a `<meta>`, an XML declaration, valid
UTF-8, and last a guess from the bytes of the text. Labels are those of the Encoding Standard, by webencodings.
"""

import codecs
import re
from collections.abc import Iterable

import chardet
from webencodings import lookup

from runtime.arrow.batching import gather

ENOUGH = 16 << 10  # bytes of texts: more change the answer hardly ever
CANDIDATES = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859-2", "koi8-r", "koi8-u", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949"),
)
_LABELS = {"cp932": "shift_jis", "cp949": "euc-kr", "cp874": "windows-874", "big5hkscs": "big5"}  # of the standard
OTHERWISE = "windows-1252"  # as browsers in most languages

_PIECE = re.compile(rb"[^<>=\"'\r\n]+")  # of text, and of markup as little as can be

UTF_8, USER_DEFINED, REPLACEMENT = "utf-8", "x-user-defined", "replacement"
_BOMS = {b"\xef\xbb\xbf": UTF_8, b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}
_XML_UTF_16 = {b"<\0?\0x\0": "utf-16le", b"\0<\0?\0x": "utf-16be"}
_XML = re.compile(rb"<\?xml[^>]*?[\s'\"]encoding\s*=\s*[\"']([^\"'>]*)[\"']")
_CHARSET = re.compile(r"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"';]+))", re.I)


def stated_outside(page: bytes, content_type: str) -> str | None:
    """Return the name of the encoding that is known before the page is read: by its first bytes or its header."""
    return _begun(page, _BOMS) or _charset(content_type) or _begun(page, _XML_UTF_16)


def stated_inside(page: bytes, metas: Iterable[dict[str, str]]) -> str | None:
    """Return the name of the encoding that the page itself states, given the attributes of its metas."""
    name = next(filter(None, map(_of_meta, metas)), None) or _of_xml(page)
    if name in _BOMS.values():  # it was read as ASCII, so it is not UTF-16
        return UTF_8
    return OTHERWISE if name == USER_DEFINED else name


def guessed(page: bytes) -> str:
    """Return the name of the encoding of a page that states none."""
    return UTF_8 if is_mostly_utf8(page) else _name(looks_like(page)) or OTHERWISE


def decode(page: bytes, name: str) -> str:
    """Return the page as text; ValueError for encodings that the standard forbids to decode."""
    encoding = lookup(name)
    if encoding is None or name == REPLACEMENT:
        raise ValueError(f"{name} is not decoded")
    codec = codecs.lookup("gb18030") if name == "gbk" else encoding.codec_info  # the standard has one decoder for both
    return codec.decode(page, "replace")[0]


def is_mostly_utf8(page: bytes) -> bool:
    """Return whether bytes that are no ASCII are UTF-8, or more of them are than are not: pages are cut anywhere."""
    text = page.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return wrong == 0 or len(text) - len(text.encode("ascii", "ignore")) > 2 * wrong


def _begun(page: bytes, names: dict[bytes, str]) -> str | None:
    return next((name for begin, name in names.items() if page.startswith(begin)), None)


def _of_meta(attributes: dict[str, str]) -> str | None:
    if "charset" in attributes:
        return _name(attributes["charset"])
    is_stated = attributes.get("http-equiv", "").lower() == "content-type"
    return _charset(attributes.get("content", "")) if is_stated else None


def _of_xml(page: bytes) -> str | None:
    stated = _XML.match(page)
    return _name(stated[1].decode("latin-1")) if stated else None


def _charset(text: str) -> str | None:
    stated = _CHARSET.search(text)
    return _name(stated[1] or stated[2] or stated[3] or "") if stated else None


def _name(label: str) -> str | None:
    encoding = lookup(label)
    return encoding.name if encoding else None


def looks_like(page: bytes) -> str:
    """Return a label of the encoding that most likely makes texts of the page's bytes that are no ASCII."""
    odd = (piece[0] for piece in _PIECE.finditer(page) if not piece[0].isascii())
    pieces = next(gather(odd, len, ENOUGH), [])
    texts = b"\n".join(pieces)[: ENOUGH + len(pieces) - 1]
    found = chardet.detect(texts, include_encodings=CANDIDATES, no_match_encoding=OTHERWISE)
    name = (found["encoding"] or OTHERWISE).lower()
    return _LABELS.get(name, name)
