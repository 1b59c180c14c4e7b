"""Answer which signals URLs have, by the files of their hosts, in the task where both meet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.rows import PLACE
from curation.gate.host_rules import HostRules
from runtime.caches import cache_folder
from runtime.storage.paths import room
from runtime.tallies import Tallies

IMAGE, PAGE = "image", "page"  # the kind of URL that a row asks for
OF_PAGES = 16  # bits by which the signals of pages are shifted in FOUND
ASKED_FOR, KNOWN, FAULT = "asked.", "known.", "fault."  # before names of tallies
HELD_BYTES = 32 << 20  # of packed files of hosts that are in memory; more are on a disk
RULES_BYTES = 128 << 20  # of the rules of hosts that are in memory; those of more hosts are parsed again
# A file of a host, of which `file` and what follows are null, or a URL of an image, of which `name` and what follows.
ASKED = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("name", pa.string()),
        pa.field("date", pa.int64()),
        pa.field("content", pa.binary()),
        pa.field("faults", pa.list_(pa.string())),
        *PLACE,
        pa.field("kind", pa.string()),
        pa.field("path", pa.string()),
    ]
)
FOUND = pa.schema([*PLACE, pa.field("signals", pa.int32())])


class _File(NamedTuple):
    """A file of a host: its date, where its content begins, and the sizes of that packed and unpacked."""

    date: int
    begin: int
    packed: int
    size: int
    faults: list[str]


class Contents:
    """The contents of files of hosts, packed, on a disk where they are many; a context, at whose end they are gone."""

    def __init__(self) -> None:
        self._folder, self._codec = cache_folder(), pa.Codec("zstd", compression_level=1)

    def __enter__(self) -> Contents:
        self._file = tempfile.SpooledTemporaryFile(HELD_BYTES, dir=str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def clear(self) -> None:
        """Forget all."""
        self._file.seek(0)
        self._file.truncate()

    def add(self, date: int, content: bytes, faults: list[str]) -> _File:
        """Keep the content of a file."""
        data = self._codec.compress(content, asbytes=True)
        begin = self._file.seek(0, os.SEEK_END)
        with room(self._folder):
            self._file.write(data)
        return _File(date, begin, len(data), len(content), faults)

    def of(self, file: _File) -> bytes:
        """Return the content of a file."""
        self._file.seek(file.begin)
        return self._codec.decompress(self._file.read(file.packed), file.size, asbytes=True)


class KnownHosts:
    """The files of some hosts, the newest of each name, which are parsed once they are asked for."""

    def __init__(self, agents: Sequence[str], tallies: Tallies, contents: Contents):
        self._agents, self._tallies, self._contents = agents, tallies, contents
        self._files: dict[tuple[int, int], dict[str, _File]] = {}
        self._rules: dict[tuple[int, int], HostRules] = {}  # the last one asked for is at the end
        self._asked: set[tuple[int, int]] = set()
        self._size = 0
        contents.clear()

    def learn(self, rows: pa.RecordBatch) -> None:
        """Take in files: of several the newest counts, and of equally new ones the greatest in the order of bytes."""
        columns = (rows[name].to_pylist() for name in ("high", "low", "name", "date", "content", "faults"))
        for high, low, name, date, content, faults in zip(*columns, strict=True):
            held = self._files.setdefault((high, low), {})
            if name not in held or (held[name].date, self._content(held[name], date)) < (date, content):
                held[name] = self._contents.add(date, content, faults)

    def _content(self, file: _File, date: int) -> bytes:
        return self._contents.of(file) if file.date == date else b""

    def found(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return FOUND rows of the URLs with signals; tally those that are asked for, and those of known hosts."""
        high, low, out = rows["high"].to_numpy(), rows["low"].to_numpy(), np.zeros(rows.num_rows, np.int32)
        is_page = pc.equal(rows["kind"], PAGE).to_numpy(zero_copy_only=False)
        is_known = np.zeros(rows.num_rows, bool)
        order = np.lexsort((low, high))
        is_new = np.append(True, (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0))[: len(order)]
        for own in np.split(order, np.flatnonzero(is_new)[1:]):
            rules = self._rules_of((int(high[own[0]]), int(low[own[0]])))
            if rules is None:
                continue
            is_known[own] = True
            if not rules.is_silent:
                paths = rows["path"].take(pa.array(own)).dictionary_encode()
                each = [rules.signals(path) for path in paths.dictionary.to_pylist()]
                out[own] = np.array(each, np.int32)[paths.indices.to_numpy()]
        for kind, chosen in ((PAGE, is_page), (IMAGE, ~is_page)):
            self._tallies.add(f"{ASKED_FOR}{kind}", int(chosen.sum()))
            self._tallies.add(f"{KNOWN}{kind}", int((chosen & is_known).sum()))
        out <<= np.where(is_page, OF_PAGES, 0).astype(np.int32)
        columns = [rows["file"], rows["row"], pa.array(out)]
        return pa.RecordBatch.from_arrays(columns, schema=FOUND).filter(pa.array(out != 0))

    def _rules_of(self, host: tuple[int, int]) -> HostRules | None:
        if host not in self._files:
            return None
        rules = self._rules.pop(host, None)
        if rules is None:
            files = self._files[host]
            rules = HostRules({name: self._contents.of(file) for name, file in files.items()}, self._agents)
            self._size += rules.size
            if host not in self._asked:
                self._asked.add(host)
                for fault in (*rules.faults, *(fault for file in files.values() for fault in file.faults)):
                    self._tallies.add(f"{FAULT}{fault}")
        self._rules[host] = rules
        while self._size > RULES_BYTES and len(self._rules) > 1:
            oldest = next(iter(self._rules))
            self._size -= self._rules.pop(oldest).size
        return rules
