"""The report's section on the judge: probabilities of the texts of each language, and texts near a rule's percentage.

The probabilities are computed for matched images before the gate, for MAX_IMAGES images in each of MAX_FILES files.
Texts below the percentage belong to images that passed the gate, and texts above it come from gate_removed/. So no text
has personal data that the policy removes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.gate.conditions.conditions import ship_judge
from curation.plugins.gate.filters import TEXT, ImageBatch
from curation.plugins.gate.judge.judge import Judge, JudgedOutput
from curation.plugins.gate.judge.reasons import reasons_of
from curation.plugins.gate.options import GateOptions
from curation.report.facts import Observed, Section
from curation.report.page import environment
from curation.run.request import Observation, Observer, Options
from curation.schemas import REMOVED_PART
from runtime.draws import draws
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import TaskResult

MAX_FILES = 64  # files that are read, evenly spaced
MAX_IMAGES = 1 << 16  # images, or removed texts, that are read at the beginning of each file
PROBABILITY_STEPS = 20  # in the histogram of a language
SHOWN_TEXTS = 12  # texts nearest to the percentage, below it and above it
SHOWN_TEXT_CHARACTERS = 500
DRAW_OF_SHOWN = "judged"  # the name of the draws that choose among texts that are equally near

Rules = Mapping[str, JudgedOutput]  # rules of a policy that judge, by the title that they have in run.json
ShownRows = list[dict[str, Any]]  # texts, with the columns of GATE_REMOVED that the page shows, `percent` and `draw`


def find(options: Options) -> Observer | None:
    """Return the observer if the gate has rules of the judge and writes a sample of removed images; else None."""
    gate = options.gate
    if not isinstance(gate, GateOptions) or not gate.keep_removed:
        return None
    rules = {}
    for text_filter in gate.rules.filters(TEXT):
        judged = text_filter.arguments.get("judged")
        if isinstance(judged, JudgedOutput):
            rules[text_filter.title] = judged
    if not rules:
        return None
    return partial(show_judged, rules=rules, judge=Judge.read(Path(gate.judge)) if gate.judge else None)


def show_judged(seen: Observation, rules: Rules, judge: Judge | None) -> Observed:
    """Return the section of the report on what the rules of the judge decide; `judge` is the one of a user's file."""
    engine = seen.context.engine
    output = seen.context.output
    seed = seen.context.config.seed
    if judge:
        weights = ship_judge(judge, seen.context)
        rules = {name: replace(rule, weights=weights) for name, rule in rules.items()}
    removed = spaced(output.files(REMOVED_PART))
    with seen.context.progress.stage("judge texts"):
        counts = engine.run(spaced(output.files("matched")), partial(count_probabilities, rules=rules))
        passed = engine.run(spaced(seen.images), partial(note_passed, rules=rules, seed=seed))
        gone = TaskResult()
        if removed:
            gone = engine.run(removed, partial(note_removed, rules=rules, seed=seed))
    shown = {}
    for name, rule in rules.items():
        shown[name] = {
            "percent": rule.percent,
            "languages": histograms(counts, name, seen.run.codes()),
            "below": nearest(passed.noted(name), rule.percent),
            "above": nearest(gone.noted(name), rule.percent),
        }
    html = environment(__package__).get_template("judged_texts.html").render(rules=shown, steps=PROBABILITY_STEPS)
    return Observed(section=Section("judged", "What the judge decides", html))


def spaced(files: Sequence[OwnFile]) -> list[OwnFile]:
    """Return MAX_FILES files, evenly spaced; all if there are fewer."""
    if not files:
        return []
    numbers = np.linspace(0, len(files) - 1, MAX_FILES).astype(int)
    return [files[number] for number in np.unique(numbers)]


def count_probabilities(file: OwnFile, rules: Rules) -> TaskResult:
    """Tally texts of the first images of a MATCHED file by rule, step of probability and language."""
    result = TaskResult()
    for batch in _first_images(file):
        for name, rule in rules.items():
            steps = _percent(rule, batch) * PROBABILITY_STEPS // 100
            rows = pa.table({"step": steps, "language": batch.texts.field("language")})
            for row in rows.group_by(["step", "language"]).aggregate([([], "count_all")]).to_pylist():
                result.add(name, row["count_all"], item=row["step"], language=row["language"])
    return result


def note_passed(file: OwnFile, rules: Rules, seed: int) -> TaskResult:
    """Note, for each rule, SHOWN_TEXTS texts of a MATCHED file: the nearest below the rule's percentage.

    Only texts of the first MAX_IMAGES images are read.
    """
    result = TaskResult()
    for batch in _first_images(file):
        drawn = draws(seed, DRAW_OF_SHOWN, batch.images["uid"])[batch.image]
        for name, rule in rules.items():
            percent = _percent(rule, batch)
            rows = np.lexsort((drawn, -percent))
            rows = rows[percent[rows] < rule.percent][:SHOWN_TEXTS]
            some = batch.with_some_texts(rows)
            images = batch.images.take(pa.array(some.image))
            columns = {
                "text": some.texts.field("text"),
                "language": some.texts.field("language"),
                "uid": images["uid"],
                "url": images["url"],
                "page_url": pc.coalesce(some.texts.field("page_url"), images["page_url"]),
                "why": reasons_of(some, rule),
            }
            _note(result, name, pa.table(columns), percent[rows], drawn[rows])
    return result


def note_removed(file: OwnFile, rules: Rules, seed: int) -> TaskResult:
    """Note, for each rule, SHOWN_TEXTS texts of a GATE_REMOVED file: the nearest above its percentage that it removed.

    Only the first MAX_IMAGES texts are read.
    """
    result = TaskResult()
    for batch in batches(file, MAX_IMAGES):
        for name in rules:
            rows = pa.table(batch.filter(pc.equal(batch["rule"], name)))
            stated = pc.extract_regex(rows["why"], r"^(?P<percent>\d+)").combine_chunks().field("percent")
            percent = stated.cast(pa.int64()).to_numpy()
            drawn = draws(seed, DRAW_OF_SHOWN, rows["uid"].combine_chunks())
            first = np.lexsort((drawn, percent))[:SHOWN_TEXTS]
            _note(result, name, rows.take(pa.array(first)), percent[first], drawn[first])
        break
    return result


def nearest(rows: ShownRows, percent: int) -> ShownRows:
    """Return the SHOWN_TEXTS rows nearest to `percent`, sorted by distance, then by draw, then by text."""
    return sorted(rows, key=lambda row: (abs(row["percent"] - percent), row["draw"], row["text"]))[:SHOWN_TEXTS]


def histograms(counts: TaskResult, name: str, codes: Sequence[str]) -> dict[str, list[int]]:
    """Return the number of texts in each step of probability, by language in the order of `codes`."""
    steps = [counts.by_language(name, step) for step in range(PROBABILITY_STEPS)]
    by_language = {}
    for code in codes:
        texts = [int(step.get(code, 0)) for step in steps]
        if any(texts):
            by_language[code] = texts
    return by_language


def _first_images(file: OwnFile) -> Iterator[ImageBatch]:
    """Yield the first MAX_IMAGES images of a file, as one batch; nothing if the file has none."""
    for images in batches(file, MAX_IMAGES):
        yield ImageBatch.of(images)
        break


def _percent(rule: JudgedOutput, batch: ImageBatch) -> np.ndarray:
    return np.minimum(100 * rule.probabilities(batch), 99).astype(np.int64)


def _note(result: TaskResult, name: str, rows: pa.Table, percent: np.ndarray, drawn: np.ndarray) -> None:
    """Note rows by the name of a rule, with their percentages and draws, and with shortened texts."""
    shown = rows.append_column("percent", pa.array(percent)).append_column("draw", pa.array(drawn))
    for row in shown.to_pylist():
        result.note(name, {**row, "text": row["text"][:SHOWN_TEXT_CHARACTERS]})
