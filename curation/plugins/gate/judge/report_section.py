"""The report's section on the judge: probabilities of the texts of each language, and texts next to a rule's number.

Probabilities are of matched images, before the gate: of IMAGES images in each of FILES files. Texts below the number
are of images that passed the gate, the others of gate_removed/: so none has personal data that the policy removes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.gate.conditions.conditions import UsersJudge
from curation.plugins.gate.judge.judge import OUTPUTS, IsJudged, Judge
from curation.plugins.gate.judge.reasons import reasons_of
from curation.plugins.gate.options import GateOptions
from curation.report.facts import Observed, Section
from curation.report.page import environment
from curation.run.request import Observation, Options
from curation.schemas import REMOVED_PART
from runtime.arrow import parts
from runtime.draws import draws
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches
from runtime.tallies import TaskResult

FILES, IMAGES = 64, 1 << 16  # files that are read, evenly spaced; images, or removed texts, at the beginning of each
STEPS = 20  # of probability, in the histogram of a language
ROWS = 12  # texts next to the number, from each side
MOST = 500  # characters of a text that are shown
PURPOSE = "judged"  # of the draws that choose among texts that are equally near

Rules = Mapping[str, IsJudged]  # rules of a policy that judge, by the title that they have in run.json
Rows = list[dict[str, Any]]  # of texts, with the columns of GATE_REMOVED that the page shows, `percent` and `draw`


@dataclass(frozen=True)
class JudgedObserver:
    """Shows what the rules of a gate that judge decide; `judge` is that of a user's file."""

    rules: Rules
    judge: Judge | None

    def __call__(self, seen: Observation) -> Observed:
        """Return the section of the report."""
        engine, output, rules = seen.context.engine, seen.context.output, self.rules
        if self.judge:
            rules = {name: UsersJudge(rule, self.judge).rule(seen.context, ()) for name, rule in rules.items()}
        removed, seed = output.files(REMOVED_PART), seen.context.config.seed
        with seen.context.progress.stage("judge texts"):
            counts = engine.run(spaced(output.files("matched")), partial(count_probabilities, rules=rules))
            passed = engine.run(spaced(seen.images), partial(note_passed, rules=rules, seed=seed))
            gone = (
                engine.run(spaced(removed), partial(note_removed, rules=rules, seed=seed)) if removed else TaskResult()
            )
        shown = {
            name: {
                "percent": rule.percent,
                "languages": histograms(counts, name, seen.run.codes()),
                "below": nearest(passed.noted(name), rule.percent),
                "above": nearest(gone.noted(name), rule.percent),
            }
            for name, rule in rules.items()
        }
        html = environment(__package__).get_template("judged_texts.html").render(rules=shown, steps=STEPS)
        return Observed(section=Section("judged", "What the judge decides", html))


def find(options: Options) -> JudgedObserver | None:
    """Return the observer if the gate has rules that judge, and is to write a sample of removed images; else None."""
    gate = options.gate
    if not isinstance(gate, GateOptions) or not gate.keep_removed:
        return None
    chosen = [rule for rule in gate.rules.rules if rule.rule.name in OUTPUTS]
    rules = {str(rule): IsJudged(rule.rule.name, int(rule.number or 0)) for rule in chosen}
    return JudgedObserver(rules, Judge.read(Path(gate.judge)) if gate.judge else None) if rules else None


def spaced(files: Sequence[OwnFile]) -> list[OwnFile]:
    """Return FILES files, evenly spaced; all if there are fewer."""
    return [files[at] for at in np.unique(np.linspace(0, len(files) - 1, FILES).astype(int))] if files else []


def count_probabilities(file: OwnFile, rules: Rules) -> TaskResult:
    """Tally the texts of a MATCHED file by rule, step of probability and language."""
    result = TaskResult()
    for name, batch, texts, images in _judged(file, rules):
        steps = _percent(rules[name], texts, images, batch) * STEPS // 100
        rows = pa.table({"step": steps, "language": texts.field("language")})
        for row in rows.group_by(["step", "language"]).aggregate([([], "count_all")]).to_pylist():
            result.add(f"{name}.{row['step']}", row["count_all"], row["language"])
    return result


def note_passed(file: OwnFile, rules: Rules, seed: int) -> TaskResult:
    """Note by rule the ROWS texts of a MATCHED file that are nearest below its number."""
    result = TaskResult()
    for name, batch, texts, images in _judged(file, rules):
        percent, rule = _percent(rules[name], texts, images, batch), rules[name]
        drawn = draws(seed, PURPOSE, batch["uid"])[images]
        rows = np.lexsort((drawn, -percent))
        rows = rows[percent[rows] < rule.percent][:ROWS]
        few, own = texts.take(pa.array(rows)), batch.take(pa.array(images[rows]))
        columns = {
            **{column: few.field(column) for column in ("text", "language")},
            **{column: own[column] for column in ("uid", "url")},
            "page_url": pc.coalesce(few.field("page_url"), own["page_url"]),
            "why": reasons_of(rule, few, images[rows], batch),
        }
        _note(result, name, pa.table(columns), percent[rows], drawn[rows])
    return result


def note_removed(file: OwnFile, rules: Rules, seed: int) -> TaskResult:
    """Note likewise the texts of a GATE_REMOVED file that a rule removed, those nearest above its number."""
    result = TaskResult()
    for batch in _first(file):
        for name in rules:
            rows = pa.table(batch.filter(pc.equal(batch["rule"], name)))
            percent = pc.extract_regex(rows["why"], r"^(?P<percent>\d+)").combine_chunks().field("percent")
            percent, drawn = percent.cast(pa.int64()).to_numpy(), draws(seed, PURPOSE, rows["uid"].combine_chunks())
            first = np.lexsort((drawn, percent))[:ROWS]
            _note(result, name, rows.take(pa.array(first)), percent[first], drawn[first])
    return result


def nearest(rows: Rows, percent: int) -> Rows:
    """Return the ROWS rows that are nearest to `percent`, in the order of their draws where several are as near."""
    return sorted(rows, key=lambda row: (abs(row["percent"] - percent), row["draw"], row["text"]))[:ROWS]


def histograms(counts: TaskResult, name: str, codes: Sequence[str]) -> dict[str, list[int]]:
    """Return the number of texts in each step of probability, by language in the order of `codes`."""
    steps = [counts.by_language(f"{name}.{step}") for step in range(STEPS)]
    by_language = {code: [int(step.get(code, 0)) for step in steps] for code in codes}
    return {code: texts for code, texts in by_language.items() if any(texts)}


def _first(file: OwnFile) -> Iterator[pa.RecordBatch]:
    yield from (batch for _, batch in zip(range(1), batches(file, IMAGES), strict=False))


def _judged(file: OwnFile, rules: Rules) -> Iterator[tuple[str, pa.RecordBatch, pa.StructArray, np.ndarray]]:
    for batch in _first(file):
        texts, offsets = parts(batch["candidates"])
        yield from ((name, batch, texts, np.repeat(np.arange(batch.num_rows), np.diff(offsets))) for name in rules)


def _percent(rule: IsJudged, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
    return np.minimum(100 * rule.probabilities(texts, images, batch), 99).astype(np.int64)


def _note(result: TaskResult, name: str, rows: pa.Table, percent: np.ndarray, drawn: np.ndarray) -> None:
    shown = rows.append_column("percent", pa.array(percent)).append_column("draw", pa.array(drawn)).to_pylist()
    result.note(name, *({**row, "text": row["text"][:MOST]} for row in shown))
