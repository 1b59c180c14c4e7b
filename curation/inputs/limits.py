"""Cut texts that are too long, and refuse a run with too much damaged input or too many uids shared by several images.

Cut texts and damage are counted. Damage is also counted per input, so that a person can look at the worst inputs.
"""

from collections.abc import Iterable, Iterator
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from curation.config import CurationConfig
from curation.inputs.candidates import FIRST_BAD
from runtime.errors import InputError
from runtime.tallies import Tallies, Tally, TaskResult

CUT_TEXT = "cut_text"
BAD_FILES = ("bad_file", "corrupt_file", "truncated")  # A file has at most one of these, because reading ends there.
BAD_RECORDS = (*"bad_encoding bad_http bad_json bad_record bad_row corrupt_gzip long_line too_large".split(),)
DAMAGED = "damaged"  # notes of [path, number of bad files and records, line of the first bad record or 0]
SHARED_UIDS = "shared_uids"  # This tally counts the uids that belong to several URLs.
SHARED_UID = "shared_uid"  # These notes have such a uid and two of its URLs; each task notes at most one.
WORTH_NAMING = 0.01  # An input with a larger share of bad records is named.
LISTED_IN_ERROR = 3  # An error lists this many reasons and inputs.


def cut(batches: Iterable[pa.RecordBatch], length: int, tallies: Tallies) -> Iterator[pa.RecordBatch]:
    """Yield batches with the schema CANDIDATES, texts cut to `length` characters; tally the cut texts."""
    for batch in batches:
        texts, number = shorter(batch["text"], length)
        if number:
            tallies.add(CUT_TEXT, number)
            batch = batch.set_column(batch.schema.get_field_index("text"), batch.schema.field("text"), texts)
        yield batch


def shorter(texts: pa.Array, length: int) -> tuple[pa.Array, int]:
    """Return texts cut to `length` characters, without white space at the cut, and the number of cut texts."""
    is_long = pc.greater(pc.utf8_length(texts), length)
    if not is_long.true_count:
        return texts, 0
    begins = pc.utf8_slice_codeunits(texts.filter(is_long), 0, length)
    return pc.replace_with_mask(texts, is_long, pc.utf8_rtrim_whitespace(begins)), is_long.true_count


def count_input(path: str, tally: Tally, result: TaskResult) -> None:
    """Add the tally of one input; note its damage if its file, or more than WORTH_NAMING of its records, is bad."""
    first_bad = tally.pop(FIRST_BAD, 0)  # It is not added, because lines of several inputs must not be summed.
    result.count(+tally)
    files = sum(tally["dropped", reason] for reason in BAD_FILES)
    records = sum(tally["dropped", reason] for reason in BAD_RECORDS)
    if files or records > WORTH_NAMING * tally["records"]:
        result.note(DAMAGED, [path, files + records, first_bad])


def damage(read: TaskResult) -> dict[str, tuple[int, int]]:
    """Return by path (number of bad files and records, line of a first bad record or 0), the largest number first."""
    damage_by_path: dict[str, tuple[int, int]] = {}
    for path, number, line in read.noted(DAMAGED):  # A split file is noted several times.
        damage_by_path[path] = (damage_by_path.get(path, (0, 0))[0] + number, line)
    return dict(sorted(damage_by_path.items(), key=lambda item: (-item[1][0], item[0])))


def within_limits(read: TaskResult, config: CurationConfig) -> TaskResult:
    """Return the result of reading; InputError if damage or shared uids exceed the limits of `config`."""
    records = read["records"] + read["dropped", "corrupt_gzip"]  # The records of a broken gzip member were not counted.
    _require("files", BAD_FILES, read["files"], read, config.max_bad_files)
    _require("records", BAD_RECORDS, records, read, config.max_bad_records)
    _require_own_uids(read, config.max_shared_uids)
    return read


def _require(what: str, reasons: tuple[str, ...], total: float, read: TaskResult, limit: float) -> None:
    of_reason = {reason: value for reason, value in read.by_item("dropped").items() if reason in reasons and value}
    bad = sum(of_reason.values())
    if bad > limit * total:
        why = ", ".join(f"{value:,} {reason}" for reason, value in list(of_reason.items())[:LISTED_IN_ERROR])
        worst = list(damage(read).items())[:LISTED_IN_ERROR]
        where = ", ".join(f"{path} ({value:,}{_first_line(line)})" for path, (value, line) in worst)
        raise InputError(
            f"{bad:,} of {total:,} {what} are damaged ({why}), most of them in {where or 'no single input'}; "
            f"fix or leave out these, or allow more with --set max_bad_{what}={rounded_up(bad / max(total, bad))}"
        )


def _first_line(number: int) -> str:
    return f", the first in line {number:,}" if number else ""


def _require_own_uids(read: TaskResult, limit: float) -> None:
    """Refuse a run in which the share of uids given to several URLs, which would become one image, is above `limit`."""
    shared = read[SHARED_UIDS]
    images = read["images"]
    if shared > limit * images:
        example = min(read.noted(SHARED_UID), default="")
        raise InputError(
            f"{shared:,} of {images:,} uids belong to several URLs, such as {example}; "
            "expected one image for each uid. Name another column with --uid-column, use URLs with --uid-column none, "
            f"or allow more with --set max_shared_uids={rounded_up(shared / images)}"
        )


def rounded_up(share: float) -> float:
    """Return a share rounded up to full percents."""
    return min(1.0, ceil(share * 100) / 100)
