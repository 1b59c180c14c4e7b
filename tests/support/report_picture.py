"""Take docs/report.png, the picture of README: the funnel of a run's report, and what balancing did.

    clip-metadata --wordnet $DATA/wordnet --output metadata
    clip-curate --input $DATA/wat $DATA/pairs/web_1000.parquet --metadata metadata --english-threshold 3 --output run
    python tests/support/report_picture.py run/report.html docs/report.png

$DATA is the folder of real data (SHARED_DATA in tests/conftest.py). Headless Chromium must be installed.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops

WIDTH, HEIGHT = 1100, 1400  # of the window; what is below the last chart is cut off
MARGIN = 24  # pixels below the last chart
COLOURS = 48
DISTRIBUTION = "#distributions + p + p + h3"  # of the language with the most matches
SHOWN = (
    *("h1", ".lead", ".tiles", "#funnel", "#funnel + .card", "#distributions"),
    *("#distributions + p", "#distributions + p + p", DISTRIBUTION, f"{DISTRIBUTION} + .pair"),
)


def take(report: Path, picture: Path) -> None:
    """Write the parts SHOWN of the page `report` as a PNG of few colours."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        taken = Path(folder) / "taken.png"
        style = f"<style>body > :not({', '.join(SHOWN)}) {{ display: none; }} body {{ padding-bottom: 0; }}</style>"
        page.write_text(report.read_text("utf-8").replace("</head>", f"{style}</head>"), "utf-8")
        size = f"--window-size={WIDTH},{HEIGHT}"
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", size, f"--screenshot={taken}"]
        subprocess.run(["chromium", *options, page.as_uri()], check=True, capture_output=True)
        with Image.open(taken) as opened:
            image = opened.convert("RGB")
            empty = Image.new("RGB", image.size, image.getpixel((0, 0)))
            bottom = ImageChops.difference(image, empty).getbbox()[3]
            shown = image.crop((0, 0, WIDTH, min(HEIGHT, bottom + MARGIN)))
            shown.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
