"""Read the headers of an answer: the version of the file, its size, and the part of it that the body is."""

from __future__ import annotations

import re

import requests

_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")


def validator(response: requests.Response) -> str:
    """Return what names this version of the file to If-Range: a strong ETag, or else its date, or else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def length(response: requests.Response) -> int | None:
    """Return the bytes of the body, where it is sent as one piece whose length is stated."""
    text = "" if "Transfer-Encoding" in response.headers else response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def part(response: requests.Response) -> tuple[int, int] | None:
    """Return the first byte of the part that was sent and the size of the whole file; None if it is no part."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found and response.status_code == 206 else None


def size_without_rest(response: requests.Response) -> int | None:
    """Return the size of a file of which nothing follows the byte that was asked for; None for any other answer."""
    found = _UNSATISFIED.fullmatch(response.headers.get("Content-Range", ""))
    return int(found[1]) if found and response.status_code == 416 else None
