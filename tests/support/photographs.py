"""Many different pictures, made without a network from photographs of installed packages, and copies of each kind.

scikit-image and scikit-learn bring some twenty photographs, matplotlib one; each gives as many pictures as it has tiles
that do not overlap. Drawn pages, charts and logos are added, as the web has many.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

PHOTOGRAPHS = {
    "skimage": "data/{}.png: astronaut brick camera chelsea coffee coins color grass gravel ihc moon motorcycle_left "
    "page text; data/{}.jpg: hubble_deep_field retina rocket",
    "sklearn": "datasets/images/{}.jpg: china flower",
    "matplotlib": "mpl-data/sample_data/{}.jpg: grace_hopper",
}
TILES = 4  # of a photograph in each direction
SMALLEST = 64  # pixels of a tile, the shorter side

Copy = Callable[[Image.Image], Image.Image]


def photographs() -> list[Image.Image]:
    """Return the photographs of the packages that are installed."""
    paths = []
    for package, listed in PHOTOGRAPHS.items():
        found = find_spec(package)
        for group in listed.split(";") if found and found.origin else []:
            form, _, names = group.strip().partition(": ")
            paths += [Path(found.origin).parent / form.format(name) for name in names.split()]
    return [Image.open(path).convert("RGB") for path in paths if path.exists()]


def pictures(drawn: int = 250) -> list[Image.Image]:
    """Return the tiles of all photographs, and so many drawn pictures."""
    tiles = [tile for photograph in photographs() for tile in _tiles(photograph)]
    return tiles + [_drawn(np.random.default_rng(number)) for number in range(drawn)]


def encoded(image: Image.Image, form: str = "JPEG", quality: int = 90) -> bytes:
    """Return the bytes of a file of a picture."""
    file = io.BytesIO()
    image.save(file, form, quality=quality)
    return file.getvalue()


def encoding(form: str, quality: int) -> Copy:
    """Return a function that stores a picture with loss and opens it again."""
    return lambda image: Image.open(io.BytesIO(encoded(image, form, quality))).convert("RGB")


def scaled(x: float, y: float) -> Copy:
    """Return a function that scales a picture."""
    return lambda image: image.resize((max(1, round(image.width * x)), max(1, round(image.height * y))), Image.LANCZOS)


def cropped(share: float) -> Copy:
    """Return a function that cuts so much of a picture off at each side."""
    return lambda image: image.crop(
        (
            round(image.width * share),
            round(image.height * share),
            round(image.width * (1 - share)),
            round(image.height * (1 - share)),
        )
    )


def framed(image: Image.Image) -> Image.Image:
    """Return a picture in a white frame of 5 % at each side."""
    x, y = round(image.width * 0.05), round(image.height * 0.05)
    frame = Image.new("RGB", (image.width + 2 * x, image.height + 2 * y), "white")
    frame.paste(image, (x, y))
    return frame


def stamped(image: Image.Image) -> Image.Image:
    """Return a picture with a mark in its lower right corner, a sixth as wide and an eighth as high."""
    image = image.copy()
    width, height = image.size
    box = (width * 5 // 6, height * 7 // 8, width - 3, height - 3)
    ImageDraw.Draw(image).rectangle(box, fill="white", outline="black")
    return image


def captioned(image: Image.Image) -> Image.Image:
    """Return a picture with a black bar over its lowest tenth, and words in it."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, image.height * 9 // 10, image.width, image.height), fill="black")
    draw.text((4, image.height * 9 // 10), "photo: example.org", fill="white")
    return image


COPIES: dict[str, Copy] = {
    "JPEG, quality 95": encoding("JPEG", 95),
    "JPEG, quality 75": encoding("JPEG", 75),
    "JPEG, quality 50": encoding("JPEG", 50),
    "JPEG, quality 20": encoding("JPEG", 20),
    "WebP, quality 80": encoding("WEBP", 80),
    "half as large": scaled(0.5, 0.5),
    "a quarter as large": scaled(0.25, 0.25),
    "twice as large": scaled(2, 2),
    "half as large, JPEG, quality 50": lambda image: encoding("JPEG", 50)(scaled(0.5, 0.5)(image)),
    "10 % wider": scaled(1.1, 1),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "20 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "20 % more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "small mark in a corner": stamped,
    "caption over a tenth": captioned,
    "1 % cut off at each side": cropped(0.01),
    "2 % cut off at each side": cropped(0.02),
    "5 % cut off at each side": cropped(0.05),
    "white frame of 5 %": framed,
    "turned by 2 degrees": lambda image: image.rotate(2, Image.BICUBIC, fillcolor="white"),
    "mirrored": lambda image: image.transpose(Image.FLIP_LEFT_RIGHT),
    "turned by 90 degrees": lambda image: image.transpose(Image.ROTATE_90),
}


def _tiles(photograph: Image.Image) -> Iterator[Image.Image]:
    width, height = photograph.width // TILES, photograph.height // TILES
    if min(width, height) >= SMALLEST:
        for x in range(TILES):
            for y in range(TILES):
                yield photograph.crop((x * width, y * height, (x + 1) * width, (y + 1) * height))


def _drawn(random: np.random.Generator) -> Image.Image:
    """Return a page of lines, a chart of bars, or a logo of some shapes."""
    width, height = (int(side) for side in random.integers(80, 500, 2))
    image = Image.new("RGB", (width, height), tuple(random.integers(200, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    kind = random.integers(0, 3)
    for number in range(int(random.integers(4, 12))):
        colour = tuple(random.integers(0, 200, 3).tolist())
        x, y = random.integers(0, width), random.integers(0, height)
        if kind == 0:
            draw.text((x / 4, number * height / 12), "word " * int(random.integers(1, 30)), fill=colour)
        elif kind == 1:
            draw.rectangle((number * width / 12, y, (number + 0.8) * width / 12, height), fill=colour)
        else:
            draw.ellipse((x / 2, y / 2, x / 2 + width / 3, y / 2 + random.integers(5, height)), fill=colour)
    return image
