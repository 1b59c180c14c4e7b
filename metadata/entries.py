"""Hold the metadata entries of all languages in one array, with a digest that identifies the array.

An entry's id is its index in this array. Languages follow each other in the order of languages.csv.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from metadata.languages import LANGUAGES, OTHER, language
from metadata.rules import have_letters
from runtime.argument_types import require_integer, typed
from runtime.arrow import one_array, require, string_array, string_buffers
from runtime.errors import InputError
from runtime.folders.descriptor import Kind
from runtime.folders.stamps import digest_of
from runtime.kernel_caches import cache_folder
from runtime.messages import quoted
from runtime.redaction import hidden
from runtime.storage.arrays import open_arrays, save_arrays
from runtime.storage.checksums import checksum_of
from runtime.storage.json_files import content_of, read_json, write_json
from runtime.storage.listing import described
from runtime.storage.machine_cache import opened_folder
from runtime.storage.own_files import OwnFile, compared
from runtime.storage.parquet import PartWriter, read_table
from runtime.storage.paths import as_path, fixed, is_url, make_folder, names, reachable, read_bytes, room
from runtime.storage.whole import whole

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

ENTRIES_VERSION = 1  # version of the format of the two files
ENTRIES, FACTS = "entries.parquet", "metadata.json"
METADATA = Kind("metadata", "clip-metadata", ENTRIES_VERSION, FACTS)
REMEDY = "build the metadata again"

_GROUP_ROWS = 1 << 20  # rows of a row group
_MAX_ENTRIES_BYTES = np.iinfo(np.int32).max  # bytes of all entries: one Arrow array of strings holds no more

_EXPECTED_LIST = "write a JSON array of strings, or one entry on each line"
_MARKS = {".csv": ",", ".tsv": "\t"}  # the extension of a table → its delimiter

EntriesOfLanguages = Annotated[
    Mapping[str, Sequence[str] | pa.Array], "the entries of each language, as {'en': ['photo', 'dog']}"
]
FilesOfLanguages = Mapping[str, str | Path] | Sequence[str]  # the path of each language, or arguments such as en=FILE


def write_entries(directory: str | Path, languages: Iterable[pa.Table], facts: Callable[[], dict]) -> None:
    """Write entries.parquet and metadata.json to `directory`; InputError for too many entries or bytes.

    `languages` yields a table per language with the columns of SCHEMA except `id`, which is set here. `facts()` returns
    further members of metadata.json; it is called after the last table. Memory holds one language and one row group.
    """
    directory = make_folder(as_path(directory))
    size = 0
    counts = dict[str, int]()  # The keys of this dictionary and of the next two are language codes.
    digests = dict[str, str]()
    sums = dict[str, str]()
    with whole(directory / ENTRIES) as file:
        with pq.ParquetWriter(file, SCHEMA) as parquet:
            writer = PartWriter(parquet, _GROUP_ROWS)
            for rows in languages:
                code = rows["language"][0].as_py()
                entries = one_array(rows["entry"])
                counts[code] = len(rows)
                digests[code] = strings_digest(entries)
                sums[code] = sha256_of(entries)
                require_numberable(sum(counts.values()))
                size += entries_size(entries)
                ids = pa.array(np.arange(writer.rows, writer.rows + len(rows), dtype=np.int32))
                for batch in require(rows.append_column("id", ids), SCHEMA).to_batches():
                    writer.write(batch)
            writer.finish()
        checksum = checksum_of(file)
        require_room(size)
        more = facts()
    together = sha256_of_all(sums)
    recipe = more.get("recipe")
    members: dict[str, Any] = {"name": metadata_name((recipe or {}).get("date"), together)}
    members |= {"digest": digest_of_all(digests), "sha256": together, "sha256_of": sums}
    members |= {"entries": writer.rows, "languages": counts}
    made_from = {"recipe": digest_of(recipe) if recipe else None}
    write_json(directory / FACTS, METADATA.content(made_from, {ENTRIES: checksum}, members | more))


def entries_file(directory: Path) -> OwnFile:
    """Return entries.parquet of a folder, with its checksum from metadata.json, or None if the file states none."""
    checksums = (read_json(directory / FACTS) or {}).get("checksums", {})
    return OwnFile(directory / ENTRIES, checksums.get(ENTRIES), REMEDY)


def strings_digest(strings: pa.Array) -> str:
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
    """Return the SHA-256 of all entries, in hex, given the SHA-256 of each language's entries by code.

    It is the SHA-256 of the output of `sha256sum` for one file per language, named by the code, with sorted entries.
    """
    return sha256("".join(f"{languages[code]}  {code}\n" for code in sorted(languages)).encode()).hexdigest()


def metadata_name(day: str | None, digest: str) -> str:
    """Return the name of metadata, given the newest day in its sources' names (None: undated) and its entries' SHA-256.

    >>> metadata_name("2024-12-30", "0f3a99c2" + 56 * "0"), metadata_name(None, "0f3a99c2" + 56 * "0")
    ('clip-metadata-2024-12-30-0f3a99c2', 'clip-metadata-undated-0f3a99c2')
    """
    return f"clip-metadata-{day or 'undated'}-{digest[:8]}"


def entries_size(entries: pa.Array | pa.ChunkedArray) -> int:
    """Return the number of bytes, in UTF-8, of all entries together."""
    return pc.sum(pc.binary_length(entries)).as_py() or 0


def require_room(size: int) -> None:
    """Raise InputError if all entries together have more bytes (`size`) than one Arrow array of strings can hold."""
    if size > _MAX_ENTRIES_BYTES:
        raise InputError(
            f"the entries have {size:,} bytes together, but the most is {_MAX_ENTRIES_BYTES:,}; leave some out"
        )


def require_numberable(entries: int) -> None:
    """Raise InputError if there are more `entries` than 32-bit ids can number."""
    if entries > np.iinfo(np.int32).max:
        raise InputError(f"{entries:,} entries are more than ids of 32 bits can number; leave some out")


def read_lists(arguments: FilesOfLanguages) -> dict[str, list[str]]:
    """Return the entries of each language by code, read from the files that arguments such as en=FILE name."""
    return {code: read_list(path) for code, path in files_of_languages(arguments, "entries", "en=words.txt").items()}


def files_of_languages(arguments: FilesOfLanguages, what: str, example: str) -> dict[str, str | Path]:
    """Return the file of each language by code, given a mapping or arguments such as en=FILE.

    InputError for an argument without language or file, or for a language given twice; the message names the content of
    the files as `what`, and shows `example`.
    """
    if isinstance(arguments, Mapping):
        return {language(code).code: path for code, path in arguments.items()}
    files: dict[str, str | Path] = {}
    for argument in arguments:
        code, equals, path = argument.partition("=")
        if not equals or not path:
            raise InputError(f"{what} are given as {argument!r}; write LANGUAGE=FILE, such as {example}")
        if language(code).code in files:
            raise InputError(f"{what} of {code} are given twice; put them into one file")
        files[code] = path
    return files


def read_list(path: str | Path) -> list[str]:
    """Return the entries of a file, a JSON array or one per line, unchanged; blank lines are skipped.

    InputError if the file cannot be read, is not UTF-8, holds no entries, or is a table or a JSON object.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = "lists are only read from local files" if "://" in str(path) else error.strerror
        raise InputError(f"cannot read the entries in {path} ({reason}); specify a file of entries") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; save the entries as UTF-8") from None
    entries = _read_json(path, text) if text.lstrip().startswith("[") else _read_lines(text)
    if not entries:
        raise InputError(f"{path} does not hold any entries; {_EXPECTED_LIST}")
    mark = _MARKS.get(Path(path).suffix.lower())
    if mark and all(mark in line for line in entries):
        raise InputError(f"{path} seems to be a table, because each line has a {mark!r}; {_EXPECTED_LIST}")
    if text.lstrip().startswith("{") and _is_json(text):
        raise InputError(f"{path} is a JSON object; {_EXPECTED_LIST}")
    return entries


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]


def _read_json(path: str | Path, text: str) -> list[str]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A list of lines may also begin with a bracket.
        if "\n" in text.strip() and not text.rstrip().endswith("]"):
            return _read_lines(text)
        raise InputError(
            f"{path} begins like a JSON array, but is not valid JSON ({error}); fix it, or write one entry on each line"
        ) from None
    for number, entry in enumerate(entries):
        if not isinstance(entry, str):
            raise InputError(
                f"{path} holds a JSON array whose entry {number} is {quoted(json.dumps(entry))}, not a string; put it "
                "into quotation marks, or leave it out"
            )
    return entries


SHOWN_LANGUAGES = 5  # languages that `repr` lists
EXPECTED_FOLDER = f"specify a folder of clip-metadata, with {FACTS} and {ENTRIES}"
ABOUT = ("name", "starter", "versions", "licences")
_STRINGS = "strings.json"


@dataclass(frozen=True)
class EntriesOnDisk:
    """A folder in which every process of this machine can read the strings of entries."""

    folder: Path
    read: Callable[[Path], Entries]

    def open(self) -> Entries:
        """Return the entries, without scores and sources."""
        return self.read(self.folder)


@typed
@dataclass(frozen=True)
class Entries:
    """All entries; `table` has the columns of SCHEMA, and `languages` maps each code to its slice of ids.

    `about` has the members of metadata.json that ABOUT lists. For a folder at a URL, it also has the `path`, with the
    commit if the URL is a dataset of the Hub. For entries built from lists, `about` is empty. If `on_demand` is True,
    the entries of a language are made at the first access on a machine, which takes up to a second.
    """

    on_demand: ClassVar[bool] = False

    table: pa.Table
    languages: dict[str, slice]
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def build(cls, lists: EntriesOfLanguages, source: str = "list") -> Entries:
        """Return the entries in `lists`, a mapping from language code to strings; all have the source `source`.

        InputError for an unknown language, or an entry that is repeated in its language, empty or null.
        """
        columns = {language(code).code: _distinct(code, strings) for code, strings in lists.items()}
        codes = [language.code for language in LANGUAGES if language.code in columns]
        rows = [pa.table({"language": pa.repeat(code, len(columns[code])), "entry": columns[code]}) for code in codes]
        if not any(map(len, columns.values())):
            raise InputError("there are no entries; pass the entries of at least one language")
        table = pa.concat_tables(rows)
        sources = pa.array([[source]], SCHEMA.field("sources").type).take(pa.repeat(0, len(table)))
        return cls.of_table(
            table.append_column("sources", sources).append_column("score", pa.nulls(len(table), pa.float64()))
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> Entries:
        """Return the entries of a table with the columns language, entry, sources and score; ids are row numbers."""
        require_numberable(len(table))
        table = table.append_column("id", pa.array(np.arange(len(table), dtype=np.int32)))
        table = require(table, SCHEMA)
        require_room(entries_size(table["entry"]))
        # Only the column `entry` is copied into one array: all columns would take 50 bytes an entry.
        index = SCHEMA.get_field_index("entry")
        table = table.set_column(index, SCHEMA.field(index), one_array(table["entry"]))
        return cls(table, _ids(table["language"]))

    def __len__(self) -> int:
        return sum(ids.stop - ids.start for ids in self.languages.values())

    def __repr__(self) -> str:
        shown = [f"{ids.stop - ids.start:,} {code}" for code, ids in self.languages.items()]
        more = [f"{len(shown) - SHOWN_LANGUAGES} more languages"] if len(shown) > SHOWN_LANGUAGES else []
        return f"<Entries: {len(self):,} ({', '.join(shown[:SHOWN_LANGUAGES] + more)})>"

    @cached_property
    def strings(self) -> pa.Array:
        """The strings of all entries; the index of each string is its id."""
        return one_array(self.table["entry"])

    @cached_property
    def lettered(self) -> np.ndarray:
        """A bool per id: True if the entry has two letters, or one character of a script without spaces."""
        return have_letters(self.strings)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The digest of each language's entries, by code."""
        return {code: strings_digest(self.of(code)) for code in self.languages}

    @cached_property
    def digest(self) -> str:
        """The digest of all entries: 32 hex digits that depend on each entry's string, language and id."""
        return digest_of_all(self.digests)

    @property
    def name(self) -> str:
        """The metadata's name, which `only` and `merged` keep; entries built from lists get an undated name."""
        return self.about.get("name") or metadata_name(
            None, sha256_of_all({code: sha256_of(self.of(code)) for code in self.languages})
        )

    def entry(self, id: int) -> str:
        """Return the string of the entry with this id; InputError for an id out of range."""
        code = self.language(id)
        return self.of(code)[id - self.languages[code].start].as_py()

    def language(self, id: int) -> str:
        """Return the code of the language of the entry with this id; InputError for an id out of range."""
        number = self._checked(id)
        return next(code for code, ids in self.languages.items() if ids.start <= number < ids.stop)

    def _checked(self, id: int) -> int:
        require_integer("id", id, -(2**63))
        if not 0 <= id < len(self):
            raise InputError(f"there is no entry {id}; use an id from 0 to {len(self) - 1}")
        return id

    def ids(self, code: str) -> slice:
        """Return the ids of a language as a slice, which is empty if the language has no entries."""
        return self.languages.get(language(code).code, slice(0, 0))

    def of(self, code: str) -> pa.Array:
        """Return the strings of a language's entries: a slice of `strings`, not a copy."""
        ids = self.ids(code)
        return self.strings[ids.start : ids.stop]

    def only(self, code: str) -> Entries:
        """Return the entries of only one language, with ids from 0; InputError if there are none."""
        ids = self.ids(code)
        if ids.start == ids.stop:
            raise InputError(f"there are no entries of {code}; choose one of the languages {', '.join(self.languages)}")
        return self._like(self.table.slice(ids.start, ids.stop - ids.start).drop_columns("id"))

    def merged(self) -> Entries:
        """Return each distinct string as one entry of the language `other`, in the order of their smallest ids."""
        first = self.table.group_by("entry").aggregate([("id", "min")])["id_min"].sort()
        others = pa.repeat(OTHER.code, len(first))
        table = self.table.take(first).drop_columns("id")
        return self._like(table.set_column(table.schema.get_field_index("language"), "language", others))

    def _like(self, table: pa.Table) -> Entries:
        return replace(Entries.of_table(table), about=self.about)

    def save(self, directory: str | Path, facts: dict | None = None) -> None:
        """Write entries.parquet and metadata.json to a folder; `facts` are further members of metadata.json."""
        rows = self.table.drop_columns("id")
        languages = (rows.slice(ids.start, ids.stop - ids.start) for ids in self.languages.values())
        write_entries(directory, languages, lambda: facts or {})

    def save_strings(self, folder: Path) -> None:
        """Write the strings of all entries and the ids of each language to a folder, for `of_strings`."""
        offsets, data = string_buffers(self.strings)
        languages = {code: [ids.start, ids.stop] for code, ids in self.languages.items()}
        header = {"version": ENTRIES_VERSION, "digest": self.digest, "languages": languages}
        with room(folder.parent):
            arrays = {"offsets": offsets.astype(np.int32), "data": data[: offsets[-1]]}
            save_arrays(folder, _STRINGS, header, arrays)

    def on_disk(self, folder: Path) -> EntriesOnDisk:
        """Write the strings to `folder`, where all processes of this machine can read them; return the location.

        A subclass whose strings are on disk already returns their own folder.
        """
        self.save_strings(folder)
        return EntriesOnDisk(folder, Entries.of_strings)

    @classmethod
    def of_strings(cls, folder: Path) -> Entries:
        """Return the entries that `save_strings` wrote, mapped into memory, without scores and sources."""
        return _Strings(folder)

    @classmethod
    def open(cls, directory: str | Path) -> Entries:
        """Return the entries in a folder of clip-metadata; their strings are cached on this machine and memory-mapped.

        InputError for a folder that is damaged, that has another format version, or whose entries have another digest.
        """
        directory = fixed(directory)
        with _readable(directory):
            facts = content_of(read_bytes(directory / FACTS))
            file = OwnFile(directory / ENTRIES, facts.get("checksums", {}).get(ENTRIES), REMEDY)
            version, digest = facts["version"], facts["digest"]
        if version != ENTRIES_VERSION:
            raise InputError(
                f"{directory} holds metadata of version {version}, but this program reads version {ENTRIES_VERSION}; "
                "build the metadata again"
            )
        about = {name: facts[name] for name in ABOUT if name in facts}
        if is_url(directory):
            about["path"] = hidden(str(directory))
        return _Saved(file, digest, about)


class _Strings(Entries):
    """Entries of which only strings, languages and digest are known, memory-mapped from a `save_strings` folder."""

    _folder: Path

    def __init__(self, folder: Path) -> None:
        header, arrays = open_arrays(folder, _STRINGS, ENTRIES_VERSION)
        buffers = [None, pa.py_buffer(arrays["offsets"]), pa.py_buffer(arrays["data"])]
        strings = pa.Array.from_buffers(pa.string(), len(arrays["offsets"]) - 1, buffers)
        languages = {code: slice(*ids) for code, ids in header["languages"].items()}
        vars(self).update(strings=strings, languages=languages, digest=header["digest"], about={}, _folder=folder)

    def on_disk(self, folder: Path) -> EntriesOnDisk:
        """Return the folder that these entries were read from; nothing is written to `folder`."""
        return EntriesOnDisk(self._folder, Entries.of_strings)


class _Saved(_Strings):
    """Entries in a folder: strings are memory-mapped from this machine's cache, other columns are read on first use."""

    _file: OwnFile

    def __init__(self, file: OwnFile, digest: str, about: dict[str, Any]) -> None:
        if not is_url(file.path):
            compared(file)
        folder = cache_folder() / f"entries-{digest}-{ENTRIES_VERSION}"
        opened_folder(folder, lambda kept: _read(file, digest).save_strings(kept), super().__init__)
        vars(self).update(_file=file, about=about)

    @cached_property
    def table(self) -> pa.Table:
        """The table of all entries with the columns of SCHEMA, read from entries.parquet."""
        return _read(self._file, self.digest).table


def _read(file: OwnFile, digest: str) -> Entries:
    """Return the entries of entries.parquet; InputError if it is damaged or their digest is not `digest`."""
    with _readable(file.path.parent):
        table = read_table(file)
    try:
        entries = Entries.of_table(require(table, SCHEMA).drop_columns("id"))
    except (ValueError, KeyError, pa.ArrowException) as error:  # Invalid UTF-8 is a ValueError.
        raise InputError(f"{file.path} is damaged ({error}): build it again") from None
    if entries.digest != digest:
        raise InputError(
            f"{file.path} has the digest {entries.digest}, but metadata.json states {digest}: "
            "one of the two files was changed or is damaged; build the metadata again"
        )
    return entries


@contextmanager
def _readable(directory: Path) -> Iterator[None]:
    """Raise an InputError if the block fails to read metadata; its message describes the content of `directory`."""
    try:
        with reachable(directory):
            yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        what = f"holds no readable metadata ({error})" if FACTS in names(directory) else described(directory)
        raise InputError(f"{directory} {what}; {EXPECTED_FOLDER}") from None


def _ids(languages: pa.ChunkedArray) -> dict[str, slice]:
    """Return the slice of ids of each language, given the language code of each entry in the order of ids."""
    ids_of_code: dict[str, slice] = {}
    begin = 0
    for chunk in filter(len, languages.chunks):
        runs = pc.run_end_encode(chunk)
        start = begin
        for code, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            goes_on = code in ids_of_code and ids_of_code[code].stop == begin
            ids_of_code[code] = slice(ids_of_code[code].start if goes_on else begin, start + end)
            begin = start + end
    return ids_of_code


def _distinct(code: str, strings: Sequence[str] | pa.Array) -> pa.Array:
    """Return the entries of one language as an array; InputError for a null, empty or repeated entry."""
    strings = string_array(strings, f"entries of {code}")
    require_room(entries_size(strings))
    column = strings.cast(pa.string())
    if column.null_count:
        raise InputError(f"entry {pc.index(pc.is_null(column), True)} of {code} is null: leave it out")
    empty = pc.index(pc.binary_length(column), pa.scalar(0, pa.int32())).as_py()
    if empty >= 0:
        raise InputError(f"entry {empty} of {code} is empty: leave it out")
    counts = pc.value_counts(column)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        raise InputError(f"entry {quoted(repeated.field('values')[0])!r} of {code} is repeated: keep one of them")
    return column
