"""Print the tables of the proof's pages and draw its figure, from the accuracies in proof.csv.

    python tests/bench/proof_results.py tables FOLDER
    python tests/bench/proof_results.py draw FOLDER FIGURE

`proof` makes the file. pandas and scipy are needed, and matplotlib for the figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

TRAINED = ("noto", "noto-v1", "fxemoji", "emojione", "openmoji")
CHOOSING, UNSEEN = "twemoji", "fluent"  # learning rates are chosen on one unseen artist, results are of the other
SHARES = {"en": 0.5, "de": 0.2, "es": 0.15, "ru": 0.1, "ja": 0.05}
THRESHOLDS = (300, 100, 30, 10, 3, 1)
RATES_WORLD, WORLDS, LEARNING_RATES = 0, range(1, 9), (1e-3, 2e-3, 4e-3)
ONE_LIST = "one list, t=10"
RULES = "rules, t=10"
RANDOM = "random removal, t=10"
ARMS = {  # pool, t; the first four are the main question
    "uniform": ("run", None),
    "t=30": ("run", 30),
    "t=10": ("run", 10),
    "t=3": ("run", 3),
    "t=300": ("run", 300),  # added after the plan
    "t=100": ("run", 100),
    "t=1": ("run", 1),
    ONE_LIST: ("merged", 10),
    RULES: ("gated", 10),
    RANDOM: ("thinned", 10),
}
MAIN = [*ARMS][:4]
SIDE_WORLDS = range(1, 5)  # of the other arms
FIRST_SEED, SECOND_SEED = 1, 2  # the second one was added after the plan, for the arms below in all worlds
AGAIN = ("uniform", "t=30")
RULES_RATE = 1e-3  # random removal at this rate, which is that of the rules, was added after the plan
RESULTS, MODEL = "proof.csv", ["world", "arm", "rate", "seen", "seed"]
GROUPS = {"head": "#d55e00", "middle": "#777777", "tail": "#0072b2", "all": "#000000", "as drawn": "#cc79a7"}


def results(folder: Path) -> pd.DataFrame:
    """Return accuracies: a row for each model, artist and language."""
    path = folder / RESULTS
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=[*MODEL, "artist", "language", *GROUPS])


def by_model(rows: pd.DataFrame, artist: str) -> pd.DataFrame:
    """Return the accuracies of each model on an artist's pictures: means of the languages."""
    return rows[rows["artist"] == artist].groupby(MODEL, sort=False)[[*GROUPS]].mean().reset_index()


def best_rates(rows: pd.DataFrame) -> dict[str, float]:
    """Return the learning rate of each arm: the best tail on the artist for choosing, in the world that is left out."""
    models = by_model(rows, CHOOSING)
    tried = models[models["world"] == RATES_WORLD]
    return tried.sort_values("tail").groupby("arm")["rate"].last().to_dict()


def interval(values: pd.Series) -> tuple[float, float]:
    """Return the mean over worlds, and half of its 95 % interval (Student)."""
    worlds = len(values)
    return values.mean(), stats.t.ppf(0.975, worlds - 1) * values.std() / worlds**0.5


def planned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of models that the plan asked for, and of t = 300: each arm at its best rate, with one seed."""
    rates = rows["arm"].map(best_rates(rows))
    tested = rows["world"] != RATES_WORLD
    return rows[tested & (rows["rate"] == rates) & (rows["seed"] == FIRST_SEED)]


def percents(rows: pd.DataFrame, artist: str = UNSEEN, language: str | None = None) -> pd.DataFrame:
    """Return the accuracies of each world and arm, in one language or as the mean of all."""
    if language is not None:
        rows = rows[rows["language"] == language]
    return 100 * by_model(rows, artist).set_index(["world", "arm"])[[*GROUPS]]


def gain(models: pd.DataFrame, arm: str, base: str = "uniform") -> pd.DataFrame:
    """Return what an arm has more than another one in each world that both have."""
    return (models.xs(arm, level="arm") - models.xs(base, level="arm")).dropna()


def plus_minus(values: pd.Series) -> str:
    """Return a mean over worlds with its 95 % interval, as `+4.5 ± 1.2`."""
    return "{:+.1f} ± {:.1f}".format(*interval(values))


def cells(models: pd.DataFrame, arm: str, groups: Iterable[str] = GROUPS) -> list[str]:
    """Return an arm's mean of each group, and its gain over the uniform draw in the same worlds."""
    means = models.xs(arm, level="arm")
    if arm == "uniform":
        return [f"{means[group].mean():.1f}" for group in groups]
    gains = gain(models, arm)
    return [f"{means[group].mean():.1f} ({plus_minus(gains[group])})" for group in groups]


def gains_of(models: pd.DataFrame, arm: str, base: str = "uniform") -> list[str]:
    """Return the gain of an arm over another one in each group."""
    gains = gain(models, arm, base)
    return [plus_minus(gains[group]) for group in GROUPS]


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of the tables: first the two of the page, then those of its details."""
    models = planned(rows)
    main = models[models["arm"].isin(MAIN)]
    side = models[models["world"].isin(SIDE_WORLDS)]
    unseen = percents(main)
    yield from table("fluent, 8 worlds", (*GROUPS, "p (tail)"), main_lines(unseen))
    over_t = percents(side)
    lines = {arm: cells(over_t, arm) for arm in ("uniform", *of_thresholds())}
    yield from table("fluent, 4 worlds", GROUPS, lines)
    yield from table("fluent, gain in 4 worlds", GROUPS, compared(rows, over_t))
    yield from table("gain of t=30, 8 worlds", GROUPS, by_seed(rows))
    yield from table("one model, 8 worlds", GROUPS, spread_of_seeds(rows))
    for artist in (CHOOSING, TRAINED[0]):
        of_artist = percents(main, artist)
        yield from table(f"{artist}, 8 worlds", GROUPS, {arm: cells(of_artist, arm) for arm in MAIN})
    of_language = {code: percents(main, language=code) for code in SHARES}
    lines = {code: [cells(each, arm, ["tail"])[0] for arm in MAIN] for code, each in of_language.items()}
    yield from table("fluent, tail", MAIN, lines)
    yield from table("fluent, world 0, tail", [f"{rate:g}" for rate in LEARNING_RATES], at_each_rate(rows))


def of_thresholds() -> list[str]:
    """Return the arms that differ only in t, from the largest t."""
    return [f"t={t}" for t in THRESHOLDS]


def main_lines(models: pd.DataFrame) -> dict[str, list[str]]:
    """Return the lines of the main table: accuracies, gains, and the adjusted p of the gain in the tail."""
    arms = [arm for arm in MAIN if arm != "uniform"]
    p_values = [stats.ttest_1samp(gain(models, arm)["tail"], 0).pvalue for arm in arms]
    adjusted = dict(zip(arms, holm(p_values), strict=True))
    lines = {"uniform": [*cells(models, "uniform"), ""]}
    for arm in arms:
        lines[arm] = [*cells(models, arm), f"{adjusted[arm]:.2g}"]
    return lines


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values of several tests, adjusted by Holm's method.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for rank, test in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[test]))
        adjusted[test] = largest
    return [float(p) for p in adjusted]


def compared(rows: pd.DataFrame, models: pd.DataFrame) -> dict[str, list[str]]:
    """Return the gains of arms at t = 10 over each other; `models` has them at the rates of the plan."""
    side = rows[rows["world"].isin(SIDE_WORLDS) & (rows["seed"] == FIRST_SEED)]
    at_one_rate = percents(side[side["arm"].isin((RULES, RANDOM)) & (side["rate"] == RULES_RATE)])
    return {
        f"{ONE_LIST} over t=10": gains_of(models, ONE_LIST, "t=10"),
        f"{RULES} over t=10": gains_of(models, RULES, "t=10"),
        f"{RULES} over {RANDOM}": gains_of(models, RULES, RANDOM),
        "the same, both at 0.001": gains_of(at_one_rate, RULES, RANDOM),
    }


def with_both_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracies of the arms that were trained twice: an index of seed, world and arm."""
    rates = rows["arm"].map(best_rates(rows))
    tested = rows["world"].isin(WORLDS) & rows["arm"].isin(AGAIN)
    models = by_model(rows[tested & (rows["rate"] == rates)], UNSEEN)
    return 100 * models.set_index(["seed", "world", "arm"])[[*GROUPS]]


def by_seed(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the gain of t = 30 with each seed, and with the mean of both."""
    models = with_both_seeds(rows)
    means = models.groupby(["world", "arm"]).mean()
    return {
        "first seed": gains_of(models.xs(FIRST_SEED, level="seed"), "t=30"),
        "second seed": gains_of(models.xs(SECOND_SEED, level="seed"), "t=30"),
        "mean of both": gains_of(means, "t=30"),
    }


def spread_of_seeds(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the standard deviation of a model over seeds, in a given world, for each arm that was trained twice."""
    models = with_both_seeds(rows)
    differences = models.xs(SECOND_SEED, level="seed") - models.xs(FIRST_SEED, level="seed")
    lines = {}
    for arm in AGAIN:
        variances = (differences.xs(arm, level="arm") ** 2).mean() / 2
        lines[f"{arm}, standard deviation"] = [f"{variances[group] ** 0.5:.1f}" for group in GROUPS]
    return lines


def at_each_rate(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the tail of world 0 by arm and learning rate."""
    models = by_model(rows[rows["world"] == RATES_WORLD], UNSEEN).set_index(["arm", "rate"])["tail"]
    return {arm: [f"{100 * models[arm, rate]:.1f}" for rate in LEARNING_RATES] for arm in MAIN}


def table(corner: str, columns: Collection[str], lines: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield an empty line and a table in Markdown; `lines` has the cells of each line by its name."""
    yield from ("", f"| {corner} | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns))
    yield from (f"| {name} | {' | '.join(line)} |" for name, line in lines.items())


def draw(rows: pd.DataFrame, figure: Path) -> None:
    """Draw accuracies over t, and what each arm gains over the uniform draw of the same world."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "proof", "font.size": 9, "axes.spines.top": False}
    mpl.rcParams |= {"axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left"}
    models = percents(planned(rows))
    drawn = {*models.index.get_level_values("arm")}
    over_t = [arm for arm in ("uniform", *of_thresholds()) if arm in drawn]
    others = [arm for arm in dict.fromkeys((*over_t, *ARMS)) if arm in drawn - {"uniform"}]
    canvas, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(1, 2))
    common = models[models.index.get_level_values("world").isin(SIDE_WORLDS)] if len(others) > len(MAIN) else models
    for place, (group, colour) in enumerate(GROUPS.items()):
        means = [common.xs(arm, level="arm")[group].mean() for arm in over_t]
        left.plot(range(len(means)), means, "o-", color=colour, ms=4, label=group)
        for at, arm in enumerate(others):
            gains, x = gain(models, arm)[group], at + 0.15 * (place - 2)
            right.plot([x + 0.05] * len(gains), gains, ".", color=colour, ms=3, alpha=0.6)
            right.errorbar(x, *interval(gains), fmt="o", color=colour, ms=4, capsize=2)
    left.set_xticks(range(len(over_t)), over_t)
    left.set_title("accuracy (%) on an artist no model saw")
    left.set_ylim(bottom=0)
    right.set_xticks(range(len(others)), [arm.replace(", ", "\n") for arm in others], fontsize=8)
    right.set_title("points gained over the uniform draw: mean, 95 % interval, each world")
    right.axhline(0, color="#999999", lw=0.8)
    canvas.legend(*left.get_legend_handles_labels(), frameon=False, ncols=5, loc="outside lower center")
    plt.savefig(figure, metadata={"Date": None} if figure.suffix == ".svg" else None)


def main() -> None:
    """Print the tables, or draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["tables", "draw"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("figure", type=Path, nargs="?")
    args = parser.parse_args()
    if not (args.folder / RESULTS).exists():
        parser.error(f"{args.folder} holds no {RESULTS}: train first")
    if args.step == "draw" and not args.figure:
        parser.error("the name of the figure is missing")
    if args.step == "tables":
        print(*tables(results(args.folder)), sep="\n")
    else:
        draw(results(args.folder), args.figure)


if __name__ == "__main__":
    main()
