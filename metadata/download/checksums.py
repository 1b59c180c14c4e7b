"""Check files against published checksums, and against those that compressed files carry inside."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metadata.download.planned import Published

_KINDS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the number of hex digits
_SUMS_LINE = re.compile(r"\\?([0-9a-f]+) [ *](?:\./)?(\S.*)", re.IGNORECASE)  # of md5sum, sha1sum, sha256sum
_DATE = re.compile(r"-\d{8}-")
_PACKAGE = re.compile(r"<package\s[^>]*>")
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*[\"']([^\"']*)[\"']")
_NLTK_ATTRIBUTES = ("sha256_checksum", "checksum")  # the better first; the second is MD5
_READERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
_PIECE = 1 << 20


def published_digest(published: Published, text: str) -> str | None:
    """Return the checksum in hex that the published `text` gives for a file, or None if it gives none.

    >>> sums = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709  enwiki-20240101-pages.xml.bz2"
    >>> published_digest(Published("https://a.org/sums", "enwiki-latest-pages.xml.bz2"), sums)
    'da39a3ee5e6b4b0d3255bfef95601890afd80709'
    """
    digest = _FORMS[published.form](published.name, text)
    if digest and re.fullmatch("[0-9a-f]+", digest, re.IGNORECASE) and len(digest) in _KINDS:
        return digest.lower()
    return None


def listed_names(text: str) -> list[str]:
    """Return the names of the files that the output of md5sum and the like lists."""
    return [match[2].rstrip() for match in map(_SUMS_LINE.fullmatch, text.splitlines()) if match]


def _in_sums(name: str, text: str) -> str | None:
    """Return the checksum of the line for `name`; a name with "latest" is listed with its date."""
    lines = [match for match in map(_SUMS_LINE.fullmatch, text.splitlines()) if match]
    exact = next((match[1] for match in lines if match[2].rstrip() == name), None)
    return exact or next(
        (match[1] for match in lines if _DATE.sub("-latest-", match[2].rstrip(), count=1) == name), None
    )


def _in_nltk_index(name: str, text: str) -> str | None:
    for package in _PACKAGE.findall(text):
        attributes = dict(_ATTRIBUTE.findall(package))
        if attributes.get("id") == name:
            return next((attributes[key] for key in _NLTK_ATTRIBUTES if attributes.get(key)), None)
    return None


_FORMS = {"sums": _in_sums, "nltk": _in_nltk_index}


def kind(digest: str) -> str:
    """Return the name of the checksum that has as many digits as `digest`."""
    return _KINDS[len(digest)]


def file_digest(path: Path, name: str, pause: Callable[[], None] = lambda: None) -> str:
    """Return the checksum `name` of a file in hex; `pause` is called after each piece and may raise."""
    digest = hashlib.new(name, usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            pause()
    return digest.hexdigest()


def damage(path: Path, name: str, pause: Callable[[], None] = lambda: None) -> str:
    """Return the damage that the checksums inside a compressed file called `name` find, or an empty string.

    A file of another ending has none inside and passes.
    """
    ending = Path(name).suffix
    try:
        if ending == ".zip":
            with zipfile.ZipFile(path) as archive:
                member = archive.testzip()
            return f"its member {member} is damaged" if member else ""
        if ending in _READERS:
            with _READERS[ending](path) as file:
                empty = not file.read(1)  # gzip takes a file of no bytes for a whole one
                while file.read(_PIECE):
                    pause()
            return "it is empty" if empty and not path.stat().st_size else ""
    except _BROKEN as error:
        return f"it is no whole {ending} file ({error})"
    return ""
