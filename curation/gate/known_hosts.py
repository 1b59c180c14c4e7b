"""Answer which signals URLs have, by the files of their hosts, in the task where both meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.rows import PLACE
from curation.gate.host_rules import HostRules
from runtime.tallies import Tallies

IMAGE, PAGE = "image", "page"  # the kind of URL that a row asks for
OF_PAGES = 16  # bits by which the signals of pages are shifted in FOUND
ASKED_FOR, KNOWN, FAULT = "asked.", "known.", "fault."  # before names of tallies
# A file of a host, of which `file` and what follows are null, or a URL of an image, of which `name` and what follows.
ASKED = pa.schema(
    [
        pa.field("high", pa.uint64()),
        pa.field("low", pa.uint64()),
        pa.field("name", pa.string()),
        pa.field("date", pa.int64()),
        pa.field("content", pa.binary()),
        *PLACE,
        pa.field("kind", pa.string()),
        pa.field("path", pa.string()),
    ]
)
FOUND = pa.schema([*PLACE, pa.field("signals", pa.int32())])


class KnownHosts:
    """The files of some hosts, the newest of each name, which are parsed once they are asked for."""

    def __init__(self, agents: Sequence[str], tallies: Tallies):
        self._agents, self._tallies = agents, tallies
        self._files: dict[tuple[int, int], dict[str, tuple[int, bytes]]] = {}
        self._rules: dict[tuple[int, int], HostRules] = {}

    def learn(self, rows: pa.RecordBatch) -> None:
        """Take in files: of several the newest counts, and of equally new ones the greatest in the order of bytes."""
        columns = (rows[name].to_pylist() for name in ("high", "low", "name", "date", "content"))
        for high, low, name, *dated in zip(*columns, strict=True):
            held = self._files.setdefault((high, low), {})
            held[name] = max(held.get(name, (-1, b"")), (dated[0], dated[1]))

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
        if host not in self._rules and host in self._files:
            files = {name: content for name, (_, content) in self._files.pop(host).items()}
            rules = self._rules[host] = HostRules(files, self._agents)
            for fault in rules.faults:
                self._tallies.add(f"{FAULT}{fault}")
        return self._rules.get(host)
