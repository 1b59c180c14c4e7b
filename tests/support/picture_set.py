"""A set of picture files as the web has them: many sizes and formats, copies of every kind, some broken.

It is the same wherever the same photographs are installed (`photographs`), and needs no network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.support.http_server import Answer, serving
from tests.support.photographs import COPIES, encoded, pictures

TABLE = "pictures.parquet"
SET = pa.schema(
    [
        pa.field("name", pa.string()),  # of the file
        pa.field("original", pa.string()),  # the file that it is a copy of; its own name where it is none
        pa.field("kind", pa.string()),  # original, same file, a kind of COPIES, or a kind of BROKEN
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
    ]
)
ORIGINAL, SAME_FILE = "original", "same file"
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 3],
    "a page": lambda data: b"<!doctype html><title>Not found</title>",
    "empty": lambda data: b"",
}
_FORMS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
_OF_A_PICTURE = 5  # files of each picture, about: the picture itself, and copies
_BROKEN_SHARE = 20  # one file of so many is broken
_LONGEST = (90, 160, 256, 480, 800)  # pixels of the longer side


def make_pictures(folder: Path, number: int) -> list[dict]:
    """Write so many files and the table of them into a folder, the same at each call; return the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for row, data in _files(number):
        (folder / row["name"]).write_bytes(data)
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows, SET), folder / TABLE)
    return rows


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """Serve the files of a folder on this machine; give the URL of each by its name."""
    with serving() as server:
        yield {path.name: server.serve(f"/{path.name}", _answer(path)) for path in sorted(folder.iterdir())}


def _answer(path: Path) -> Callable[..., Answer]:
    return lambda _: Answer(200, path.read_bytes(), {"Content-Type": _TYPES.get(path.suffix, "text/plain")})


@dataclass(frozen=True)
class _File:
    """What a picture is stored as."""

    size: tuple[int, int]
    form: str
    data: bytes

    @classmethod
    def of(cls, image: Image.Image, form: str) -> _File:
        return cls(image.size, form, encoded(image, form, quality=92))


def _files(number: int) -> Iterator[tuple[dict, bytes]]:
    """Yield the rows of the table with the bytes of each file."""
    chance, written = random.Random(number), 0
    for picture in _sized(chance, -(-number // _OF_A_PICTURE)):
        first = _File.of(picture, chance.choice([*_FORMS]))
        original = f"{written:05}{_FORMS[first.form]}"
        for kind in _kinds(chance)[: number - written]:
            file = _File.of(COPIES[kind](picture), chance.choice([*_FORMS])) if kind in COPIES else first
            data = BROKEN[kind](file.data) if kind in BROKEN else file.data
            name = f"{written:05}{_FORMS[file.form]}"
            width, height = file.size
            yield {"name": name, "original": original, "kind": kind, "width": width, "height": height}, data
            written += 1


def _kinds(chance: random.Random) -> list[str]:
    """Return the kinds of the files of a picture; the original is the first."""
    kinds = [ORIGINAL, *chance.sample([SAME_FILE, *COPIES], _OF_A_PICTURE - 1)]
    return [kind if kind == ORIGINAL or chance.randrange(_BROKEN_SHARE) else chance.choice([*BROKEN]) for kind in kinds]


def _sized(chance: random.Random, number: int) -> list[Image.Image]:
    """Return so many different pictures of many sizes."""
    photographs = pictures(drawn=0)
    drawn = pictures(drawn=max(0, number - len(photographs)))[len(photographs) :]
    chosen = chance.sample(photographs, min(number, len(photographs))) + drawn
    return [_scaled(picture, chance.choice(_LONGEST)) for picture in chosen]


def _scaled(picture: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS)
