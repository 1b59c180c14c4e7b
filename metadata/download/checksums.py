"""Check files against published checksums, and against the checksums inside compressed files (.gz, .bz2, .xz)."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metadata.download.planned import Published, redated

_KINDS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the number of hex digits
_SUMS_LINE = re.compile(r"\\?([0-9a-f]+) [ *](?:\./)?(\S.*)", re.IGNORECASE)  # of md5sum, sha1sum, sha256sum
_PACKAGE = re.compile(r"<package\s[^>]*>")
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*[\"']([^\"']*)[\"']")
_READERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_PIECE = 1 << 20


def published_digest(published: Published, text: str) -> str | None:
    """Return the checksum in hex that the published `text` gives for a file, or None if it gives none.

    >>> sums = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709  enwiki-20240101-pages.xml.bz2"
    >>> published_digest(Published("https://a.org/sums", "enwiki-latest-pages.xml.bz2"), sums)
    'da39a3ee5e6b4b0d3255bfef95601890afd80709'
    """
    if published.form == "nltk":
        digest = _in_nltk_index(published.name, text)
    else:
        sums = listed(text)
        digest = ({redated(name, "latest"): sums[name] for name in sums} | sums).get(published.name, "")
    return digest.lower() if re.fullmatch("[0-9a-fA-F]+", digest) and len(digest) in _KINDS else None


def listed(text: str) -> dict[str, str]:
    """Return the checksum of each file that the output of md5sum and the like lists, by its name."""
    return {match[2].rstrip(): match[1] for match in map(_SUMS_LINE.fullmatch, text.splitlines()) if match}


def _in_nltk_index(name: str, text: str) -> str:
    """Return the better of the two checksums of a package."""
    for package in _PACKAGE.findall(text):
        attributes = dict(_ATTRIBUTE.findall(package))
        if attributes.get("id") == name:
            return attributes.get("sha256_checksum") or attributes.get("checksum", "")
    return ""


def kind(digest: str) -> str:
    """Return the name of the checksum that has as many digits as `digest`."""
    return _KINDS[len(digest)]


def fault(path: Path, digest: str | None, name: str, pause: Callable[[], None]) -> str:
    """Return why a file is not the one with this checksum, or an empty string.

    Without one, those inside a compressed file called `name` decide; a file of another ending has none and passes.
    `pause` is called after each piece and may raise.
    """
    if digest is None:
        return _damage(path, Path(name).suffix, pause)
    found = hashlib.new(kind(digest), usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            pause()
    return "" if found.hexdigest() == digest else f"its {found.name} is {found.hexdigest()}, not {digest} as published"


def _damage(path: Path, ending: str, pause: Callable[[], None]) -> str:
    try:
        if ending in _READERS:
            with _READERS[ending](path) as file:
                while file.read(_PIECE):
                    pause()
            return "" if path.stat().st_size else "it is empty"  # gzip takes a file of no bytes for a whole one
    except _BROKEN as error:
        return f"it is no whole {ending} file ({error})"
    return ""
