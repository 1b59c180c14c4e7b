"""Measure what the driver of a run holds of its metadata and of each input: `bench_driver.py METADATA [INPUTS]`.

The inputs, 20,000 by default, are files of one pair each; each has a stamp, as if a task had matched it.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from curation.config import CurationConfig
from curation.run.output_folder import Output
from curation.run.request import Options
from metadata.entries import Entries
from runtime.tallies import TaskResult
from tests.support.asked import request_of


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def report(what: str, before: int, number: int) -> int:
    """Print what has come to be held since a measurement, also for each of a number; return what is held now."""
    now = resident()
    print(f"{what}: {(now - before) / 1e6:.0f} MB, {(now - before) / number:,.0f} bytes each")
    return now


metadata, number = sys.argv[1], int((sys.argv[2:] or ["20000"])[0])
with tempfile.TemporaryDirectory() as work:
    folder = Path(work, "pairs")
    folder.mkdir()
    for file in range(number):
        (folder / f"{file:06}.csv").write_text(f"url,text\nhttp://example.org/{file}.jpg,a dog\n")
    held = resident()
    entries = Entries.open(metadata)
    held = report(f"{len(entries):,} entries", held, len(entries))
    request = request_of(CurationConfig(), [str(folder)], entries, Options())
    found = report(f"{number:,} inputs, found", held, number)
    with Output.claim(Path(work, "out"), request.made_from()) as output:
        claimed = report("claimed", found, number)
        stamps = output.ledger(request.files).stamps
        for each in request.files:
            stamps.write([each], TaskResult([{"name": "rows", "language": "en", "value": 1}]))
        ledger = output.ledger(request.files)
        report(f"in the ledger, {len(ledger.done):,} of them done", claimed, number)
        report("altogether", held, number)
