"""Decode one picture, given as the bytes of its file, or return the reason why it cannot be decoded.

EXIF orientation is ignored, as in img2dataset and training data loaders. Of several frames the first one is decoded.
Transparent pixels become white, and 16-bit channels keep their upper 8 bits.
"""

from __future__ import annotations

import ctypes
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

OK = "ok"
NOT_AN_IMAGE, TRUNCATED, DAMAGED, TOO_LARGE = "not_an_image", "truncated", "damaged", "too_large"
MOST_PIXELS = 64_000_000  # each takes 4 to 12 bytes while a picture is decoded; below the limit of Pillow's warning
MOST_PIXELS_OF = {"WEBP": 40_000_000, "JPEG2000": 32_000_000}  # each takes 15 to 23 bytes
MOST_SCANNED = 50 * MOST_PIXELS  # pixels of a JPEG times its scans: 2 to 13 s of work
LONGEST = 1000  # the largest ratio of the sides: above it, scaling to a square takes too much memory
MOST_BYTES = 256 << 20  # of a picture's file
JPEGS = ("JPEG", "MPO")
# The formats of pictures on the web. Pillow has other decoders, which nobody fuzzes or which start programs.
FORMATS = (*JPEGS, "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000")
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")  # marker, length and number of components

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Decoded(Generic[Seen]):
    """The result for one picture: `status` is OK, or the reason why it was not decoded.

    `seen` is the caller's result for the decoded picture (None unless OK); width and height are None if unknown.
    """

    status: str
    width: int | None = None
    height: int | None = None
    seen: Seen | None = None


def decoded(data: bytes, see: Callable[[Image.Image], Seen]) -> Decoded[Seen]:
    """Return the size and status of a picture, and `see(image)` if it can be decoded; `data` are its file's bytes.

    Call this within `strict_about_size`. A picture that cannot be decoded raises nothing.
    """
    from PIL import Image, UnidentifiedImageError

    size: tuple[int, int] | tuple[()] = ()
    try:
        with Image.open(BytesIO(data), formats=_formats()) as image:
            size = image.size
            if not _can_be_decoded(image, data):
                return Decoded(TOO_LARGE, *size)
            image.load()
            return Decoded(OK, *size, see(image))
    except UnidentifiedImageError:
        return Decoded(NOT_AN_IMAGE)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        return Decoded(TOO_LARGE, *size)
    except Exception as error:  # decoders raise whatever a broken file leads them to
        return Decoded(TRUNCATED if "truncated" in str(error).lower() else DAMAGED, *size)


def _can_be_decoded(image: Image.Image, data: bytes) -> bool:
    pixels, most = image.width * image.height, MOST_PIXELS_OF.get(image.format or "", MOST_PIXELS)
    if pixels > most or max(image.size) > LONGEST * min(image.size):
        return False
    return image.format not in JPEGS or pixels * sum(1 for _ in _SCAN.finditer(data)) <= MOST_SCANNED


def flattened(image: Image.Image) -> Image.Image:
    """Return a picture on white instead of transparency, with 8 bits per channel."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 0xFFFF) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image
    coloured = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(coloured, mask=coloured.getchannel("A"))
    return white


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Return those of FORMATS that this Pillow can decode; silence the console output of Pillow and its libtiff."""
    from PIL import Image

    Image.init()
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Pillow logs faults of files to the console
    _silence_libtiff()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _silence_libtiff() -> None:
    """Stop the libtiff that Pillow may bring from writing a line to the console for each broken TIFF."""
    import PIL

    package = Path(PIL.__file__).parent
    for folder in (package.parent / "pillow.libs", package / ".dylibs"):  # Linux, macOS
        for library in folder.glob("libtiff*"):
            with suppress(OSError, AttributeError):
                loaded = ctypes.CDLL(str(library))
                loaded.TIFFSetErrorHandler(None)
                loaded.TIFFSetWarningHandler(None)


@contextmanager
def strict_about_size() -> Iterator[None]:
    """Turn Pillow's warning of a picture that is too large into an exception in the block; hide its other warnings."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
