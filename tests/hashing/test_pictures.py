"""A picture's hash is that of what it shows, and a broken one has a reason instead."""

import io
import struct
import time
import zlib
from hashlib import sha256

import imagehash
import numpy as np
import pytest
from PIL import Image, features

from curation.plugins.hashing.clip_hash import hash_picture
from curation.plugins.tars import samples as module
from tests.support.pictures import picture, stored

SHOWN = picture(3)
CLEAR = picture(4).convert("RGBA")
CLEAR.putalpha(Image.linear_gradient("L").resize(CLEAR.size))


def phash_of(image: Image.Image) -> bytes:
    return bytes.fromhex(str(imagehash.phash(image)))


def reopened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(("form", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("PNG", "1"), ("GIF", "P"),
    ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("BMP", "RGB"), ("TIFF", "CMYK"), ("WEBP", "RGB")])  # fmt: skip
def test_hashes_of_all_forms_are_those_of_imagehash(form, mode):
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    data = stored(SHOWN.convert(mode), form)
    found = hash_picture(data)
    assert found["phash"] == phash_of(reopened(data))
    assert (found["width"], found["height"], found["status"]) == (96, 64, "ok")
    assert found["sha256"] == sha256(data).hexdigest()
    assert found["pdq"] is None


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_white(mode):
    image = CLEAR.quantize(16) if mode == "P" else CLEAR.convert(mode)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    found, expected = (int.from_bytes(each, "big") for each in (
        hash_picture(stored(image, "PNG"))["phash"], phash_of(white.convert("RGB"))))  # fmt: skip
    assert (found ^ expected).bit_count() <= 2  # a value is rounded once or twice
    hidden = CLEAR.copy()
    hidden.putalpha(0)
    assert hash_picture(stored(hidden, "PNG"))["phash"].hex() == "8000000000000000"


def test_of_16_bits_the_upper_8_count():
    grey = np.asarray(SHOWN.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 256 + 77)
    assert hash_picture(stored(deep, "PNG"))["phash"] == phash_of(Image.fromarray(grey))


def test_of_several_frames_the_first_one_counts():
    others = [picture(5), picture(6)]
    data = stored(SHOWN.quantize(), "GIF", save_all=True, append_images=[each.quantize() for each in others])
    assert hash_picture(data)["phash"] == phash_of(reopened(data))


def test_pixels_count_as_they_are_stored_whatever_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned, plain = hash_picture(stored(SHOWN, exif=exif)), hash_picture(stored(SHOWN))
    assert [turned[name] == plain[name] for name in ("width", "height", "phash", "sha256")] == [True] * 3 + [False]


def png_of_size(width: int, height: int) -> bytes:
    """Return the beginning of a PNG that says so."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000)))]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
             for kind, data in chunks]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def webp_of_size(width: int, height: int) -> bytes:
    """Return a lossless WebP of one colour."""
    data = b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + b"\x88\x88\x08" + bytes(4)
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


PNG = stored(SHOWN, "PNG")
BROKEN = {
    "empty": (b"", "not_an_image"),
    "a page": (b"<html>404</html>", "not_an_image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not_an_image"),
    "cut JPEG": (stored(SHOWN)[:-200], "truncated"),
    "beginning of a JPEG": (stored(SHOWN)[:60], "truncated"),
    "cut PNG": (PNG[:-500], "truncated"),
    "PNG with other bytes": (PNG[:100] + bytes(200) + PNG[300:], "damaged"),
    "a little too large": (png_of_size(8001, 8000), "too_large"),
    "of which Pillow warns": (png_of_size(12_000, 12_000), "too_large"),
    "which Pillow refuses": (png_of_size(60_000, 60_000), "too_large"),
    "a column of 74 bytes": (png_of_size(1, 63_999_999), "too_large"),
    "a row": (png_of_size(63_999_999, 1), "too_large"),
    "a WebP of 34 bytes": (webp_of_size(8000, 8000), "too_large"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_picture_without_hash_has_a_reason(kind):
    data, status = BROKEN[kind]
    found = hash_picture(data)
    assert (found["status"], found["phash"]) == (status, None)
    assert found["sha256"] == sha256(data).hexdigest()


def test_a_picture_for_which_memory_is_missing_is_too_large(monkeypatch):
    def without_memory(image):
        raise MemoryError

    monkeypatch.setattr("curation.plugins.tars.samples.flattened", without_memory)
    found = hash_picture(stored(SHOWN))
    assert (found["status"], found["width"], found["phash"]) == ("too_large", 96, None)


@pytest.mark.parametrize("form", [form for form in module.MOST_PIXELS_OF if form in module._formats()])
def test_formats_whose_decoders_take_more_memory_have_lower_limits(form, monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS_OF", {form: 96 * 64 - 1})
    data = stored(SHOWN, form)
    assert (hash_picture(data)["status"], hash_picture(PNG)["status"]) == ("too_large", "ok")


def test_a_jpeg_whose_scans_would_take_minutes_is_too_large_and_is_not_decoded():
    whole = stored(Image.new("RGB", (4000, 4000)), progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]  # a scan of 16 million pixels in a few bytes
    begin = time.monotonic()
    found = [hash_picture(whole[:-2] + last * scans + whole[-2:]) for scans in (0, 100_000)]
    assert [each["status"] for each in found] == ["ok", "too_large"]
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_scans_of_all_pictures_are_counted(mode, monkeypatch):
    for image in (SHOWN, picture(3, 960, 640)):
        data = stored(image.convert(mode), progressive=True)
        monkeypatch.setattr(module, "MOST_SCANNED", image.width * image.height * data.count(b"\xff\xda"))
        assert hash_picture(data)["status"] == "ok"
        monkeypatch.setattr(module, "MOST_SCANNED", module.MOST_SCANNED - 1)
        assert hash_picture(data)["status"] == "too_large"


def test_a_broken_tiff_writes_nothing_to_the_console(capfd):
    whole = stored(SHOWN, "TIFF", compression="tiff_lzw")
    for begin in range(8, len(whole), 97):
        hash_picture(whole[:begin] + b"\xff" * 8 + whole[begin + 8 :])
    assert capfd.readouterr().err == ""


def test_nothing_that_a_byte_is_changed_to_ends_a_task():
    random = np.random.default_rng(0)
    for form in ("JPEG", "PNG", "GIF", "BMP", "TIFF"):
        whole = np.frombuffer(stored(SHOWN, form), np.uint8)
        for _ in range(60):
            data = whole.copy()
            data[random.integers(0, min(len(data), 400), 3)] = random.integers(0, 256, 3)
            assert hash_picture(data.tobytes())["status"] in ("ok", "not_an_image", "truncated", "damaged", "too_large")


def test_pdq_is_the_bits_of_the_package_in_order(monkeypatch):
    class Package:
        @staticmethod
        def compute(pixels):
            assert pixels.shape == (64, 96, 3)
            return np.arange(256) % 2, 100

    monkeypatch.setattr("curation.plugins.hashing.clip_hash.import_module", {"pdqhash": Package}.__getitem__)
    assert hash_picture(stored(SHOWN), with_pdq=True)["pdq"] == b"\x55" * 32
