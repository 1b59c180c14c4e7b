"""Take docs/report.png, the picture of README, from the report of `make demo`; headless Chromium must be installed."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

WIDTH, HEIGHT = 1100, 950  # the head of the page, and the way from files to kept images
COLOURS = 48


def take(report: Path, picture: Path) -> None:
    """Write the top of the page `report` as a PNG of few colours."""
    with TemporaryDirectory() as folder:
        taken = Path(folder) / "taken.png"
        size = f"--window-size={WIDTH},{HEIGHT}"
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", size, f"--screenshot={taken}"]
        subprocess.run(["chromium", *options, report.resolve().as_uri()], check=True, capture_output=True)
        with Image.open(taken) as image:
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
