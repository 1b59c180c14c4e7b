"""Estimate from samples of the inputs how many pairs a run would read, match and keep, and its disk space and time.

All checks that a run makes at its start are made by the run's own functions, and no file is written. `preview_text`
returns the text for the console, at most 80 columns wide. Spark is started only to parse a condition on images.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from textwrap import wrap

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Distribution, EntryCounts, rates_of, thresholds_at
from curation.config import MAX_TEXT_LENGTH, CurationConfig
from curation.inputs.files import InputSample, formats, samples
from curation.inputs.limits import cut
from curation.language.label_decisions import LanguageRules
from curation.matching.finders import built_finders
from curation.matching.matching import Matching
from curation.report.warnings import without_texts
from curation.run.disk_space import CURATED, MATCHED, PAIR, free_bytes, lacking_space, row_bytes
from curation.run.output_folder import require_claimable
from curation.run.pipeline import request_for
from curation.run.request import Options, Request
from curation.schemas import CANDIDATES
from metadata.entries import Entries
from metadata.languages import named
from runtime.arrow import one_batch
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.tallies import Tallies
from runtime.terminal import aligned, in_one_line, readable
from runtime.warming import compile_kernels, usable_cores
from runtime.wording import counted, percent, short

# A pair takes this many core-seconds after reading: tests/bench/MEASURED.md, "What a dry run reckons with".
PAIR_SECONDS = 9e-6
GATE_SECONDS = 6.4e-6  # per matched pair: 4.0e-6 core-seconds for conditions and 2.4e-6 for the recommended rules
KERNEL_SECONDS = 0.9  # Compiling a kernel takes this many core-seconds.

WIDTH = 80
LEAST_COST = 0.01  # A cost of fewer core-hours is shown as less than this.
ROWS_SHOWN = 2  # This many rows of each group of inputs are shown.
LANGUAGES_SHOWN = 8  # This many languages are shown, the ones with the most pairs.
REASONS_SHOWN = 4  # This many reasons for dropped rows are shown.


@dataclass(frozen=True)
class SampledInputs:
    """A sample of a group of inputs: rows of pairs, and the language of each text and the entries in it."""

    sample: InputSample
    rows: pa.RecordBatch  # schema CANDIDATES: rows that no list excludes, with texts cut as for matching
    texts: pa.RecordBatch  # language, lid_score and entries of each row

    @property
    def weight(self) -> float:
        """The estimated number of pairs in the inputs that one row of the sample stands for."""
        return self.sample.pairs / max(1, len(self.sample.rows))

    @cached_property
    def row_bytes(self) -> float:
        """Bytes per row for URL, text and page URL, compressed in Parquet."""
        return row_bytes(self.rows)

    @cached_property
    def is_matched(self) -> np.ndarray:
        """A mask, bool[row]: which texts have at least one entry."""
        return pc.greater(pc.list_value_length(self.texts["entries"]), 0).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Preview:
    """The expected outcome of a run; numbers of pairs are estimates, from samples, for all inputs."""

    request: Request
    output: str | Path
    sampled: list[SampledInputs]

    @property
    def pairs(self) -> float:
        """The number of pairs in all inputs, before exclusion lists are applied."""
        return sum(group.sample.pairs for group in self.sampled)

    @property
    def matched(self) -> float:
        """The number of pairs with a match: an upper bound of the images, as pairs of one image are grouped."""
        return sum(group.weight * int(group.is_matched.sum()) for group in self.sampled)

    @cached_property
    def kept(self) -> float | None:
        """The number of pairs that balancing is expected to keep.

        None if, with no target size set, a row of a sample stands for more pairs than the threshold.
        """
        config = self.request.config
        weights = [group.weight for group in self.sampled]
        if config.target_size is not None:
            least = self._kept_at(1, [min(1.0, weight) for weight in weights])  # More pairs have more entries.
            return min(self.matched, max(config.target_size, least))
        if config.balance and max(weights, default=0) > config.english_threshold:
            return None
        return self._kept_at(config.english_threshold, weights)

    def _kept_at(self, t: int, weights: Sequence[float]) -> float:
        """Return the number of pairs that balancing keeps at the English threshold `t`.

        `weights` has, for each sample, the number of pairs that one of its rows stands for.
        """
        config, entries = self.request.config, self.request.entries
        counts = np.zeros(len(entries))
        for group, weight in zip(self.sampled, weights, strict=True):
            counts += weight * EntryCounts.zeros(len(entries), "").count(group.texts["entries"]).values
        whole = np.rint(counts).astype(np.int64)
        distributions = {code: Distribution.of(whole[ids]) for code, ids in entries.languages.items()}
        rates = rates_of(whole, entries.languages, thresholds_at(t, distributions, config))
        kept = [float(keep_probability(group.texts["entries"], rates).sum()) for group in self.sampled]
        return sum(weight * size for weight, size in zip(weights, kept, strict=True))

    def languages(self) -> list[tuple[str, float, float]]:
        """Return (language, pairs, matched pairs) of each language, the most frequent first."""
        total: dict[str, np.ndarray] = {}
        for group in self.sampled:
            codes = group.texts["language"].dictionary_encode()
            number = len(codes.dictionary)
            indices = codes.indices.to_numpy()
            counts = np.bincount(indices, minlength=number), np.bincount(indices, group.is_matched, number)
            for code, sums in zip(codes.dictionary.to_pylist(), np.transpose(counts) * group.weight, strict=True):
                total[code] = total.get(code, np.zeros(2)) + sums
        return sorted(((code, *sums.tolist()) for code, sums in total.items()), key=lambda row: (-row[1], row[0]))

    def disk(self) -> dict[str, float]:
        """Return the expected bytes of each part of the output folder that grows with the inputs."""
        packed = sum(group.row_bytes * group.sample.pairs for group in self.sampled) / max(1, self.pairs)
        parts = {"pairs/": (packed + PAIR) * self.pairs, "matched/": (packed + MATCHED) * self.matched}
        parts |= {"gated/": parts["matched/"]} if self.request.gate else {}
        return parts | ({} if self.kept is None else {"curated/": (packed + CURATED) * self.kept})

    @property
    def core_seconds(self) -> float:
        """Core-seconds for the whole run except its start."""
        reading = sum(formats()[group.sample.format].seconds_a_gb * group.sample.size / 1e9 for group in self.sampled)
        gate = GATE_SECONDS * self.matched if self.request.gate else 0.0
        return reading + PAIR_SECONDS * self.pairs + gate

    @property
    def compile_seconds(self) -> float:
        """Core-seconds to compile the run's kernels, once on each machine; on this one they are compiled by now."""
        return KERNEL_SECONDS * sum(self.request.kernels.values())

    def numbers(self) -> dict[str, float]:
        """Return the estimates for all inputs by name, such as `pairs` or `output_bytes`."""
        return {
            "files": len(self.request.files),
            "input_bytes": sum(file.size for file in self.request.files),
            "pairs": round(self.pairs),
            "matched": round(self.matched),
            **({} if self.kept is None else {"kept": round(self.kept)}),
            "output_bytes": round(sum(self.disk().values())),
            "core_seconds": round(self.core_seconds, 1),
            "compile_seconds": round(self.compile_seconds, 1),
        }


def preview(
    inputs: Sequence[str | Path],
    output: str | Path,
    *,
    metadata: str | Path | Entries | None,
    config: CurationConfig,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Preview:
    """Return what `curate` would do with the same arguments; InputError if it would refuse them at its start."""
    progress = progress or Progress()
    request = request_for(config, inputs, metadata, output, options or Options(), progress)
    require_claimable(output, request.made_from(), request.options.overwrite)
    compile_kernels(request.kernels, progress)
    with progress.stage("read samples"):
        matching = _matching(request)
        sampled = [_sampled(sample, request, matching) for sample in samples(request.files, request.options.columns)]
    if sampled and not request.tables:
        _require_texts(sampled)
    return Preview(request, output, sampled)


def _require_texts(sampled: list[SampledInputs]) -> None:
    """Raise InputError if no sample has a pair; sampling then has read the sampled files to their ends."""
    if not any(group.sample.rows.num_rows for group in sampled):
        read = Tallies()
        for group in sampled:
            read.count(group.sample.tally)
        raise InputError(without_texts(read["records"], read.by_item("dropped")))


def _matching(request: Request) -> Matching:
    config, entries = request.config, request.entries
    finders = built_finders(entries, config.rules).of_one_list(config.one_list)
    lettered = entries.lettered if config.evidence == "letters" else None
    return Matching(request.identifier, finders, LanguageRules.of(config), lettered)


def _sampled(sample: InputSample, request: Request, matching: Matching) -> SampledInputs:
    batches = iter([one_batch(sample.rows)])
    kept = cut(request.exclusion.out_of(batches, Tallies()), MAX_TEXT_LENGTH, Tallies())
    rows = one_batch(pa.Table.from_batches(list(kept), CANDIDATES))
    return SampledInputs(sample, rows, matching.find(rows["text"], rows["language"]))


def preview_text(preview: Preview) -> str:
    """Return the console's text for a preview."""
    request = preview.request
    size = readable(sum(file.size for file in request.files))
    tables = [f"table:{table} is not in these figures, as only Spark reads it" for table in request.tables]
    blocks = [
        [f"{counted(len(request.files), 'input')}, {size}", *tables],
        *map(_group, preview.sampled),
        aligned(_languages(preview)),
        [*_expected(preview)] if preview.sampled else [],
        ["conditions on images:", *(_fitted(f"  {line}", WIDTH) for line in request.gate.lines())]
        if request.gate
        else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _group(group: SampledInputs) -> list[str]:
    """Return the lines about one group of inputs: format, size, columns, dropped rows, and the first rows."""
    sample = group.sample
    dialect = f" ({sample.dialect})" if sample.dialect else ""
    about = f"about {short(sample.pairs)} pairs"
    first = f"{sample.format}{dialect}: {counted(len(sample.files), 'file')}, {readable(sample.size)}, {about}"
    columns = ", ".join(f"{field} = {' or '.join(map(in_one_line, names))}" for field, names in sample.columns.items())
    read = Tallies()
    read.count(sample.tally)
    reasons = [f"{rows:,} {reason}" for reason, rows in read.by_item("dropped").items()][:REASONS_SHOWN]
    notes = [f"columns: {columns}" * bool(columns), f"dropped from the sample: {', '.join(reasons)}" * bool(reasons)]
    lines = [first, *chain.from_iterable(map(_wrapped, notes))]
    for row in group.rows.slice(0, ROWS_SHOWN).select(["url", "text"]).to_pylist():
        lines.append(_fitted(f"  {row['url']}", WIDTH))
        lines.append(_fitted(f"    {row['text']}", WIDTH))
    return lines


def _languages(preview: Preview) -> list[tuple[str, ...]]:
    languages = preview.languages()
    total = sum(pairs for _, pairs, _ in languages)
    named_rows = [(named(code), pairs, matched) for code, pairs, matched in languages[:LANGUAGES_SHOWN]]
    if rest := languages[LANGUAGES_SHOWN:]:
        named_rows.append((f"{len(rest)} more", sum(row[1] for row in rest), sum(row[2] for row in rest)))
    lines = [(name, percent(pairs, total), percent(matched, pairs)) for name, pairs, matched in named_rows]
    sample = sum(group.rows.num_rows for group in preview.sampled)
    return [(f"language of {counted(sample, 'pair')}", "share", "matched"), *lines] if lines else []


def _expected(preview: Preview) -> Iterator[str]:
    """Yield the lines about all inputs together: pairs, kept pairs, disk, time and cost."""
    config = preview.request.config
    parts = preview.disk()
    share = percent(preview.matched, preview.pairs)
    yield f"expected: {short(preview.pairs)} pairs, {short(preview.matched)} with a match ({share})"
    yield from _wrapped(_kept(preview.kept, config))
    sizes = ", ".join(f"{name} {readable(round(size))}" for name, size in parts.items())
    need = sum(parts.values())
    free = free_bytes(preview.output)
    yield from _wrapped(f"disk: {readable(round(need))}: {sizes}")
    if free is not None and need > free:
        yield from _wrapped(f"this will not fit: {lacking_space(preview.output, need, free)}")
    cores = usable_cores()
    seconds = preview.core_seconds
    hours = seconds / 3600
    yield f"  time: {_plainly(hours)} core-hours, {_lasting(seconds / cores)} on the {cores} cores of this machine,"
    kernels = sum(preview.request.kernels.values())
    yield f"    and 10 to 20 s to start; this dry run has compiled {kernels} kernels on this"
    yield f"    machine, which takes {_lasting(preview.compile_seconds)} of one core on another machine"
    price = f"{_plainly(hours)} times the price" if hours >= LEAST_COST else "less than a hundredth of the price"
    yield f"  cost: {price} of a core-hour"


def _plainly(hours: float) -> str:
    """Return core-hours as text with two significant digits and without an exponent.

    >>> _plainly(7.3e-05), _plainly(0.0234), _plainly(12_345)
    ('under 0.01', '0.023', '12,000')
    """
    if hours < LEAST_COST:
        return f"under {LEAST_COST}"
    return f"{hours:.2g}" if hours < 10 else f"{int(float(f'{hours:.2g}')):,}"


def _kept(kept: float | None, config: CurationConfig) -> str:
    """Return the line about the number of kept pairs; `kept` is None if it is unknown."""
    asked = config.target_size
    t = f"at t = {config.english_threshold:,}" if config.balance else "without balancing"
    if kept is None:
        return f"kept {t}: unknown, as each sampled row stands for more pairs than t; see docs/how-to/choosing-t.md"
    if asked is not None and round(kept) > asked:
        why = "at t = 1 each entry still keeps about one text; see docs/how-to/choosing-t.md"
        return f"kept: {short(round(kept))} or more, not the target of {asked:,}: {why}"
    if asked is not None and round(kept) < asked:
        return f"kept: {short(round(kept))}, all that match, fewer than the target of {asked:,}"
    how = t if asked is None else "for the target size"
    return f"kept {how}: {short(round(kept))}; fewer if images or texts occur several times"


def _wrapped(line: str) -> list[str]:
    return wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _lasting(seconds: float) -> str:
    """Return a duration in seconds as text with a unit.

    >>> _lasting(3.2), _lasting(600), _lasting(7200), _lasting(500_000)
    ('3 s', '10 minutes', '2.0 hours', '5.8 days')
    """
    for size, unit, digits in ((86400, "days", 1), (3600, "hours", 1), (60, "minutes", 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def _fitted(text: str, width: int) -> str:
    """Return a line cut to at most `width` columns of a terminal, with control characters escaped.

    >>> _fitted("  a\\tb\\x1b[2J", 40), _fitted("  猫と犬と鳥", 9)
    ('  a\\\\u0009b\\\\u001b[2J', '  猫と犬…')
    """
    text = in_one_line(text[: 4 * width])
    ends = [*accumulate(map(_columns, text))]
    return text if not ends or ends[-1] <= width else f"{text[: bisect_right(ends, width - 1)]}…"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
