"""Write the entries of all languages to entries.parquet and metadata.json, and read a user's lists of entries.

Entries are written one language at a time; `Entries.open` reads these files. A user's list is a JSON array of strings,
or text with one entry per line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b, sha256
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metadata.languages import language
from runtime.arrow import one_array, require, string_buffers
from runtime.errors import InputError
from runtime.storage.own_files import OwnFile, checksum_of
from runtime.storage.parquet import PartWriter
from runtime.storage.paths import as_path, make_folder
from runtime.storage.whole import read_json, whole, write_json

# One row per entry, in the order of ids.
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int32()),
        pa.field("language", pa.string()),
        pa.field("entry", pa.string()),
        pa.field("sources", pa.list_(pa.string())),
        pa.field("score", pa.float64()),
    ]
)

VERSION = 1  # of the format of the two files
ENTRIES, FACTS = "entries.parquet", "metadata.json"
REMEDY = "build the metadata again"

_ROWS = 1 << 20  # of a row group
_MOST_BYTES = np.iinfo(np.int32).max  # of all entries together: the most that one Arrow array of strings holds

FilesOfLanguages = Mapping[str, str | Path] | Sequence[str]  # the path of each language, or arguments such as en=FILE


def write_entries(directory: str | Path, languages: Iterable[pa.Table], facts: Callable[[], dict]) -> None:
    """Write entries.parquet and metadata.json to `directory`; InputError for too many entries or bytes.

    `languages` has a table per language with the columns of SCHEMA except `id`, which is set here. `facts()` returns
    further members of metadata.json; it is called after the last table. Memory holds a row group and one language.
    """
    directory, written = make_folder(as_path(directory)), _EntriesWritten()
    with whole(directory / ENTRIES) as file:
        with pq.ParquetWriter(file, SCHEMA) as parquet:
            writer = PartWriter(parquet, _ROWS)
            for batch in chain.from_iterable(map(written.numbered, languages)):
                writer.write(batch)
            writer.finish()
        checksum = checksum_of(file)
        require_room(written.bytes)
        more = facts()
    together = sha256_of_all(written.sha256)
    own = {"version": VERSION, "name": named(more.get("recipe", {}).get("date"), together)}
    own |= {"digest": digest_of_all(written.digests), "sha256": together, "sha256_of": written.sha256}
    own |= {"entries": writer.rows, "languages": written.counts}
    write_json(directory / FACTS, own | more | {"checksums": {ENTRIES: checksum}})


class _EntriesWritten:
    """The counts and digests of the languages written so far, by code, and the bytes of all their entries."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        self.sha256: dict[str, str] = {}
        self.bytes = 0

    def numbered(self, rows: pa.Table) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one language with ids, which continue those of the languages before; update the counts."""
        code, begin = rows["language"][0].as_py(), sum(self.counts.values())
        require_number(begin + len(rows))
        entries = one_array(rows["entry"])
        self.counts[code], self.digests[code], self.sha256[code] = len(rows), digest_of(entries), sha256_of(entries)
        self.bytes += size_of(rows["entry"])
        ids = pa.array(np.arange(begin, begin + len(rows), dtype=np.int32))
        yield from require(rows.append_column("id", ids), SCHEMA).to_batches()


def entries_file(directory: Path) -> OwnFile:
    """Return entries.parquet of a folder, with its checksum from metadata.json (None if that states none)."""
    checksums = (read_json(directory / FACTS) or {}).get("checksums", {})
    return OwnFile(directory / ENTRIES, checksums.get(ENTRIES), REMEDY)


def digest_of(strings: pa.Array) -> str:
    """Return the digest of an array of strings: 32 hex digits that depend on each string and on the order."""
    offsets, data = string_buffers(strings)
    hashed = blake2b(np.diff(offsets).tobytes(), digest_size=16)
    hashed.update(data[offsets[0] : offsets[-1]].data)
    return hashed.hexdigest()


def digest_of_all(digests: dict[str, str]) -> str:
    """Return the digest of all entries (32 hex digits), given each language's code and digest, in the order of ids."""
    parts = [f"{code} {digest}" for code, digest in digests.items()]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def sha256_of(strings: pa.Array) -> str:
    """Return the SHA-256, in hex, of the strings sorted by their bytes, with a line feed after each string.

    >>> sha256_of(pa.array(["dog", "cat"])) == sha256(b"cat\\ndog\\n").hexdigest()
    True
    """
    lines = pc.binary_join_element_wise(strings.take(pc.sort_indices(strings)), "", "\n")
    offsets, data = string_buffers(lines)
    return sha256(data[offsets[0] : offsets[-1]].data).hexdigest()


def sha256_of_all(languages: dict[str, str]) -> str:
    """Return the SHA-256 of all entries, given each language's by code.

    It is that of the output of `sha256sum` for one file per language, named by its code, with the sorted entries.
    """
    return sha256("".join(f"{languages[code]}  {code}\n" for code in sorted(languages)).encode()).hexdigest()


def named(day: str | None, digest: str) -> str:
    """Return the name of metadata, given the newest day in its sources' names (None: undated) and its entries' SHA-256.

    >>> named("2024-12-30", "0f3a99c2" + 56 * "0"), named(None, "0f3a99c2" + 56 * "0")
    ('clip-metadata-2024-12-30-0f3a99c2', 'clip-metadata-undated-0f3a99c2')
    """
    return f"clip-metadata-{day or 'undated'}-{digest[:8]}"


def size_of(entries: pa.Array | pa.ChunkedArray) -> int:
    """Return the number of bytes of all strings together."""
    return pc.sum(pc.binary_length(entries)).as_py() or 0


def require_room(size: int) -> None:
    """Refuse entries of `size` bytes if one array of strings cannot hold them."""
    if size > _MOST_BYTES:
        raise InputError(f"the entries have {size:,} bytes together, more than {_MOST_BYTES:,}; leave some out")


def require_number(entries: int) -> None:
    """Refuse a number of entries that 32-bit ids cannot number."""
    if entries > np.iinfo(np.int32).max:
        raise InputError(f"{entries:,} entries are more than ids of 32 bits can number")


def read_lists(arguments: FilesOfLanguages) -> dict[str, list[str]]:
    """Return the entries of each language by code, read from the files that arguments such as en=FILE name."""
    return {code: read_list(path) for code, path in files_of_languages(arguments, "entries", "en=words.txt").items()}


def files_of_languages(arguments: FilesOfLanguages, what: str, example: str) -> dict[str, str | Path]:
    """Return the file of each language by code, given a mapping or arguments such as en=FILE.

    InputError, which names the content as `what` and shows `example`, for another form or a language given twice.
    """
    if isinstance(arguments, Mapping):
        return {language(code).code: path for code, path in arguments.items()}
    files: dict[str, str | Path] = {}
    for argument in arguments:
        code, equals, path = argument.partition("=")
        if not equals or not path:
            raise InputError(f"{what} are given as {argument!r}; give LANGUAGE=FILE, such as {example}")
        if language(code).code in files:
            raise InputError(f"{what} of {code} are given twice; put them into one file")
        files[code] = path
    return files


def read_list(path: str | Path) -> list[str]:
    """Return the entries of a file, a JSON array or one per line, unchanged; blank lines are skipped.

    InputError if the file cannot be read, is not UTF-8, or holds no entries.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the entries in {path} ({error.strerror}); give a file of entries") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save the entries as UTF-8") from None
    entries = _read_json(path, text) if text.lstrip().startswith("[") else _read_lines(text)
    if not entries:
        raise InputError(f"{path} holds no entries; give a JSON array of strings, or one entry per line")
    return entries


def _read_lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _read_json(path: str | Path, text: str) -> list[str]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A list of lines may begin with a bracket too.
        if "\n" in text.strip() and not text.rstrip().endswith("]"):
            return _read_lines(text)
        raise InputError(
            f"{path} begins like a JSON array but is none ({error}); mend it, or give one per line"
        ) from None
    if not all(isinstance(entry, str) for entry in entries):
        raise InputError(f"{path} holds a JSON array with values that are no strings; give strings only")
    return entries
