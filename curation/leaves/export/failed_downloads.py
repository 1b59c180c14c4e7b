"""Export `retry`: the images of a run whose download failed for reasons that may pass, for img2dataset to try again.

img2dataset writes for each URL a `status` (success, failed_to_download, failed_to_resize) and an `error_message`. After
a failed download, the message is the text of the exception of Python's urllib; REASONS classifies these texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.image_ids import KEY
from curation.joins.image_tables import File, ImageTable
from curation.joins.uid_join import Table, each_joined, first_by
from curation.leaves.export.forms import Form
from curation.outputs.derived import Derived, Made
from curation.run.results import Results, curated_files
from runtime.errors import InputError
from runtime.placed_rows import RowStream
from runtime.progress import counted as advanced
from runtime.storage.atomic import write_json
from runtime.storage.own_files import OwnFile
from runtime.storage.parquet import batches, open_parquet, part_writer
from runtime.tallies import Tallies
from runtime.wording import counted

URLS, FACTS = "urls", "retry.json"
CURATED, MATCHED = "curated", "matched"  # parts of a run whose URLs img2dataset downloads
SUCCESS, RESIZE, OTHER = "success", "not_resized", "other"
GROUP_ROWS = 1 << 16
TALLY = "reason."  # prefix of a tally's name, followed by a reason
_EXPECTED = "results of img2dataset, with 00000.parquet beside 00000.tar"
_STATUS, _MESSAGE = "status", "error_message"
_REASON = pa.field("reason", pa.int8())  # index in ORDER


@dataclass(frozen=True)
class Reason:
    """A reason for failed downloads: its name, an RE2 pattern for the message, and whether a later try may succeed."""

    name: str
    pattern: str
    passes: bool


# The first pattern that a message matches counts; without any, the reason is OTHER, which does not pass.
REASONS = (
    Reason("http_429", r"^HTTP Error 429\b", True),
    Reason("http_408", r"^HTTP Error (408|425)\b", True),  # the server timed out, or did not want to wait
    Reason("http_5xx", r"^HTTP Error 5\d\d\b", True),
    Reason("http_gone", r"^HTTP Error (404|410)\b", False),
    Reason("http_other", r"^HTTP Error \d\d\d\b", False),
    Reason("certificate", r"CERTIFICATE_VERIFY_FAILED|certificate", False),
    Reason("timed_out", r"(?i)timed? ?out", True),
    Reason("name_not_now", r"Errno -3\b|Temporary failure in name resolution", True),
    Reason("no_such_name", r"Errno -[25]\b|Name or service not known|nodename nor servname|No address assoc", False),
    Reason("refused", r"Connection refused|No route to host", False),
    Reason("cut_off", r"Connection reset|Remote end closed|Connection aborted|Broken pipe|IncompleteRead|EOF", True),
    Reason("own_network", r"Network is (unreachable|down)|Cannot assign requested address|Too many open files", True),
    Reason("opted_out", r"X-Robots-Tag", False),
)
# If an image was tried several times, the reason that comes first here counts: lasting ones are first.
PASSING = [reason.name for reason in REASONS if reason.passes]
ORDER = (SUCCESS, RESIZE, OTHER, *(reason.name for reason in REASONS if not reason.passes), *PASSING)


@dataclass(frozen=True)
class Retry(Form):
    """The export format `retry`: rows of curated/ or matched/ whose images img2dataset may download again."""

    status: Sequence[str | Path] = ()
    urls_of: Literal["curated", "matched"] = "curated"

    writes = "what img2dataset may download again"
    flags = (
        "what was downloaded, for retry",
        {"--status FOLDER": "what img2dataset wrote", "--urls-of": "the part of RUN whose URLs it downloaded"},
    )
    whole_by = FACTS
    elsewhere = "--format {form} reads no results of img2dataset; leave out {flags}, or give --format retry"

    def __post_init__(self) -> None:
        if not self.status:
            raise InputError("--format retry reads the results of a download; give img2dataset's folder by --status")

    def write(self, run: Results, folder: Derived) -> str:
        """Write the rows to files of the same names, and the number of images by reason; return a description.

        InputError if the results have none of the run's images.
        """
        files = curated_files(run) if self.urls_of == CURATED else run.files(MATCHED)
        if not files:
            raise InputError(f"{run.path / MATCHED} holds no images; give the run that it was downloaded from")
        table = results_of(self.status)
        tallies = each_joined(folder, "look for the URLs", files, [table], _write_rows, URLS)
        facts = _facts(tallies, self.urls_of)
        if facts["not_tried"] == facts["images"]:
            folder.forget()
            raise InputError(
                f"{', '.join(map(str, self.status))} has none of the images of {run.path / self.urls_of}; give the "
                "results of downloading them, with `uid` among --save_additional_columns where the input brought uids"
            )
        write_json(folder.path / FACTS, facts)
        reasons = ", ".join(f"{rows:,} {name}" for name, rows in facts["again"].items())
        again = counted(sum(facts["again"].values()), "URL")
        return f"{again} of {facts['images']:,} to download again{f' ({reasons})' if reasons else ''}"


def results_of(paths: Sequence[str | Path]) -> Table:
    """Return results of downloads as a table to join, one reason per image; InputError if a column is missing."""
    table = ImageTable.find(paths, _EXPECTED, _STATUS)
    if _MESSAGE not in table.columns.names:
        raise InputError(f"{table.name} has no column {_MESSAGE}; expected {_EXPECTED}")
    once = partial(first_by, names=[_REASON.name])
    return Table(table.files, table.rows, partial(_read, table=table), once, [_REASON])


def reasons_of(status: pa.Array, messages: pa.Array) -> np.ndarray:
    """Return the reason of each row, as its index in ORDER, int8[row].

    >>> rows = [("success", None), ("failed_to_download", "HTTP Error 503: Busy"), ("failed_to_resize", "too small")]
    >>> [ORDER[reason] for reason in reasons_of(*map(pa.array, zip(*rows)))]
    ['success', 'http_5xx', 'not_resized']
    """
    codes = pc.fill_null(messages.cast(pa.string()), "").dictionary_encode()
    of_message = np.full(len(codes.dictionary), ORDER.index(OTHER), np.int8)
    for reason in reversed(REASONS):
        matches = pc.match_substring_regex(codes.dictionary, reason.pattern)
        of_message[matches.to_numpy(zero_copy_only=False)] = ORDER.index(reason.name)
    reasons = of_message[codes.indices.to_numpy()]
    for name, word in ((RESIZE, "failed_to_resize"), (SUCCESS, "success")):
        is_so = pc.fill_null(pc.equal(status.cast(pa.string()), word), False)
        reasons[is_so.to_numpy(zero_copy_only=False)] = ORDER.index(name)
    return reasons


def _read(file: File, table: ImageTable) -> Iterator[pa.RecordBatch]:
    """Yield KEY and reason of each row of a file of results."""
    for batch in table.read(file, [_STATUS, _MESSAGE]):
        reasons = pa.array(reasons_of(batch[_STATUS], batch[_MESSAGE]))
        yield pa.RecordBatch.from_arrays([*batch.columns[: len(KEY)], reasons], schema=pa.schema([*KEY, _REASON]))


def _write_rows(file: OwnFile, made: Made, number: int, stream: RowStream) -> None:
    """Write the rows of a file, unchanged, whose download failed for a reason that may pass; tally all by reason."""
    name = file.path.name
    passing = pa.array(map(ORDER.index, PASSING), pa.int8())
    with open_parquet(file.path) as opened:
        schema = opened.schema_arrow
    with part_writer(made.path(URLS, name), schema, GROUP_ROWS) as writer:
        for batch, [reasons] in stream.beside(number, advanced(batches(file, GROUP_ROWS)), [_REASON]):
            writer.write(batch.filter(pc.is_in(reasons, passing)))
            for row in pc.value_counts(reasons).to_pylist():
                code = row["values"]
                made.tallies.add(f"{TALLY}{'' if code is None else ORDER[code]}", row["counts"])
    made.wrote(URLS, name, writer.checksum)


def _facts(tallies: Tallies, part: str) -> dict[str, Any]:
    """Return the content of retry.json: the part that was read (curated or matched) and numbers of images by reason."""
    reasons = {name: int(images) for name, images in tallies.beginning(TALLY).items()}
    tried = {name: images for name, images in reasons.items() if name}
    return {
        "urls_of": part,
        "images": sum(reasons.values()),
        "not_tried": reasons.get("", 0),
        "downloaded": tried.pop(SUCCESS, 0),
        "again": {name: images for name, images in tried.items() if name in PASSING},
        "not_again": {name: images for name, images in tried.items() if name not in PASSING},
    }
