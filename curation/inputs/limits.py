"""Cut texts that are too long, and refuse a run with too much damaged input or too many uids shared by several images.

Cut texts and damage are counted. Damage is also counted per input, so that a person can look at the worst inputs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.inputs.candidates import FIRST_BAD, tallies
from runtime.errors import InputError
from runtime.tallies import Tallies

CUT = "cut_text"
BAD_FILES = ("bad_file", "corrupt_file", "truncated")  # a file has at most one of these, because reading ends there
BAD_RECORDS = (
    "bad_encoding",
    "bad_http",
    "bad_json",
    "bad_record",
    "bad_row",
    "corrupt_gzip",
    "long_line",
    "too_large",
)
DAMAGED = "damaged."  # prefix of a tally's name, followed by an input's path: its number of bad files and records
DAMAGED_LINE = "damaged_line."  # prefix, too: the line of the input's first bad record, if it is known
SHARED_UIDS = "shared_uids"  # tally of the uids that an input gave to several URLs
SHARED = "shared_uid."  # prefix of a tally's name, followed by such a uid and two of its URLs; one per task
WORTH_NAMING = 0.01  # share of bad records above which an input gets its own tally
SHOWN = 3  # reasons and inputs that an error lists


def cut(batches: Iterable[pa.RecordBatch], length: int) -> Iterator[pa.RecordBatch]:
    """Yield batches with the schema CANDIDATES, texts cut to `length` characters, then a tally of the cut texts."""
    total = 0
    for batch in batches:
        texts, number = shorter(texts_of(batch), length)
        if number:
            total += number
            texts = pc.coalesce(texts, batch["text"])
            batch = batch.set_column(batch.schema.get_field_index("text"), batch.schema.field("text"), texts)
        yield batch
    if total:
        yield tallies(Counter({CUT: total}))


def texts_of(rows: pa.RecordBatch) -> pa.Array:
    """Return the texts of rows with the schema CANDIDATES; null for tallies, whose `text` is the tally's name."""
    return pc.if_else(rows["tally"].is_null(), rows["text"], None)


def shorter(texts: pa.Array, length: int) -> tuple[pa.Array, int]:
    """Return texts cut to `length` characters, without white space at the cut, and the number of cut texts."""
    is_long = pc.greater(pc.utf8_length(texts), length)
    if not is_long.true_count:
        return texts, 0
    begins = pc.utf8_slice_codeunits(texts.filter(is_long), 0, length)
    return pc.replace_with_mask(texts, is_long, pc.utf8_rtrim_whitespace(begins)), is_long.true_count


def tally_damage(batches: Iterable[pa.RecordBatch], path: str) -> Iterator[pa.RecordBatch]:
    """Yield one input's batches, without FIRST_BAD; then, if it is much damaged, tallies whose names end in `path`."""
    counted: Counter[str] = Counter()
    for batch in batches:
        if batch["tally"].null_count < batch.num_rows:
            rows = batch.filter(batch["tally"].is_valid())
            counted.update(dict(zip(rows["text"].to_pylist(), rows["tally"].to_pylist(), strict=True)))
            # The tally of the line number is dropped: those of several files must not be summed.
            batch = batch.filter(pc.or_kleene(batch["tally"].is_null(), pc.not_equal(batch["text"], FIRST_BAD)))
        yield batch
    files = sum(counted[f"dropped.{reason}"] for reason in BAD_FILES)
    records = sum(counted[f"dropped.{reason}"] for reason in BAD_RECORDS)
    if files or records > WORTH_NAMING * counted["records"]:
        yield tallies(Counter({DAMAGED + path: files + records, DAMAGED_LINE + path: counted[FIRST_BAD]}))


def require_sound(read: Tallies, config: CurationConfig) -> Tallies:
    """Return the tallies of reading; InputError if damage or shared uids exceed the limits of `config`."""
    records = read["records"] + read["dropped.corrupt_gzip"]  # records of a broken gzip member were never counted
    _require("files", BAD_FILES, read["files"], read, config.max_bad_files)
    _require("records", BAD_RECORDS, records, read, config.max_bad_records)
    _require_own_uids(read, config.max_shared_uids)
    return read


def _require(what: str, reasons: tuple[str, ...], total: float, read: Tallies, limit: float) -> None:
    found = {reason: value for reason, value in read.beginning("dropped.").items() if reason in reasons and value}
    bad = sum(found.values())
    if bad > limit * total:
        why = ", ".join(f"{value:,} {reason}" for reason, value in list(found.items())[:SHOWN])
        lines = read.beginning(DAMAGED_LINE)
        worst = list(read.beginning(DAMAGED).items())[:SHOWN]
        where = ", ".join(f"{path} ({value:,}{_first_line(lines.get(path))})" for path, value in worst)
        raise InputError(
            f"{bad:,} of {total:,} {what} are damaged ({why}), most in {where or 'no one input'}; "
            f"mend or leave out these, or allow more with --max-bad-{what} {rounded_up(bad / max(total, bad))}"
        )


def _first_line(number: float | None) -> str:
    return f", the first in line {number:,}" if number else ""


def _require_own_uids(read: Tallies, limit: float) -> None:
    """Refuse a run in which the share of uids given to several URLs, which would become one image, is above `limit`."""
    shared, images = read[SHARED_UIDS], read["images"]
    if shared > limit * images:
        example = next(iter(read.beginning(SHARED)), "")
        raise InputError(
            f"{shared:,} of {images:,} uids are given to several URLs, such as {example}; "
            "expected one image a uid: name another column with --uid-column, or none with --uid-column none, or allow "
            f"more with --max-shared-uids {rounded_up(shared / images)}"
        )


def rounded_up(share: float) -> float:
    """Return a share rounded up to whole percents."""
    return min(1.0, ceil(share * 100) / 100)
