"""Guess the encoding of a page that states none and is no UTF-8, by what its texts look like."""

import re
from collections.abc import Iterator

import chardet

ENOUGH = 16 << 10  # bytes of texts: more change the answer hardly ever
CANDIDATES = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("iso8859-2", "koi8-r", "koi8-u", "cp932", "euc-jp", "gb18030", "big5hkscs", "cp949"),
)
_LABELS = {"cp932": "shift_jis", "cp949": "euc-kr", "cp874": "windows-874", "big5hkscs": "big5"}  # of the standard
OTHERWISE = "windows-1252"  # as browsers in most languages

_PIECE = re.compile(rb"[^<>=\"'\r\n]+")  # of text, and of markup as little as can be


def looks_like(page: bytes) -> str:
    """Return a label of the encoding that most likely makes texts of the page's bytes that are no ASCII."""
    pieces, size = [], 0
    for piece in _odd_pieces(page):
        pieces.append(piece[: ENOUGH - size])
        size += len(pieces[-1])
        if size >= ENOUGH:
            break
    found = chardet.detect(b"\n".join(pieces), include_encodings=CANDIDATES, no_match_encoding=OTHERWISE)
    name = (found["encoding"] or OTHERWISE).lower()
    return _LABELS.get(name, name)


def _odd_pieces(page: bytes) -> Iterator[bytes]:
    return (piece[0] for piece in _PIECE.finditer(page) if not piece[0].isascii())
