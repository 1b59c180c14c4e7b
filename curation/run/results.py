"""Read a finished run: its figures, counts and images, for notebooks, exports and a Python prompt.

Counts are arrays with one number per entry. Images are read batch by batch, so memory does not grow with the folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balancing.thresholds import (
    CountedEntries,
    Distribution,
    EntryCounts,
    SizedThreshold,
    Thresholds,
    entry_ids,
    threshold_for_size,
    unlimited_threshold,
)
from curation.config import ENGLISH
from curation.run.finished_run import FinishedRun
from curation.schemas import CURATED
from runtime.argument_types import require_integer, require_kind, require_share, typed
from runtime.arrow import parts
from runtime.draws import draws
from runtime.errors import InputError
from runtime.messages import no_column, quoted, quoted_names
from runtime.packages import load_own
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches

BATCH_IMAGES = 50_000  # This many images are in memory at a time.
SAMPLE = 1_000_000  # An estimate reads this many images.


@typed
@dataclass(frozen=True, eq=False, repr=False)
class Results(FinishedRun):
    """A finished run, with its figures and images."""

    def _repr_html_(self) -> str:
        """Return the funnel of the run and a link to its report, which a notebook shows for the results."""
        from curation.report.page import in_notebook  # This import is here because exports need no page.

        return in_notebook(self.path, self.facts)

    def ending(self) -> str:
        """Return HTML with the warnings of the run, and a link to its report."""
        from curation.report.page import in_notebook

        return in_notebook(self.path, self.facts, warnings_alone=True)

    @cached_property
    def counted_entries(self) -> CountedEntries:
        """The content of counts.parquet."""
        return CountedEntries.open(str(self.file("counts.parquet").path))

    @cached_property
    def counts(self) -> np.ndarray:
        """The number of texts that contain each entry, int64."""
        return self.counted_entries.counts.values

    @cached_property
    def rates(self) -> np.ndarray:
        """The sampling rate of each entry, float32."""
        return self.counted_entries.rates

    @property
    def languages(self) -> dict[str, slice]:
        """The slice of entry ids of each language."""
        return self.counted_entries.languages

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """The Distribution of each language's counts."""
        return {code: Distribution.of(self.counts[ids]) for code, ids in self.languages.items()}

    @property
    def largest(self) -> list[str]:
        """The languages that have matches, sorted by their number of matches, the largest first."""
        matches = {code: distribution.total for code, distribution in self.distributions.items() if distribution.total}
        return sorted(matches, key=lambda code: -matches[code])

    def entries(self, code: str) -> pa.Table:
        """Return the rows of counts.parquet for one language: its entries that a text has.

        InputError for a language without entries in the metadata.
        """
        if code not in self.languages:
            raise InputError(
                f"the run in {self.path} has no entries of the language {quoted(code)}; it has entries of "
                f"{quoted_names([*self.languages])}"
            )
        return self.counted_entries.rows.filter(pc.field("language") == code)

    def matched(self, images: int | None = SAMPLE) -> Iterator[pa.RecordBatch]:
        """Yield counted images as batches of the schema MATCHED: the first `images`, or all if None.

        The files are shuffled, always in the same way, as the first files may hold only one input's images.
        """
        if images is not None:
            require_integer("images", images, 0)
        files = self.files(self.counted[0].name)
        order = np.argsort(draws(0, "files", pa.array([file.path.name for file in files], pa.string())))
        return _batches([files[number] for number in order], rows=images)

    def examples(self, ids: Sequence[int] | np.ndarray, images: int | None = SAMPLE) -> dict[int, str]:
        """Return one example text for each entry id in `ids`, by id, from the first `images` images of `matched`.

        Ids that none of these images contains are left out.
        """
        for position, id in enumerate(ids):
            require_integer(f"ids[{position}]", id, 0, len(self.counts) - 1)
        wanted = np.zeros(len(self.counts), bool)
        wanted[np.asarray(ids, np.int64)] = True
        example_by_id = dict[int, str]()
        for batch in self.matched(images):
            if not wanted.any():
                break
            texts = parts(batch["candidates"])[0]
            held, offsets = entry_ids(texts.field("entries"), len(wanted))
            # The matches are shuffled, or else one text with many of the entries would be the example of all of them.
            matches = np.random.default_rng(0).permutation(np.flatnonzero(wanted[held]))
            new, first = np.unique(held[matches], return_index=True)
            text_of = np.searchsorted(offsets, matches[first], side="right") - 1
            example_by_id |= zip(new.tolist(), texts.field("text").take(pa.array(text_of)).to_pylist(), strict=True)
            wanted[new] = False
        return example_by_id

    def thresholds(self, english_threshold: int, tail_share: float | None = None) -> Thresholds:
        """Return the thresholds that the run would have with this English threshold and, if given, this tail share."""
        if self._one_threshold and tail_share is None:
            return Thresholds.same(self.distributions, english_threshold)
        return Thresholds.of(self.distributions, english_threshold, tail_share)

    def expected(self, thresholds: Sequence[Thresholds], images: int | None = SAMPLE) -> dict[str, np.ndarray]:
        """Return how many images each of the thresholds is expected to keep: by language, float64[threshold].

        An image counts for the language of its kept text. If the run counted more than `images` images, the numbers are
        extrapolated from `images` of them.
        """
        from curation.balancing.sampling import CountedTexts

        for position, each in enumerate(thresholds):
            require_kind(f"thresholds[{position}]", each, Thresholds, "Thresholds, such as run.thresholds(20)")
        none = np.zeros(len(thresholds))
        sums = dict.fromkeys(self.languages, none)
        read = 0
        for batch in self.matched(images):
            read += batch.num_rows
            texts = CountedTexts.of(batch, self.counts, self.languages)
            for code, sizes in texts.expected_sizes(thresholds).items():
                sums[code] = sums.get(code, none) + sizes
        scale = self.counted[1] / max(read, 1)
        return {code: sizes * scale for code, sizes in sums.items()}

    def threshold_for(self, size: float, images: int | None = SAMPLE) -> SizedThreshold:
        """Return the smallest English threshold that is expected to keep `size` images, judged by `images` images."""

        def size_of(candidates: list[int]) -> list[float]:
            expected = self.expected([self.thresholds(t) for t in candidates], images)
            return np.sum(list(expected.values()), axis=0).tolist()

        limiting = self.counts if self._one_threshold else self.counts[self.languages.get(ENGLISH, slice(0))]
        return threshold_for_size(size_of, size, unlimited_threshold(limiting))

    def pairs(self, columns: Sequence[str], images: int | None = SAMPLE) -> Iterator[pa.RecordBatch]:
        """Yield batches of `columns` of the first `images` kept images, or of all if None.

        The manifest is in random order, so its first rows are a random sample.
        """
        names = self.schema.names
        if missing := [column for column in columns if column not in names]:
            raise no_column(f"the manifest of {self.path}", missing, names, "name some of these")
        return _batches(self.files("curated"), [*columns], images)

    def kept(self, share: float = 1.0) -> pa.Table:
        """Return uid, language and probability of the kept images, or of a random `share` of them.

        Whether an image is in the share depends only on its uid, so the shares of two runs can be compared.
        """
        require_share("share", share)
        columns = ["uid", "language", "probability"]
        batches = _batches(self.files("curated"), columns)
        some = [batch.filter(pa.array(draws(0, "compare", batch["uid"]) < share)) for batch in batches]
        return pa.Table.from_batches(some, pa.schema([CURATED.field(name) for name in columns]))

    def find(self, **conditions: Any) -> pa.Table:
        """Return the rows of the manifest that meet all `conditions`, as a table in memory.

        The conditions are `entry`, `language`, `domain`, `url` and `uid`, each a string or several alternatives, and
        `text`, a regular expression of RE2. With `matched=True`, the rows are all matched images, each with one of its
        texts that meet the conditions. `limit` is the largest number of rows; without one, all rows are in memory. The
        rows are read in this process; `clip-find --output` writes them in tasks.
        """
        return self._by_plugin("find")(self, **conditions)

    def why(self, url_or_uid: str) -> Any:
        """Return why the run kept an image or not, given the image's URL or uid: its path through the run.

        The result prints as text, a notebook shows it as lists, and its `facts` are values that JSON can represent.
        """
        return self._by_plugin("why")(self, url_or_uid)

    def kept_counts(self) -> np.ndarray:
        """Return the number of kept texts that contain each entry, int64."""
        counts = EntryCounts.zeros(len(self.counts), "")
        for batch in _batches(self.files("curated"), ["entries"]):
            counts.count(batch["entries"])
        return counts.values

    @staticmethod
    def _by_plugin(name: str) -> Any:
        """Return the function that a plugin brings for a method; InputError if the plugin was removed."""
        functions = load_own("clip_curation.results")
        if name not in functions:
            raise InputError(f"this installation has no plugin for Results.{name}; install the complete package")
        return functions[name]

    @property
    def _one_threshold(self) -> bool:
        per_language = self.facts.get("parameters", {}).get("threshold_per_language")
        return self.one_list is not None or per_language == "same"


def _batches(
    files: list[OwnFile], columns: list[str] | None = None, rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield batches of `columns` of the first `rows` rows of Parquet files, or of all rows."""
    for file in files:
        for batch in batches(file, BATCH_IMAGES, columns):
            if rows is not None:
                batch = batch.slice(0, rows)
                rows -= batch.num_rows
            if batch.num_rows:
                yield batch
            if rows == 0:
                return
