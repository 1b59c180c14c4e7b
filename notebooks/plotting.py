"""Colours, axes and tables of the notebooks' plots, and the folders that they read. Nothing here computes a result."""

import os
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, LogLocator, PercentFormatter

from metadata import InputError
from runtime.wording import percent, short

plt.style.use(Path(__file__).with_name("style.mplstyle"))

BEFORE, AFTER, LINE = "#0072B2", "#E69F00", "#444444"  # all texts, balanced texts, t and other marks
BLUES = LinearSegmentedColormap.from_list("blues", plt.cm.Blues(np.linspace(0.25, 1)))  # little is not yet white
SHOWN_CHARACTERS = 140  # of a text in a table


class Unfit(InputError):
    """What a notebook needs is not there; it shows the sentence alone, without the traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def folder(variable: str, default: str, advice: str = "run `make demo` first") -> Path:
    """Return the folder that an environment variable names, or the default."""
    path = Path(os.environ.get(variable, default))
    if not path.is_dir():
        raise Unfit(f"There is no folder {path}: {advice}, or set {variable} to the folder that you mean.")
    return path


def need(something, sentence: str) -> None:
    """Stop with a sentence where there is nothing to look at."""
    if not len(something):
        raise Unfit(sentence)


def log_axis(axis) -> None:
    """Make an axis logarithmic, with labels such as 20, 10k and 1.6M."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(10, numticks=9))
    number_axis(axis)

    def between(value, _) -> str:
        low, high = axis.get_view_interval()
        few_decades, digit = high < 30 * low, f"{value:.0e}"[0]
        return short(value) if few_decades and digit in "25" else ""

    axis.set_minor_formatter(FuncFormatter(between))


def number_axis(axis) -> None:
    """Label an axis with numbers such as 500, 10k and 1.6M."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def share_axis(axis) -> None:
    """Label an axis of shares in percent."""
    axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def share(value) -> str:
    """Return a share in percent; a dash where there is none."""
    return percent(None if value != value else value)


def lines(counts, kept, t: int) -> tuple:
    """Return label, style and values of the lines of all texts, of kept texts, and of t texts an entry at most."""
    ideal = np.minimum(counts, t)
    return (
        ("all texts", {"color": BEFORE}, counts),
        ("kept texts", {"color": AFTER}, kept),
        ("the ideal", {"color": LINE, "linewidth": 0.8}, ideal),
    )


def grid(codes, draw, x: str, y: str) -> None:
    """Let `draw(axes, code)` draw one plot for each language; `x` and `y` are the labels of all axes."""
    height = -(-len(codes) // 3)
    fig, panels = plt.subplots(height, 3, figsize=(11, 3.1 * height), squeeze=False)
    for axes, code in zip(panels.flat, codes, strict=False):
        draw(axes, code)
    for axes in panels.flat[len(codes) :]:
        axes.set_visible(False)
    fig.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    fig.supxlabel(x, fontsize=10, color=LINE)
    fig.supylabel(y, fontsize=10, color=LINE)


def name_dots(axes, names, x, y, room=(28, 15)) -> None:
    """Write each name at the right of its dot, above or below, where it hides no dot and no name; limits are final.

    `room` is what a name takes, in pixels.
    """
    dots, taken = axes.transData.transform(np.column_stack([x, y])), []
    for name, place, dot in zip(names, zip(x, y, strict=True), dots, strict=True):
        for rise in (3, -12):
            corner = dot + np.array([5, rise]) * axes.figure.dpi / 72
            hides_dot = ((corner - 3 < dots) & (dots < corner + room)).all(axis=1).any()
            if not hides_dot and all((abs(corner - other) > room).any() for other in taken):
                axes.annotate(name, place, (5, rise), textcoords="offset points", fontsize=9, color=LINE)
                taken.append(corner)
                break


def ranks(number: int, points: int = 400) -> np.ndarray:
    """Return ranks from 1 to `number`, evenly spaced on a logarithmic axis: a line needs no thirty million points."""
    return np.unique(np.geomspace(1, number, points).round().astype(np.int64))


def listed(entries, separator: str = " · ") -> str | None:
    """Return entries in one line, each in its own direction; None where there are none."""
    return separator.join(f"\u2068{entry}\u2069" for entry in entries) or None


def table(frame, shares=()):
    """Return a data frame for display: thousands separated, `shares` in percent, texts cut and escaped.

    Entries and texts stand in tables, never in plots: a browser has fonts for every script, Matplotlib has not.
    """
    frame = frame.reset_index(drop=True).rename(columns=lambda name: name.replace("_", " "))
    texts = [name for name in frame if frame[name].dtype == object]
    numbers = [name for name in frame if name not in texts]
    heads = {
        name: [{"selector": "th", "props": f"text-align: {'left' if name in texts else 'right'}"}] for name in frame
    }
    return (
        frame.style.hide(axis="index")
        .format(_cut, subset=texts)
        .format(_number, subset=[name for name in numbers if name not in shares])
        .format(share, subset=list(shares))
        .set_properties(subset=texts, **{"text-align": "left", "unicode-bidi": "plaintext", "max-width": "42em"})
        .set_properties(subset=numbers, **{"text-align": "right"})
        .set_table_styles([{"selector": "th, td", "props": "padding: 2px 8px"}])
        .set_table_styles(heads, overwrite=False)
    )


def _cut(text) -> str:
    text = "–" if text is None or text != text else str(text)
    return escape(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")


def _number(value) -> str:
    if value != value:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"
