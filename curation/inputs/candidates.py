"""Make batches of candidates from rows or columns of any format, and count them; map stated languages to codes.

Texts are cleaned, their character references resolved (once more if they were escaped twice), and web addresses
recognised, by the same rules for crawls and tables. Readers add the numbers of one file to a `tally`: `files`,
`records` (WARC records, or rows of a table), `pages` (only pages with an image), `image_links`, `pairs` (rows that
became candidates) and, by reason, `dropped`. A dropped pair counts once. FIRST_BAD is not a count: it is the number of
the first bad line.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from html.entities import html5
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.texts import find_odd, find_web
from curation.schemas import CANDIDATES
from metadata.languages import OTHER, of_stated
from runtime.arrow import gather, string_buffers
from runtime.tallies import UNKNOWN, Tally

_REFERENCE = re.compile(r"&(?:#[xX]([0-9A-Fa-f]+);?|#([0-9]+);?|([A-Za-z][A-Za-z0-9]{1,31})(;|(?![A-Za-z0-9=])))")
COMPLETE = r"&(?:#[xX]([0-9A-Fa-f]+);|#([0-9]+);|([A-Za-z][A-Za-z0-9]{1,31})(;))"  # RE2 reads it in the same way.
_complete = re.compile(COMPLETE)
_MAX_REFERENCE_DIGITS = 7  # No character's number has more digits.
# These numbers mean bytes of windows-1252. A byte that has no character there means the character of its number.
_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}

# This matches an absolute URL of the web. Only such URLs become candidates.
HTTP_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]"  # (?i) would take ſ for an s.
LINE_END = r"\r\n|[\n\v\f\r\x1c-\x1e\x{85}\x{2028}\x{2029}]"  # as str.splitlines has it, in RE2's spelling

BATCH_ROWS = 8192  # A batch has at most this many rows, which take a few MB.
BATCH_BYTES = 32 << 20  # A batch of this many bytes ends even if it has few rows, because a URL may have megabytes.

FIRST_BAD = "first_bad_line"  # This key of a file's tally has the line of its first bad record, from 1.
UNKNOWN_LANGUAGE = f"{UNKNOWN}language"  # This tally has rows by unknown label, up to 100 labels.
MAX_UNKNOWN_LABELS = 100  # Only this many labels of a file have their own count; a column of texts has millions.
MAX_LABEL_CHARACTERS = 40  # Longer labels are cut.
DEFAULT_KIND = "text"  # A text has this kind if the table does not state it.

Row = tuple[str | int | None, ...]


def attribute_value(value: str) -> str:
    """Return the value of an attribute with its character references resolved, as the HTML standard reads them.

    `html.unescape` is for text: it would read the `&copy` in `?a=1&copy=2` as ©.

    >>> attribute_value("?a=1&copy=2&lt=3 &copy; &eacute &#8364; &#x80; &#0;")
    '?a=1&copy=2&lt=3 © é € € �'
    """
    return _REFERENCE.sub(_character, value)


def _character(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name, semicolon = reference.groups()
    if name:
        return html5.get(name + semicolon, reference[0])
    digits = (hexadecimal or decimal).lstrip("0")
    code = int(digits or "0", 16 if hexadecimal else 10) if len(digits) <= _MAX_REFERENCE_DIGITS else 0
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return "\ufffd"
    return _WINDOWS.get(code) or chr(code)


def unescape_again(text: str) -> str:
    r"""Return a text, unescaped once before, with each reference that is left and ends in a semicolon resolved.

    Such a reference was escaped twice by its site. A reference without a semicolon may be plain text.

    >>> unescape_again("Joe&#039;s R&B &amp; &quot;AT&T&quot;, &copy 2020 &nosuch; &amp;lt;")
    'Joe\'s R&B & "AT&T", &copy 2020 &nosuch; &lt;'
    """
    return _complete.sub(_character, text)


def clean(text: str) -> str:
    """Return `text` with a space for each line end and without white space at its ends.

    Character references that are left after one unescaping are resolved: a site that escapes twice means the character.

    >>> clean(" two\\r\\nlines&#039; ")
    "two lines'"
    """
    text = (unescape_again(text) if "&" in text else text).strip()
    return text if text.isprintable() else " ".join(text.splitlines())


def clean_array(texts: pa.Array) -> pa.Array:
    """Return each of `texts` as `clean` returns it; only texts that may change are touched."""
    odd = np.empty(len(texts), bool)
    find_odd(*string_buffers(texts), odd)
    if not odd.any():
        return texts
    mask = pa.array(odd)
    trimmed = pc.utf8_trim_whitespace(_unescaped(texts.filter(mask)))
    return pc.replace_with_mask(texts, mask, pc.replace_substring_regex(trimmed, LINE_END, " "))


def _unescaped(texts: pa.Array) -> pa.Array:
    """Return each of `texts` as `unescape_again` returns it."""
    mask = pc.match_substring_regex(texts, COMPLETE)
    if not mask.true_count:
        return texts
    return pc.replace_with_mask(texts, mask, pa.array(map(unescape_again, texts.filter(mask).to_pylist()), texts.type))


def is_web(urls: pa.Array) -> pa.Array:
    """Return whether each string matches HTTP_URL: begins with http:// or https:// and a host; false for a null."""
    web = np.empty(len(urls), bool)
    find_web(*string_buffers(urls), web)
    return pa.array(web)


def _is_not_swapped(batch: pa.RecordBatch) -> pa.Array:
    """Return whether each row's URL is a web address, or its text is not a web address."""
    web = is_web(batch["url"])
    return web if web.true_count == len(web) else pc.or_(web, pc.invert(is_web(batch["text"])))


CHECKS: dict[str, Callable[[pa.RecordBatch], pa.Array]] = {
    "empty_url": lambda batch: pc.is_valid(batch["url"]),
    "url_in_text": _is_not_swapped,
    "not_http": lambda batch: is_web(batch["url"]),
    "empty_text": lambda batch: pc.is_valid(batch["text"]),
}


def candidates(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return a batch with the schema CANDIDATES that has these columns; all other columns are null."""
    rows = len(next(iter(columns.values())))
    nulls = {field.name: pa.nulls(rows, field.type) for field in CANDIDATES if field.name not in columns}
    return pa.RecordBatch.from_pydict(columns | nulls, schema=CANDIDATES)


def candidates_in_rows(fields: Iterable[str], rows: Iterable[Row], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield the candidates in rows of a table with the columns `fields`; count the other rows in `tally`."""
    names = list(fields)
    for columns in columns_of(rows, tally):
        yield from from_columns(dict(zip(names, columns, strict=True)), tally)


def from_columns(columns: dict[str, pa.Array], tally: Tally) -> Iterator[pa.RecordBatch]:
    """Yield one batch, unless empty, of the rows with a web address and a text; count other rows by their first fault.

    Texts are cleaned like the texts of pages; other columns are used as they are. Labels of unknown languages are also
    counted.
    """
    columns = {field: _without_empty(array) for field, array in columns.items()}
    columns["text"] = _without_empty(clean_array(columns["text"]))
    kinds = pa.repeat(DEFAULT_KIND, len(columns["text"]))
    columns["kind"] = pc.coalesce(columns["kind"], kinds) if "kind" in columns else kinds
    batch = candidates(columns)
    for reason, is_right in CHECKS.items():
        right = is_right(batch)
        if right.true_count < batch.num_rows:
            tally["dropped", reason] += batch.num_rows - right.true_count
            batch = batch.filter(right)
    tally["pairs"] += batch.num_rows
    if "language" in columns:
        count_unknown(batch["language"], tally)
    if batch.num_rows:
        yield batch


def columns_of(
    rows: Iterable[Row], tally: Tally, types: Sequence[pa.DataType] | None = None
) -> Iterator[list[pa.Array]]:
    """Yield `rows` as lists of columns, of `types` or of strings; rows that UTF-8 cannot hold are left out and counted.

    Each list of columns has BATCH_ROWS rows, or fewer if these have BATCH_BYTES characters; the last has the rest.
    """
    for gathered in gather(rows, _characters, BATCH_BYTES, BATCH_ROWS):
        kinds = types or [pa.string()] * len(gathered[0])
        try:
            columns = [pa.array(values, kind) for values, kind in zip(zip(*gathered, strict=True), kinds, strict=True)]
        except (
            UnicodeEncodeError
        ):  # Lone surrogates are legal in JSON, but not in UTF-8; they also stand for bad bytes.
            kept = [row for row in gathered if all(map(_is_unicode, row))]
            tally["dropped", "bad_utf8"] += len(gathered) - len(kept)
            columns = [pa.array(map(itemgetter(i), kept), kind) for i, kind in enumerate(kinds)]
        yield columns


def coded(stated: pa.Array) -> pa.StringArray:
    """Return the code of the language that each label in `stated` means; `other` if it is unknown; null for null."""
    labels = stated.dictionary_encode()
    codes = [(of_stated(label) or OTHER).code for label in labels.dictionary.to_pylist()]  # The dictionary has no null.
    return pa.array(codes, pa.string()).take(labels.indices)


def count_unknown(stated: pa.Array, tally: Tally) -> None:
    """Add the rows of each unknown label of a language to `tally`; count labels after MAX_UNKNOWN_LABELS as one."""
    known = {key[1] for key in tally if isinstance(key, tuple) and key[0] == UNKNOWN_LANGUAGE}
    for label, rows in unknown_labels(stated).items():
        if label in known or len(known) < MAX_UNKNOWN_LABELS:
            known.add(label)
            tally[UNKNOWN_LANGUAGE, label] += rows
        else:
            tally[UNKNOWN_LANGUAGE] += rows


def unknown_labels(stated: pa.Array) -> Counter[str]:
    """Return the number of rows of each unknown label, by its first MAX_LABEL_CHARACTERS characters."""
    rows_of_label: Counter[str] = Counter()
    for count in pc.value_counts(stated.drop_null()).to_pylist():
        if count["values"] and not of_stated(count["values"]):
            rows_of_label[count["values"][:MAX_LABEL_CHARACTERS]] += count["counts"]
    return rows_of_label


def _without_empty(array: pa.Array) -> pa.Array:
    empty = pc.equal(array, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), array) if empty.true_count else array


def _characters(row: Row) -> int:
    size = 0
    for value in row:
        if type(value) is str:
            size += len(value)
    return size


def _is_unicode(value: str | int | None) -> bool:
    try:
        if type(value) is str:
            value.encode()
    except UnicodeEncodeError:
        return False
    return True
