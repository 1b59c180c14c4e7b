"""Foresee a run from samples of its inputs: what is read, matched and kept, and what that costs.

All that a run checks at its start is checked by the run's own functions, and nothing is written. Spark is started for a
condition on images alone, which it parses.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Distribution, rates_of, thresholds_at
from curation.config import CurationConfig
from curation.inputs.formats import formats
from curation.inputs.limits import cut
from curation.inputs.samples import Sample, samples
from curation.language.judging import LanguageRules
from curation.matching.by_language import Matching
from curation.matching.finders import built_finders
from curation.report.warnings import without_texts
from curation.run import warm
from curation.run.folder import require_claimable
from curation.run.order import asked
from curation.run.request import Options, Request
from curation.schemas import CANDIDATES
from metadata.entries import Entries
from runtime.arrow.buffers import one_batch
from runtime.engine.interface import Engine
from runtime.errors import InputError
from runtime.progress import Progress
from runtime.warming import compile_kernels

# Of a core, for each pair behind reading, in all processes: tests/bench/MEASURED.md, "What a dry run reckons with".
PAIR_SECONDS = 9e-6
# Bytes of a row in each part of the output beside URL, text and page; measured likewise.
PAIR, MATCHED, CURATED, ENTRY = 70, 55, 55, 16


@dataclass(frozen=True)
class Found:
    """A sample of some inputs, with the language of each of its texts and the entries in it."""

    sample: Sample
    rows: pa.RecordBatch  # CANDIDATES of the sample: those that are not excluded, with texts as they are matched
    texts: pa.RecordBatch  # language, lid_score and entries of each row

    @property
    def weight(self) -> float:
        """The pairs of the inputs for each row of the sample."""
        return self.sample.pairs / max(1, len(self.sample.rows))

    @cached_property
    def row_bytes(self) -> float:
        """Bytes of URL, text and page of a row, as Parquet packs them."""
        packed = io.BytesIO()
        pq.write_table(pa.table(self.rows.select(["url", "text", "page_url"])), packed, compression="zstd")
        return packed.tell() / max(1, self.rows.num_rows)

    @cached_property
    def is_matched(self) -> np.ndarray:
        """Whether each text has an entry."""
        return pc.greater(pc.list_value_length(self.texts["entries"]), 0).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Preview:
    """What a run would do, as far as samples show it; numbers of pairs are estimates for all inputs."""

    request: Request
    found: list[Found]

    @property
    def pairs(self) -> float:
        """Pairs of all inputs, before lists exclude any."""
        return sum(each.sample.pairs for each in self.found)

    @property
    def matched(self) -> float:
        """Pairs with a match: as many images at most, as images that are met again are one."""
        return sum(each.weight * int(each.is_matched.sum()) for each in self.found)

    @cached_property
    def kept(self) -> float | None:
        """Pairs that balancing keeps; None where each row stands for more of them than the threshold."""
        config, weights = self.request.config, [each.weight for each in self.found]
        if config.target_size is not None:
            least = self._kept_at(1, [min(1.0, weight) for weight in weights])  # more pairs have more entries
            return min(self.matched, max(config.target_size, least))
        if config.balance and max(weights, default=0) > config.english_threshold:
            return None
        return self._kept_at(config.english_threshold, weights)

    def _kept_at(self, t: int, weights: Sequence[float]) -> float:
        """Return the pairs that balancing keeps where each row of a sample stands for so many."""
        config, entries = self.request.config, self.request.entries
        counts = np.zeros(len(entries))
        for each, weight in zip(self.found, weights, strict=True):
            counts += weight * EntryCounts.zeros(len(entries), "").count(each.texts["entries"]).values
        whole = np.rint(counts).astype(np.int64)
        distributions = {code: Distribution.of(whole[ids]) for code, ids in entries.languages.items()}
        rates = rates_of(whole, entries.languages, thresholds_at(t, distributions, config))
        kept = [float(keep_probability(each.texts["entries"], rates).sum()) for each in self.found]
        return sum(weight * size for weight, size in zip(weights, kept, strict=True))

    def languages(self) -> list[tuple[str, float, float]]:
        """Return each language with its pairs and those with a match, the most frequent first."""
        total: dict[str, np.ndarray] = {}
        for each in self.found:
            codes = each.texts["language"].dictionary_encode()
            number, indices = len(codes.dictionary), codes.indices.to_numpy()
            own = np.bincount(indices, minlength=number), np.bincount(indices, each.is_matched, number)
            for code, sums in zip(codes.dictionary.to_pylist(), np.transpose(own) * each.weight, strict=True):
                total[code] = total.get(code, np.zeros(2)) + sums
        return sorted(((code, *sums.tolist()) for code, sums in total.items()), key=lambda row: (-row[1], row[0]))

    def disk(self) -> dict[str, float]:
        """Return the bytes of each part of the output folder that grows with the inputs."""
        packed = sum(each.row_bytes * each.sample.pairs for each in self.found) / max(1, self.pairs)
        parts = {"pairs/": (packed + PAIR) * self.pairs, "matched/": (packed + MATCHED) * self.matched}
        parts |= {"gated/": parts["matched/"]} if self.request.gate else {}
        parts |= {} if self.kept is None else {"curated/": (packed + CURATED) * self.kept}
        return parts | {"counts.parquet": float(ENTRY * len(self.request.entries))}

    @property
    def core_seconds(self) -> float:
        """Seconds of one core for all of the run but its start and its gate."""
        reading = sum(formats()[each.sample.format].seconds_a_gb * each.sample.size / 1e9 for each in self.found)
        return reading + PAIR_SECONDS * self.pairs

    def numbers(self) -> dict[str, float]:
        """Return the estimates by name."""
        return {
            "files": len(self.request.files),
            "input_bytes": sum(each.size for each in self.request.files),
            "pairs": round(self.pairs),
            "matched": round(self.matched),
            **({} if self.kept is None else {"kept": round(self.kept)}),
            "output_bytes": round(sum(self.disk().values())),
            "core_seconds": round(self.core_seconds, 1),
        }


def preview(
    config: CurationConfig,
    *,
    inputs: Sequence[str | Path],
    metadata: str | Path | Entries,
    output: str | Path,
    options: Options | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> Preview:
    """Return what `curate` would do when called in the same way; InputError for what it would refuse at its start.

    A condition in SQL is checked by the engine; without one, only a run would see what is wrong with it.
    """
    progress = progress or Progress()
    request = asked(config, inputs, metadata, output, options or Options(), progress)
    require_claimable(output, request.made_from(), request.options.overwrite)
    if request.gate and request.gate.keep is not None and engine is not None:
        request.gate.open(engine)
    compile_kernels(warm.needed(request.files), progress)
    with progress.stage("look into samples"):
        matching = _matching(request)
        found = [_found(each, request, matching) for each in samples(request.files, request.options.columns)]
    if found and not request.tables:
        _require_texts(found)
    return Preview(request, found)


def _require_texts(found: list[Found]) -> None:
    """Refuse inputs that are of no use, as far as samples show: their files are then read to the end."""
    if not any(each.sample.rows.num_rows for each in found):
        tally = sum((each.sample.tally for each in found), Counter[str]())
        dropped = {name.removeprefix("dropped."): rows for name, rows in tally.items() if name.startswith("dropped.")}
        raise InputError(f"{without_texts(tally['records'], dropped)}; give inputs with URLs of images and texts")


def _matching(request: Request) -> Matching:
    config, entries = request.config, request.entries
    finders = built_finders(entries, config.rules).of_one_list(config.one_list)
    lettered = entries.lettered if config.evidence == "letters" else None
    return Matching(request.identifier, finders, LanguageRules.of(config), lettered)


def _found(sample: Sample, request: Request, matching: Matching) -> Found:
    batches = iter([one_batch(sample.rows)])
    kept = cut(request.exclusion.out_of(batches), request.config.max_text_length)
    rows = one_batch(pa.Table.from_batches([each.filter(each["tally"].is_null()) for each in kept], CANDIDATES))
    return Found(sample, rows, matching.find(rows["text"], rows["language"]))
