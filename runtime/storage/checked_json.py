"""Text of JSON files with a checksum of their content, as a member that other programs may pass over."""

from __future__ import annotations

import json
import zlib
from typing import Any

MEMBER = "checksum"  # of an object; a stamp of the ledger brings its own
_KIND, _DIGITS = "crc32:", 8


def text_of(content: Any) -> str:
    """Return the text of a JSON file; an object without checksum gets one as its last member."""
    if isinstance(content, dict) and MEMBER not in content:
        content = content | {MEMBER: _checksum(content)}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def content_of(data: bytes) -> Any:
    """Return the content of a JSON file without its checksum; ValueError if that differs.

    A file of an earlier version has none. One of ours cannot pass for it where a byte of the member's name, or of the
    kind of checksum before its digits, is damaged.
    """
    content = json.loads(data.decode("utf-8"))
    if not isinstance(content, dict):
        return content
    stated = {name: value for name, value in content.items() if _is_stated(name, str(value))}
    if stated:
        rest = {name: value for name, value in content.items() if name != MEMBER}
        if stated != {MEMBER: _checksum(rest)}:
            raise ValueError("its checksum differs")
        return rest
    return content


def _is_stated(name: str, value: str) -> bool:
    return value.startswith(_KIND) or (name == MEMBER and len(value) == len(_KIND) + _DIGITS)


def is_exact(data: bytes) -> bool:
    """Say whether a JSON file is, byte for byte, what `text_of` makes of its content, with a checksum."""
    try:
        content = content_of(data)
    except ValueError:
        return False
    return isinstance(content, dict) and MEMBER not in content and text_of(content).encode() == data


def _checksum(content: dict) -> str:
    return f"{_KIND}{zlib.crc32(json.dumps(content).encode()):08x}"
