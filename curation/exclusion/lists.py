"""Read exclusion lists into sets of uids, URLs, domains with their subdomains, and hashes of files.

A list is a text file, or a table with a column of such values. A line is `kind:value`, or a value whose format shows
its kind. Blank lines and lines that begin with # are skipped. The path of a list of hashes may be prefixed by the kind
of hash, as `md5=list.txt`. No message repeats a hash, because listed hashes are of illegal pictures. Sets are looked up
a batch at a time, by keys of 16 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from string import whitespace
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.column_names import RECOGNISED
from curation.inputs.candidates import HTTP_URL
from curation.inputs.tables.parquet_tables import is_table_file, opened_table, table_batches, text_lines
from curation.kernels.exclusion import LISTED, UNUSUAL, find_hosts, find_keys, hash_names
from curation.url_hosts import canonical, hosts, is_domain
from runtime.arrow import string_array, string_buffers, uid_numbers
from runtime.errors import InputError
from runtime.kernels.hashes import md5
from runtime.messages import quoted, quoted_names

_KEYS_IN_BUCKET = 4  # With about this many keys in a bucket, a search reads one or two cache lines.

_DOMAIN = "a domain; write one such as example.org, which covers its subdomains, and put patterns after regex:"

_ANY_HASH = "hash"  # The column of hashes may have this name if the path states their kind.

_HASH = re.compile("[0-9a-fA-F]{32}")
_HEAD_BYTES = 1 << 16  # In a file without values, this many bytes are searched for a comment or a header.

# A line without `kind:` has the first kind whose format it matches.
_FORMS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "uid": lambda lines: pc.match_substring_regex(lines, "^[0-9a-fA-F]{32}$"),
    "url": lambda lines: pc.match_substring(lines, "://"),
    "domain": lambda lines: pc.match_substring(lines, "."),
}

_KIND_OF_COLUMN = dict.fromkeys(RECOGNISED["uid"], "uid") | dict.fromkeys(RECOGNISED["url"], "url")


@dataclass(frozen=True, eq=False)
class KeySet:
    """A set of 16-byte keys, uint64[key, 2], sorted; starts[b] is the index of the first key with leading bits b."""

    keys: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, arrays: Iterable[np.ndarray]) -> KeySet:
        """Return the set of all keys in these arrays, uint64[key, 2]."""
        keys = _ascending(np.concatenate([np.empty((0, 2), np.uint64), *arrays]))
        bits = max(1, (len(keys) // _KEYS_IN_BUCKET).bit_length())
        first = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        return cls(keys, np.append(np.searchsorted(keys[:, 0], first), len(keys)).astype(np.int64))

    def __len__(self) -> int:
        return len(self.keys)

    def contains(self, keys: np.ndarray) -> np.ndarray:
        """Return a mask, bool[key]: which of these keys are in the set."""
        return self.find(keys) >= 0

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the index of each key in the sorted set, or -1 for a key that is not in the set."""
        out = np.empty(len(keys), np.int64)
        find_keys(self.keys, self.starts, self._shift, keys, out)
        return out

    def covers(self, urls: pa.Array) -> np.ndarray:
        """Return a mask, bool[url]: the URL's host is a domain in the set, or a subdomain of one; false for null."""
        out = self._find_hosts(urls)
        unusual = np.flatnonzero(out == UNUSUAL)
        if len(unusual):
            out[unusual] = self._find_hosts(_respelled(urls.take(pa.array(unusual))))
        return out == LISTED

    def _find_hosts(self, urls: pa.Array) -> np.ndarray:
        offsets, data = string_buffers(urls)
        out = np.empty(len(urls), np.uint8)
        find_hosts(data, offsets, self.keys, self.starts, self._shift, out)
        return out

    @property
    def _shift(self) -> np.uint64:
        return np.uint64(65 - (len(self.starts) - 1).bit_length())


def url_keys(urls: pa.Array) -> np.ndarray:
    """Return the key of each URL, uint64[url, 2]: its MD5, which is also the uid of an image without its own uid."""
    offsets, data = string_buffers(string_array(urls, "urls"))
    words = np.empty((len(urls), 4), np.uint32)
    md5(data, offsets, words)
    return words.view(">u8").astype(np.uint64)


def domain_keys(domains: pa.Array) -> np.ndarray:
    """Return the key of each domain, uint64[domain, 2], a 128-bit hash; domains must be in `canonical` form."""
    offsets, data = string_buffers(domains)
    keys = np.empty((len(domains), 2), np.uint64)
    if len(domains):  # Without lists, nothing is compiled here.
        hash_names(data, offsets, keys)
    return keys


def _respelled(urls: pa.Array) -> pa.Array:
    """Return each URL as `http://` and its host in canonical form, without path or query."""
    return pc.binary_join_element_wise("http://", hosts(urls), "").cast(pa.large_string())


def _ascending(keys: np.ndarray) -> np.ndarray:
    """Return the keys, uint64[key, 2], sorted and without duplicates; the given array is overwritten to save memory."""
    ordered = keys.byteswap(inplace=True).view("S16").reshape(-1)  # Strings are sorted twice as fast as two numbers.
    ordered.sort()
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    ordered = ordered if first.all() else ordered[first]
    return ordered.view(np.uint64).byteswap(inplace=True).reshape(-1, 2)


@dataclass(frozen=True)
class ListedKind:
    """A kind of listed value: the mask of valid values, their conversion, and the phrase by which errors name it."""

    is_right: Callable[[pa.Array], np.ndarray]
    form: Callable[[pa.Array], np.ndarray | Sequence[str]]
    expected: str


def flags(values: pa.Array) -> np.ndarray:
    """Return an Arrow array of booleans as a NumPy array; a null is false."""
    return values.fill_null(False).to_numpy(zero_copy_only=False)


def first_bad(kind: str, values: pa.Array) -> int | None:
    """Return the index of the first value that is not valid for a kind of KINDS, or None if all are valid."""
    bad = ~KINDS[kind].is_right(values)
    return int(bad.argmax()) if bad.any() else None


def refusal(pattern: str) -> str | None:
    """Return why RE2 refuses a regular expression, such as "missing ]: [", or None if it is valid."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        return str(error).removeprefix("Invalid regular expression: ")
    return None


def _each(is_right: Callable[[str], bool]) -> Callable[[pa.Array], np.ndarray]:
    return lambda values: np.array([is_right(value) for value in values.to_pylist()], bool)


def _canonical(values: pa.Array) -> list[str]:
    return [canonical(value) for value in values.to_pylist()]


def _hash_kind(name: str, size: int) -> ListedKind:
    """Return the ListedKind of hashes of `size` bytes; its `form` reads them as big-endian uint64[hash, size / 8]."""

    def words(values: pa.Array) -> np.ndarray:
        spelt = bytes.fromhex("".join(values.to_pylist()))
        return np.frombuffer(spelt, ">u8").astype(np.uint64).reshape(-1, size // 8)

    digits = f"^[0-9a-fA-F]{{{2 * size}}}$"
    expected = f"a hash of the kind {name}; expected {2 * size} hexadecimal digits"
    return ListedKind(lambda values: flags(pc.match_substring_regex(values, digits)), words, expected)


_is_domain = _each(lambda value: is_domain(canonical(value)))

KINDS = {
    "uid": ListedKind(lambda values: flags(pc.not_equal(values, "")), uid_numbers, "a uid; write one after uid:"),
    "url": ListedKind(
        lambda values: flags(pc.match_substring_regex(values, HTTP_URL)),
        url_keys,
        "a URL of the web; write it as the manifest has it, with http:// or https://",
    ),
    "domain": ListedKind(_is_domain, _canonical, _DOMAIN),
    "page": ListedKind(_is_domain, _canonical, _DOMAIN),
    "regex": ListedKind(
        _each(lambda value: value != "" and refusal(value) is None),
        pa.Array.to_pylist,
        "a regular expression of RE2, which has no look-ahead, look-behind or back-reference; rewrite it in the syntax "
        "of https://github.com/google/re2/wiki/Syntax",
    ),
}
HASHES = {"sha256": 32, "md5": 16, "pdq": 32}  # kind of hash → its length in bytes

KINDS |= {name: _hash_kind(name, size) for name, size in HASHES.items()}

_NO_FORM = (
    "neither a uid (32 hexadecimal digits) nor a URL (https://...) nor a domain (example.org); "
    f"put its kind before it: {', '.join(f'{kind}:' for kind in KINDS)}"
)
_NO_HASH = (
    f"the value is a hash of an unknown kind; pass the list as KIND=FILE, or begin its lines with KIND:, "
    f"where KIND is one of {', '.join(HASHES)}"
)

_KIND_OF_HASHES = {name: name for name in HASHES}


def listed_values(path: str, what: str) -> Iterator[tuple[str, pa.Array]]:
    """Yield pairs (kind, values), many values at a time, from a list; InputError if it is unreadable or a line is bad.

    `path` may be prefixed by a kind of hash and `=`; `what` is what errors call the file.
    """
    only, path = _kind_and_path(path)
    with opened_table(path, what) as file:
        values_of = _read_table if is_table_file(path) else _read_text
        yield from values_of(file, path, only)


def read_whole_list(path: str, what: str) -> Iterator[tuple[str, pa.Array]]:
    """Yield the same as `listed_values`; InputError for a list without values and comments, as it may be cut off."""
    number = 0
    for kind, values in listed_values(path, what):
        number += len(values)
        yield kind, values
    if not number:
        with opened_table(_kind_and_path(path)[1], what) as file:
            if not file.read(_HEAD_BYTES).strip("\ufeff".encode() + whitespace.encode()):
                raise InputError(
                    f"{what} {path} is empty; leave it out, or, if it is meant to list nothing, write a line that "
                    "begins with # into it"
                )


def _kind_and_path(argument: str) -> tuple[str | None, str]:
    """Return the kind of hash that prefixes a list's path, or None, and the path without the prefix."""
    kind, equals, path = argument.partition("=")
    return (kind, path) if equals and kind in HASHES else (None, argument)


def _read_text(file: BinaryIO, path: str, only: str | None) -> Iterator[tuple[str, pa.Array]]:
    for first, lines in text_lines(file, path):
        for kind, numbers, values in _by_kind(lines, only):
            bad = first_bad(kind, values) if kind in KINDS else 0
            if bad is not None:
                number = int(numbers[bad])
                raise InputError(f"{path}, line {first + number}: {_refused(kind, lines[number].as_py())}")
            yield kind, values


def _refused(kind: str, value: str) -> str:
    """Return the message for the bad value `value`, which it quotes only if the value cannot be a hash."""
    if kind not in KINDS and _HASH.search(value):
        return _NO_HASH
    expected = f"not {KINDS[kind].expected}" if kind in KINDS else _NO_FORM
    if kind in HASHES or _HASH.search(value):
        return f"the value is {expected}"
    reason = refusal(value) if kind == "regex" else None
    return f"{quoted(value)!r} is {expected}" + (f" (RE2 says: {reason})" if reason else "")


def _by_kind(lines: pa.Array, only: str | None) -> Iterator[tuple[str, np.ndarray, pa.Array]]:
    """Yield (kind, line numbers from 0, values) for each kind of value in the lines, without blank lines and comments.

    If `only` is given, all values are of this kind. Values that show no kind come last, with the kind `none`.
    """
    left = np.flatnonzero(flags(pc.and_not(pc.not_equal(lines, ""), pc.starts_with(lines, "#"))))
    if only is not None:
        yield only, left, lines.take(pa.array(left))
        return
    for kind in KINDS:
        numbers, left = _split(lines, left, partial(pc.starts_with, pattern=f"{kind}:"))
        values = pc.utf8_slice_codeunits(lines.take(pa.array(numbers)), len(f"{kind}:"))
        yield kind, numbers, pc.utf8_ltrim_whitespace(values)
    for kind, form in _FORMS.items():
        numbers, left = _split(lines, left, form)
        yield kind, numbers, lines.take(pa.array(numbers))
    if len(left):
        yield "none", left, lines.take(pa.array(left))


def _split(lines: pa.Array, numbers: np.ndarray, form: Callable[[pa.Array], pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """Divide line numbers in two: the numbers of lines for which `form` is true, and the other numbers."""
    has_form = flags(form(lines.take(pa.array(numbers))))
    return numbers[has_form], numbers[~has_form]


def _read_table(file: BinaryIO, path: str, only: str | None) -> Iterator[tuple[str, pa.Array]]:
    kinds = _KIND_OF_COLUMN | _KIND_OF_HASHES if only is None else {only: only, _ANY_HASH: only}
    rows = 0
    for batch in table_batches(file, path, lambda names: _columns(names, path, only)):
        for name in batch.schema.names:
            values = batch[name]
            kind = kinds[name.lower()]
            filled_rows = np.flatnonzero(flags(pc.not_equal(values, "")))
            stated = values.take(pa.array(filled_rows))
            bad = first_bad(kind, stated)
            if bad is not None:
                row = int(filled_rows[bad])
                where = f"{path}, row {rows + row + 1}, column {name}"
                raise InputError(f"{where}: {_refused(kind, values[row].as_py())}")
            yield kind, stated
        rows += batch.num_rows


def _columns(names: list[str], path: str, only: str | None) -> list[str]:
    """Return the columns to read from a table with the columns `names`; InputError if there are none.

    If `only`, a kind of hash, is given, these are the columns `only` and `hash`. Otherwise they are the columns of uids
    and URLs or, if the table has none, sha256, md5 and pdq.
    """
    choices = [[*_KIND_OF_COLUMN], [*_KIND_OF_HASHES]] if only is None else [[only, _ANY_HASH]]
    for choice in choices:
        columns = [name for name in dict.fromkeys(names) if name.lower() in choice]
        if columns:
            return columns
    expected = " or ".join(chain.from_iterable(choices))
    raise InputError(f"{path} has the columns {quoted_names(names)}; expected a column named {expected}")
