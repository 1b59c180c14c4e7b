"""Observers that look at the texts of a run: doubtful rows, the shape of counts, tokens, and what a gate removed.

The shape is that of the counts of English or, if all texts are matched against a single list of entries, of that list.
It is compared with the figures of "Demystifying CLIP Data" (arXiv 2309.16671): 500,000 entries, 1.6 billion texts with
5.6 billion matches. Tokens are those of a tokenizer.json, as models at Hugging Face have it; nothing is downloaded. The
package tokenizers reads it and adds the tokens of begin and end that the file asks for. Of what a gate removed, some
texts of each rule are shown, from the sample in gate_removed/, and the entries that it thins: the counts over all
matched images are compared with the counts over the images that passed.
"""

import os
import resource
import string
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import DOUBTFUL_SCORE, ENGLISH
from curation.report.facts import Observed, Run, Section
from curation.report.page import environment
from curation.run import tasks
from curation.run.request import Observation, Observer, Options
from curation.schemas import GATE_REMOVED, REMOVED_PART
from runtime.draws import draws
from runtime.engine import Engine, spread
from runtime.errors import InputError
from runtime.packages import require_packages
from runtime.shipping import Shipped
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, write_rows
from runtime.tallies import TaskResult
from runtime.wording import counted, quotient

FILES = 8  # first files of the manifest, which are searched for doubtful rows
ROWS = 10  # most doubtful rows of a language, and rows of a rule in a step of the gate
LANGUAGES = 60  # those with the most kept rows of a low score

PUBLISHED: dict[str, Any] = {
    "never_matched": 114_000 / 500_000,
    "entries_above_t": 0.032,
    "matches_above_t": 0.945,
    "matches_a_text": 3.5,
    "top": ["of", "in", "and", "for", "the", "The", "with", "to", "photo", "a"],
}

CONTEXT = 77  # tokens that a text encoder of CLIP reads, with begin and end
TOKENIZER_BYTES = 256 << 20  # of a tokenizer.json; the largest have 40 MB
TRIAL_SECONDS, TRIAL_MEMORY = 60, 8 << 30  # of address space: libraries reserve much
MOST_TOKENS = 1000  # of a character in TRIAL_TEXTS, with those of begin and end
TRIAL_TEXTS = (  # runs of one character make bad patterns slow; the last have words and characters that few models know
    *(sign * 40 + "!" for sign in string.ascii_letters + string.digits + string.punctuation + " é犬"),
    *("The quick brown fox jumps over 1,234 lazy dogs. " * times for times in (1, 100)),
    "Ελληνικά русский עברית العربية हिन्दी ไทย 日本語 한국어 🐕\u200d🦺 \ufdfa",
)
_TRIAL = "import sys; sys.path[:] = sys.argv[1].splitlines(); "
_TRIAL += f"from {__name__} import tokenizer_fault; print(tokenizer_fault(sys.argv[2]), end='')"
COUNTS = {"texts": ("tokens", "count"), "cut": ("cut", "sum"), "tokens": ("tokens", "sum")}  # by language


def observe_doubtful(seen: Observation) -> Observed:
    """Return the section with kept rows of a low language score, of the beginning of the manifest, to see mistakes."""
    rows = first_doubtful((batch for file in seen.manifest[:FILES] for batch in batches(file)), seen.run)
    return Observed(section=doubtful_section(rows, seen.run))


def observe_shape(seen: Observation) -> Observed:
    """Compare the counts of a run with the figures of the paper "Demystifying CLIP Data".

    Return the figures of `shape_of_run` as facts, and the report's section; without a match, neither.
    """
    shape = shape_of_run(seen.run)
    if not shape:
        return Observed({})
    html = environment(__package__).get_template("shape.html").render(here=shape, published=PUBLISHED)
    return Observed(shape, Section("shape", "Beside the published pool of 1.6 billion English pairs", html))


def observe_tokens(seen: Observation, tokenizer: Path) -> Observed:
    """Count kept texts, those over CONTEXT tokens, and tokens, in tasks that read the manifest.

    Return the counts of each language and the section of the report.
    """
    engine = seen.context.engine
    with seen.context.progress.stage("count tokens"):
        counts = engine.run(seen.manifest, partial(count_tokens, tokenizer=engine.ship(tokenizer)))
    by_name = {name: counts.by_language(name) for name in COUNTS}
    codes = [code for code in seen.run.codes() if code in by_name["texts"]]
    languages = {code: {name: values[code] for name, values in by_name.items()} for code in codes}
    html = environment(__package__).get_template("tokens.html").render(languages=languages, most=CONTEXT)
    facts = {"tokenizer": tokenizer.name, "most": CONTEXT, "languages": languages}
    return Observed(facts, Section("tokens", f"Texts over {CONTEXT} tokens", html))


def find_doubtful(options: Options) -> Observer:
    """Return the observer of doubtful rows, whatever the options."""
    return observe_doubtful


def find_shape(options: Options) -> Observer:
    """Return the observer of the shape, whatever the options."""
    return observe_shape


def find_tokens(options: Options) -> Observer | None:
    """Return the observer of the tokenizer in `options`; None if there is none."""
    if options.tokenizer is None:
        return None
    require_packages(["tokenizers"])
    require_tokenizer(Path(options.tokenizer))
    return partial(observe_tokens, tokenizer=Path(options.tokenizer))


def doubtful_section(rows: dict[str, list[dict[str, Any]]], run: Run) -> Section:
    """Return the section that shows `rows`, CURATED rows by language; languages with the most texts come first."""
    doubtful = [(code, run.language_row(code), rows[code]) for code in run.codes() if code in rows]
    html = environment(__package__).get_template("doubtful.html").render(doubtful=doubtful, entry=run.entries.entry)
    return Section("doubtful-rows", "Doubtful rows", html)


def first_doubtful(batches: Iterable[pa.RecordBatch], run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return, by language, the first ROWS kept rows with a low score, for the LANGUAGES languages with most such rows.

    `batches` are CURATED batches in the random order of the manifest; reading stops once all of these rows are found.
    """
    counts = run.curated.by_language("language.kept_doubtful")
    most = sorted(counts, key=lambda code: -counts[code])[:LANGUAGES]
    missing, rows_by_language = {code: min(ROWS, int(counts[code])) for code in most}, defaultdict(list)
    for batch in batches if missing else ():
        low = pc.and_(pc.less(batch["lid_score"], DOUBTFUL_SCORE), pc.is_in(batch["language"], pa.array([*missing])))
        for row in batch.filter(low).to_pylist():
            if missing.get(row["language"], 0):
                rows_by_language[row["language"]].append(row)
                missing[row["language"]] -= 1
        missing = {code: left for code, left in missing.items() if left}
        if not missing:
            break
    return dict(rows_by_language)


def shape_of_run(run: Run) -> dict[str, Any]:
    """Return the figures of `shape_of`, the language, and the top entries of a run's English list, or of its only list.

    {} without a match.
    """
    code, texts = run.config.one_list or ENGLISH, run.curated.by_language("language.texts")
    counts = run.counts.values[run.entries.ids(code)]
    if not counts.any():
        return {}
    matched = sum(texts.values()) if run.config.one_list else texts.get(code, 0)
    shape = shape_of(counts, run.thresholds.of_language[code], matched)
    return {"language": code, **shape, "top": [row["entry"] for row in run.top_entries(code)]}


def shape_of(counts: np.ndarray, t: int, texts: float) -> dict[str, float | None]:
    """Return four figures on the counts of a list of entries: shares of entries and of matches, and matches per text.

    `t` is the threshold of balancing: entries with that many texts or more are above it. `texts` is the number of texts
    with a match. Quotients by 0 are None.
    """
    above, matches = counts >= t, int(counts.sum())
    return {
        "never_matched": quotient(int((counts == 0).sum()), len(counts)),
        "entries_above_t": quotient(int(above.sum()), len(counts)),
        "matches_above_t": quotient(int(counts[above].sum()), matches),
        "matches_a_text": quotient(matches, texts),
    }


def open_tokenizer(path: Path) -> Any:
    """Return the tokenizer in a tokenizer.json, set to neither cut nor pad texts; InputError if it is none."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # each core has a task
    from tokenizers import Tokenizer  # optional

    try:
        if not path.is_file() or path.stat().st_size > TOKENIZER_BYTES:
            raise ValueError(f"no file of at most {TOKENIZER_BYTES >> 20} MB")
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers has no class for it
        raise InputError(f"{path} is no tokenizer ({error}); give a tokenizer.json, as models have it") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def require_tokenizer(path: Path) -> None:
    """Try a tokenizer.json on TRIAL_TEXTS, in a process with limits; InputError if it fails, or takes too long."""
    open_tokenizer(path)
    trial = [sys.executable, "-I", "-c", _TRIAL, "\n".join(sys.path), str(path)]
    try:
        tried = subprocess.run(trial, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False)
        fault = f"it ends the process that tries it (status {tried.returncode})" if tried.returncode else tried.stdout
    except subprocess.TimeoutExpired:
        fault = f"it takes more than {TRIAL_SECONDS} seconds for {len(TRIAL_TEXTS)} texts"
    if fault:
        raise InputError(f"the tokenizer {path} cannot be used: {fault}; give the tokenizer.json of a model")


def tokenizer_fault(path: str) -> str:
    """Return what is wrong with a tokenizer by its tokens of TRIAL_TEXTS, or "", in a process of its own."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (TRIAL_MEMORY, TRIAL_MEMORY))
    encode = open_tokenizer(Path(path)).encode_batch_fast
    for text in TRIAL_TEXTS:
        try:
            (tokens,) = _numbers_of_tokens(encode, [text])
        except InputError as error:
            return f"{error}, such as {text[:9]!r}"
        if tokens > MOST_TOKENS * len(text):
            return f"it makes {tokens:,} tokens of a text of {len(text)} characters"
    return ""


def _numbers_of_tokens(encode: Callable[[list[str]], list[Any]], texts: list[str]) -> list[int]:
    try:
        return [*map(len, encode(texts))]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers has no class for it, and its panics are no Exception
        raise InputError(f"the tokenizer fails at a text ({error})") from None


def count_tokens(file: OwnFile, tokenizer: Shipped) -> TaskResult:
    """Tally by language, for a CURATED file, the texts, the texts over CONTEXT tokens, and the tokens."""
    tallies, encode = TaskResult(), tokenizer.opened(open_tokenizer).encode_batch_fast
    for batch in batches(file, columns=["text", "language"]):
        tokens = pa.array(_numbers_of_tokens(encode, batch["text"].to_pylist()), pa.int64())
        rows = pa.table({"language": batch["language"], "tokens": tokens, "cut": pc.greater(tokens, CONTEXT)})
        for row in rows.group_by("language").aggregate([*COUNTS.values()]).to_pylist():
            for name, summed in COUNTS.items():
                tallies.add(name, row["_".join(summed)], row["language"])
    return tallies


PURPOSE = "shown"  # of the draws that choose the texts to show

FEW = 0.1  # an entry is thinned if less than this share of its texts passed
TOP = 20  # entries listed per language
THINGS = {"conditions": "image", "texts": "text"}  # what rules remove, by the key of the rules in Run.gate


def observe_removed(seen: Observation, share: float) -> Observed:
    """Show what a gate removed; `share` is the share of removed images that was written to gate_removed/.

    Return as facts `share` and, by language, the entries with few texts left; and the section of the report.
    """
    engine, output = seen.context.engine, seen.context.output
    with seen.context.progress.stage("see what the gate removed"):
        sample, shown = output.files(REMOVED_PART), output.parts.begin("shown")
        rows = some_of_each(engine, sample, seen.context.config.seed, shown)
        before = tasks.count_texts(engine, output.matched_files(), seen.run.entries, output.parts.begin("before"))
    entries = thinned(before.values, seen.run)
    return Observed({"share": share, "entries": entries}, removed_section(rows, entries, seen.run))


def find_removed(options: Options) -> Observer | None:
    """Return the observer if the gate is to write a sample of removed images; else None."""
    share = options.gate and options.gate.keep_removed
    return partial(observe_removed, share=share) if share else None


def some_of_each(engine: Engine, files: list[OwnFile], seed: int, folder: Path) -> list[dict[str, Any]]:
    """Return at most ROWS rows of GATE_REMOVED with the smallest draws for each step and rule in `files`.

    Each task writes such rows of its files to `folder`; the result is chosen from what the tasks wrote.
    """
    if not files:  # no step wrote any
        return []
    result = engine.run(spread(files, engine), partial(_write_some, seed=seed, folder=folder))
    return first_rows(
        (batch for file in written_files(folder, result.files) for batch in batches(file)), seed
    ).to_pylist()


def first_rows(rows: Iterable[pa.RecordBatch], seed: int) -> pa.Table:
    """Return at most ROWS rows of each step and rule with the smallest draws by uid, sorted by step, rule and draw.

    Memory holds these rows and one batch.
    """
    held = GATE_REMOVED.empty_table()
    for batch in rows:
        both = pa.concat_tables([held, pa.Table.from_batches([batch])])
        drawn = pa.array(draws(seed, PURPOSE, both["uid"].combine_chunks()))
        ordered = both.append_column("draw", drawn).sort_by(
            [(name, "ascending") for name in ("step", "rule", "draw", "uid", "text")]
        )
        codes = _codes(ordered)
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        rank = np.arange(len(codes)) - np.repeat(first, np.diff(np.append(first, len(codes))))
        held = ordered.filter(pa.array(rank < ROWS)).drop_columns("draw")
    return held


def thinned(before: np.ndarray, run: Run) -> dict[str, dict[str, Any]]:
    """Return, for each language with thinned entries, how much the gate removed; languages with most matches first.

    `before` has the count of each entry over all matched images, by id. The result has numbers of entries: `seen` with
    texts before the gate; of these, `none` with no text after it, and `few` with some, but less than the share FEW.
    `matches` and `left` are matches before and after the gate. `top` lists the thinned entries with the largest counts
    before.
    """
    by_language: dict[str, dict[str, Any]] = {}
    for code, ids in run.entries.languages.items():
        counts, left = before[ids], run.counts.values[ids]
        few = np.flatnonzero((counts > 0) & (left < FEW * counts))
        if len(few):
            top = few[np.argsort(-counts[few], kind="stable")][:TOP].tolist()
            by_language[code] = {
                "seen": int((counts > 0).sum()),
                "none": int((left[few] == 0).sum()),
                "few": int((left[few] > 0).sum()),
                "matches": int(counts.sum()),
                "left": int(left.sum()),
                "top": [
                    {"entry": run.entries.entry(ids.start + at), "before": int(counts[at]), "after": int(left[at])}
                    for at in top
                ],
            }
    return dict(sorted(by_language.items(), key=lambda item: -item[1]["matches"]))


def removed_section(rows: Sequence[dict[str, Any]], entries: dict[str, dict[str, Any]], run: Run) -> Section:
    """Return the section of the report: removed `rows` by rule, in the order of rules in Run.gate, and thinned entries.

    `rows` come from `some_of_each`, `entries` from `thinned`.
    """
    rules: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        rules.setdefault((row["rule"], row["step"]), []).append(row)
    asked = [(rule, thing) for group, thing in THINGS.items() for rule in run.gate.get(group, [])]
    removed = {rule["text"]: counted(rule["removed"], thing) for rule, thing in asked}
    order = {title: number for number, title in enumerate(removed)}
    shown = sorted(rules.items(), key=lambda item: order.get(item[0][0], len(order)))
    template = environment(__package__).get_template("gate_removed.html")
    html = template.render(rules=shown, removed=removed, entries=entries, few=FEW)
    return Section("gate-removed", "What the gate removed", html)


def _write_some(files: list[OwnFile], seed: int, folder: Path) -> TaskResult:
    """Write the rows that `first_rows` chooses from `files` to a file in `folder`; return its checksum."""
    rows = first_rows((batch for file in files for batch in batches(file)), seed)
    return write_rows(folder / files[0].path.name, GATE_REMOVED, 1 << 16, rows.to_batches())


def _codes(rows: pa.Table) -> np.ndarray:
    """Return a number for each row; rows have the same number if they have the same step and rule."""
    step, rule = (rows[name].combine_chunks().dictionary_encode() for name in ("step", "rule"))
    return step.indices.to_numpy() * max(1, len(rule.dictionary)) + rule.indices.to_numpy()
