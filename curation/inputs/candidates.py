"""What crawl and tables share: how a text is cleaned, and how rows and tallies become batches of candidates.

A tally counts what one file held and what of it was dropped: `files`, `records` (WARC records, or rows of a table),
`pages` (those with an image), `image_links`, `pairs` (rows given on) and `dropped.REASON`. A dropped pair
counts once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.cleaning import find_odd, find_web
from curation.schemas import CANDIDATES
from runtime.arrow.buffers import string_buffers

ROWS = 8192  # rows of one batch: a few MB
BYTES = 32 << 20  # a batch is given on when it has so many, even if it has few rows: a URL may have megabytes

# An absolute URL of the web. Only such URLs are given on.
HTTP_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]"  # not (?i), which takes ſ for an s
LINE_END = r"\r\n|[\n\v\f\r\x1c-\x1e\x{85}\x{2028}\x{2029}]"  # as str.splitlines has it, in RE2's spelling


def clean(text: str) -> str:
    """Return `text` with a space for each line end and without white space at its ends.

    >>> clean(" two\\r\\nlines ")
    'two lines'
    """
    text = text.strip()
    return text if text.isprintable() else " ".join(text.splitlines())


def clean_array(texts: pa.Array) -> pa.Array:
    """Return what `clean` returns, for each of `texts`; only those that may need it are touched."""
    odd = np.empty(len(texts), bool)
    find_odd(*string_buffers(texts), odd)
    if not odd.any():
        return texts
    mask = pa.array(odd)
    trimmed = pc.utf8_trim_whitespace(texts.filter(mask))
    return pc.replace_with_mask(texts, mask, pc.replace_substring_regex(trimmed, LINE_END, " "))


def is_web(urls: pa.Array) -> pa.Array:
    """Return whether each string begins as HTTP_URL has it; a null does not."""
    web = np.empty(len(urls), bool)
    find_web(*string_buffers(urls), web)
    return pa.array(web)


def candidates(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return a batch with these columns; those that are not given are null."""
    rows = len(next(iter(columns.values())))
    arrays = [
        columns[name] if name in columns else pa.nulls(rows, CANDIDATES.field(name).type) for name in CANDIDATES.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=CANDIDATES)


def tallies(tally: Counter) -> pa.RecordBatch:
    """Return a row for each number of `tally` that is not zero, by name."""
    counted = sorted((name, count) for name, count in tally.items() if count)
    names, counts = zip(*counted, strict=True) if counted else ((), ())
    return candidates({"text": pa.array(names, pa.string()), "tally": pa.array(counts, pa.int64())})


def chunks(rows: Iterable[tuple]) -> Iterator[list[tuple]]:
    """Yield `rows`, of strings and None, in lists of ROWS; of fewer, where there are BYTES, and in the last."""
    held, size = [], 0
    for row in rows:
        held.append(row)
        for value in row:
            if value is not None:
                size += len(value)
        if len(held) == ROWS or size >= BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def string_arrays(rows: list[tuple], tally: Counter) -> list[pa.Array]:
    """Return the columns of `rows`, of strings and None; rows that UTF-8 cannot hold are left out and counted."""
    try:
        return [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
    except UnicodeEncodeError:  # lone surrogates: legal in JSON, not in UTF-8; also bytes that were no UTF-8
        kept = [row for row in rows if all(value is None or _is_unicode(value) for value in row)]
        tally["dropped.bad_utf8"] += len(rows) - len(kept)
        return [pa.array([row[i] for row in kept], pa.string()) for i in range(len(rows[0]))]


def _is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
