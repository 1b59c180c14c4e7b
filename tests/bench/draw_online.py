"""Draw the figure of the page on balancing while training, from a finished run: `draw_online.py RUN FIGURE.svg`.

Its panels: the entropy of entries of random batches, diverse ones and those of a target; and the share of each source
of captions in each epoch. Prints the numbers of the first panel.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation import online
from curation.balancing.thresholds import EntryCounts, entry_ids
from curation.plugins.annotations.captions import CaptionDraw
from curation.plugins.online.batches import chosen_rows, lists_at
from curation.run.results import Results

SUPER_BATCH = 3800
PARTS = (2, 3, 5, 10, 20)  # a batch is one of so many parts of its super-batch
SHARES = {"altogether": 0.3, "dfn": 0.2}
EPOCHS = 20
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"


def main(run: str, figure: str) -> None:
    """Draw the figure."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "online", "font.size": 9, "axes.spines.top": False}
    mpl.rcParams |= {"axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left"}
    _, (batches, captions) = plt.subplots(1, 2, figsize=(7.5, 3.2), layout="constrained")
    draw_batches(batches, Results.open(run))
    draw_captions(captions, pq.read_table(Path(run) / "curated", columns=["uid"])["uid"].combine_chunks())
    plt.savefig(figure, metadata={"Date": None})


def draw_batches(axes, run: Results) -> None:
    """Draw the mean entropy of the batches of all super-batches."""
    counts = EntryCounts.open(run.path / "counts.parquet").values
    entries = pq.read_table(run.path / "curated", columns=["entries"])["entries"].combine_chunks()
    ids, offsets = entry_ids(entries, len(counts))
    chance = np.random.default_rng(0)
    order = chance.permutation(len(offsets) - 1)
    groups = [order[i : i + SUPER_BATCH] for i in range(0, len(order) - SUPER_BATCH + 1, SUPER_BATCH)]
    lines: dict[str, list[float]] = {"diverse": [], "target √count": [], "random": []}
    for part in PARTS:
        size = SUPER_BATCH // part
        targets = {"diverse": None, "target √count": np.sqrt(counts)}
        for name, line in lines.items():
            found = []
            for group in groups:
                own = lists_at(group, [(ids, offsets[:-1], offsets[1:])])
                if name == "random":
                    rows = np.arange(size)
                else:
                    rows = chosen_rows(*own, size, online.ByEntries(size, targets[name]).targets(len(counts)))
                found.append(entropy(lists_at(rows, [(own[0], own[1][:-1], own[1][1:])])[0]))
            line.append(float(np.mean(found)))
        print(f"1 of {part}: " + ", ".join(f"{name} {line[-1]:.2f}" for name, line in lines.items()))
    for (name, line), colour in zip(lines.items(), (BLUE, ORANGE, GREY), strict=True):
        axes.plot(range(len(PARTS)), line, "o-", color=colour, ms=4)
        axes.annotate(name, (len(PARTS) - 1, line[-1]), xytext=(6, -3), textcoords="offset points", color=colour)
    axes.set_xticks(range(len(PARTS)), [f"1 of {part}" for part in PARTS])
    axes.set_xlim(right=len(PARTS) + 0.9)
    axes.set_title("Entropy of a batch's entries, nats")
    axes.set_xlabel(f"samples chosen of super-batches of {SUPER_BATCH:,}")


def entropy(ids: np.ndarray) -> float:
    """Return the entropy of the occurrences of entries."""
    shares = np.unique(ids, return_counts=True)[1] / len(ids)
    return float(-(shares * np.log(shares)).sum())


def draw_captions(axes, uids: pa.Array) -> None:
    """Draw the share of each source in each epoch, and two standard deviations around what was asked."""
    columns = [pa.repeat(name, len(uids)) for name in sorted(SHARES)]
    drawn = [CaptionDraw(SHARES, 0, epoch).drawn(columns, uids).to_pylist() for epoch in range(EPOCHS)]
    for (name, share), colour in zip(SHARES.items(), (BLUE, ORANGE), strict=True):
        spread = 2 * np.sqrt(share * (1 - share) / len(uids))
        axes.axhspan(share - spread, share + spread, color=colour, alpha=0.15, lw=0)
        axes.axhline(share, color=colour, lw=1)
        axes.plot([texts.count(name) / len(texts) for texts in drawn], "o", color=colour, ms=4)
        axes.annotate(f"{name}={share}", (0, share + 2 * spread), color=colour)
    axes.set_ylim(0.15, 0.36)
    axes.set_title("Share of samples that show a source")
    axes.set_xlabel(f"epoch, {len(uids):,} samples each; bands: two standard deviations")


if __name__ == "__main__":
    main(*sys.argv[1:])
