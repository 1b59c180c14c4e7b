"""Read and write JSON files, each an object with a checksum of its content.

The checksum is a member of the object, which other programs may ignore.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isal import isal_zlib as zlib  # computes checksums in a quarter of zlib's time

from runtime.storage.checksums import checksum_of
from runtime.storage.paths import (
    is_url,
    read_bytes,
)
from runtime.storage.whole import whole

MEMBER = "checksum"  # the member of a JSON object that has its checksum; a stamp of the ledger brings its own
_KIND, _DIGITS = "crc32:", 8


def text_of(content: Any) -> str:
    """Return `content` as the text of a JSON file; an object without a checksum gets one as its last member."""
    return "".join(_pieces(content))


def _pieces(content: Any) -> Iterator[str]:
    """Yield what `text_of` joins, piece by piece: all pieces together take several times the memory of the text."""
    if isinstance(content, dict) and MEMBER not in content:
        content = content | {MEMBER: _checksum(content)}
    yield from json.JSONEncoder(indent=1, ensure_ascii=False).iterencode(content)
    yield "\n"


def content_of(data: bytes) -> Any:
    """Return the content of a JSON file without its checksum; ValueError if the checksum differs or it is not JSON.

    A file without a checksum, of another program, is accepted. A file of this project does not pass as such if one byte
    of the checksum member's name, or of the kind of the checksum before its digits, is damaged.
    """
    try:
        content = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
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
    """Say whether the bytes of a JSON file are exactly what `text_of` makes of its content, including the checksum."""
    try:
        content = content_of(data)
    except ValueError:
        return False
    return isinstance(content, dict) and MEMBER not in content and text_of(content).encode() == data


def _checksum(content: dict) -> str:
    return f"{_KIND}{zlib.crc32(json.dumps(content).encode()):08x}"


def write_json(path: Path, content: Any) -> str:
    """Write `content` as a complete JSON file, an object with a checksum of its content; return the file's checksum."""
    with whole(path) as file:
        with file.open("w", encoding="utf-8") as out:
            out.writelines(_pieces(content))
        return checksum_of(file)


def read_json(path: Path) -> dict | None:
    """Return the object in a JSON file, without its checksum; None if the file is missing, damaged or has no object.

    OSError if the server behind a URL is busy or forbids access.
    """
    try:
        content = content_of(read_bytes(path))
    except (FileNotFoundError, ValueError):
        return None
    except OSError:
        if is_url(path):  # The file may exist, though the server is busy or forbids the request.
            raise
        return None
    return content if isinstance(content, dict) else None
