"""Pictures made on the spot, in the forms that files of the web take, and what hash_images writes of them."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """Return a smooth picture of colours, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def stored(image: Image.Image, form: str = "JPEG", **options) -> bytes:
    """Return the bytes of a file of a picture."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def write_tar(path: Path, members: dict[str, bytes | dict]) -> Path:
    """Write a tar of these files; a dict is written as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = json.dumps(content).encode() if isinstance(content, dict) else content
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return path


def downloaded_tar(path: Path, seeds: range) -> Path:
    """Write a tar as img2dataset does, with a picture for each seed."""
    members: dict[str, bytes | dict] = {}
    for seed in seeds:
        members[f"{seed:09}.jpg"] = stored(picture(seed))
        members[f"{seed:09}.json"] = {"uid": f"u{seed}", "url": f"http://a.example/{seed}.jpg", "status": "success"}
        members[f"{seed:09}.txt"] = b"a text"
    return write_tar(path, members)
