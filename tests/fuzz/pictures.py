"""Damaged pictures of all formats: hashed, or not with a reason."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from curation.plugins.hashing.clip_hash import hash_picture
from curation.plugins.tars.samples import _formats
from tests.fuzz.target import Target, plain
from tests.support.pictures import picture, stored

STATUSES = {"ok", "not_an_image", "truncated", "damaged", "too_large"}
FORMS = {"JPEG": {"progressive": True}, "PNG": {}, "WEBP": {}, "GIF": {}, "BMP": {}, "JPEG2000": {}, "AVIF": {},
    "TIFF": {"compression": "tiff_lzw"}}  # fmt: skip
MODES = {"PNG": ("P", "RGBA", "I;16"), "WEBP": ("RGBA",), "GIF": ("P",), "TIFF": ("CMYK", "1"), "JPEG": ("CMYK", "L")}
ODD = (b"\xff\xd8\xff", b"\xff\xda\0\x08\x01", b"\xff\xdb", b"IDAT", b"acTL", b"iCCP", b"VP8L", b"ANIM", b"!\xf9", b",")


def wholes(folder: Path) -> list[bytes]:
    """Return a picture in each form and mode that this Pillow writes."""
    found = [stored(picture(number), form, **more) for number, (form, more) in enumerate(FORMS.items()) if _has(form)]
    return found + [stored(_in(mode), form) for form, modes in MODES.items() for mode in modes if _has(form)]


def _has(form: str) -> bool:
    return form in _formats() and form in Image.SAVE


def _in(mode: str) -> Image.Image:
    grey = picture(1).convert("L")
    return grey.point(lambda value: value * 256, "I").convert("I;16") if mode == "I;16" else picture(1).convert(mode)


def look(folder: Path, data: bytes) -> str:
    """Hash a picture."""
    status = hash_picture(data)["status"]
    assert status in STATUSES
    return status


# What curation.plugins.tars.samples promises of a picture that is decoded: 64 million pixels of 12 bytes.
PICTURES = {"pictures": Target(wholes, look, plain(*ODD), megabytes=900)}
