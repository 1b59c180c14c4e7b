"""Draw the figure of docs/how-to/soft-cap.md: how often images are drawn, by score, for some penalties.

python -m tests.support.soft_cap_figure docs/how-to/soft-cap.svg
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.leaves.export.soft_cap import LOGITS, PURPOSE, Clocks, SoftCap
from runtime.draws import draw_hashes
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import part_writer
from tests.support.in_turn import in_turn

IMAGES, GROUPS = 100_000, 50
PENALTIES = {0.0: "#c0392b", 0.15: "#1f6fb2", 1.0: "#3a7d44"}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 300, 56, 44, 16
FONT = 'font-family="sans-serif" font-size="13"'
MOST = 20.0  # draws an image, at the top of the figure


def draws_by_score(penalty: float) -> np.ndarray:
    """Return the mean draws of images in groups of equal size, the lowest scores first; as many draws as images."""
    logits = np.sort(np.random.default_rng(0).normal(0, 1.5, IMAGES))
    uids = pa.array([f"{number:032x}" for number in range(IMAGES)])
    rows = [uids, draw_hashes(0, PURPOSE, uids), logits]
    soft_cap = SoftCap({"score": 1}, IMAGES, penalty)
    clocks = Clocks(penalty, soft_cap.decay, float(logits.max()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "0.parquet")
        with part_writer(path, LOGITS, IMAGES) as writer:
            writer.write(pa.RecordBatch.from_arrays([*map(pa.array, rows)], schema=LOGITS))
        file = OwnFile(path, writer.checksum, "")
        last = clocks.last(in_turn(), [file], IMAGES, Path(folder))
        counts = np.concatenate([number for _, number in clocks.drawn(file, last)])
    return counts.reshape(GROUPS, -1).mean(axis=1)


def figure() -> str:
    """Return the figure as SVG."""

    def x(share: float) -> float:
        return LEFT + share * (WIDTH - LEFT - 16)

    def y(draws: float) -> float:  # by its square root, so that few draws are seen, too
        return HEIGHT - BOTTOM - (draws / MOST) ** 0.5 * (HEIGHT - BOTTOM - TOP)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for draws in (0, 0.5, 1, 2, 5, 10, 20):
        lines.append(f'<path d="M{LEFT} {y(draws):.1f}H{x(1):.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y(draws) + 4:.1f}" text-anchor="end">{draws:g}</text>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        anchor = "end" if share == 1 else "middle"
        lines.append(f'<text x="{x(share):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">{share:.0%}</text>')
    middle = f'x="{x(0.5):.1f}" y="{HEIGHT - 6}" text-anchor="middle"'
    lines.append(f"<text {middle}>images in the order of their scores, the lowest first</text>")
    lines.append(f'<text transform="translate(14 {y(2.6):.0f}) rotate(-90)" text-anchor="middle">draws an image</text>')
    for place, (penalty, colour) in enumerate(PENALTIES.items()):
        means = draws_by_score(penalty)
        points = " ".join(f"{x((i + 0.5) / GROUPS):.1f},{y(mean):.1f}" for i, mean in enumerate(means))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{LEFT + 16}" y="{TOP + 16 + 18 * place}" fill="{colour}">penalty {penalty:g}</text>')
    return "\n".join([*lines, "</svg>\n"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(figure(), "utf-8")
