"""Read inputs as curate's workers do, and weigh it: `python read_and_weigh.py FILE...`, on Linux only.

For each file a line of JSON gives the tallies, the seconds, and the megabytes that reading it took at most.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

from curation.config import MAX_TEXT_LENGTH
from curation.images.grouping import keyed, runs
from curation.inputs import files, limits
from runtime.errors import InputError
from runtime.tallies import TaskResult, written_name


def main(paths: list[str]) -> None:
    for path in paths:
        before = _status("VmRSS:")
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        begin = time.monotonic()
        tallies, refusal = read(path)
        used = {"seconds": time.monotonic() - begin, "megabytes": (_status("VmHWM:") - before) / 1024}
        print(json.dumps({"path": path, "tallies": tallies, "refusal": refusal, **used}), flush=True)


def read(path: str) -> tuple[dict, str | None]:
    tally, result = Counter(), TaskResult()
    try:
        (source,) = files.find([path])
        batches = limits.cut(files.read(source, tally=tally), MAX_TEXT_LENGTH, result)
        for _ in runs(map(keyed, batches)):
            pass
        limits.count_input("it", tally, result)
    except InputError as error:
        return {}, str(error)
    return {written_name((row["name"], row["item"])): row["value"] for row in result.rows()}, None


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main(sys.argv[1:])
