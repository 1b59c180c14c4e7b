"""Measure what writing down a sample of the removed images costs: one task of the gate, processor time in µs an image.

    python tests/bench/bench_removed.py

The recommended rules and min_words:4, which removes a tenth, over a million images of bench_gate.py; in turns.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.plugins.gate.conditions.conditions import find
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.step import RemovedSample, StepFolder, StepTask
from runtime.storage.own_files import own_files

IMAGES, TURNS = 1_000_000, 2
SHARES = (None, 0.01, 1.0)


def main() -> None:
    """Print the time of each share in each turn."""
    from bench_gate import write_inputs

    options = GateOptions(policy=["recommended", "min_words:4"])
    filters, silent = find(options).filters(), options.rules.silent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, IMAGES)
        for part in ("gated", "gate_removed"):
            (folder / part).mkdir()
        [file] = own_files(folder / "matched", None, "")
        StepTask([file], StepFolder(folder / "gated"), filters).write_file(file)  # which compiles
        for turn in range(TURNS):
            for share in SHARES:
                sample = None
                if share is not None:
                    sample = RemovedSample(folder / "gate_removed", "conditions", share, 0, silent)
                begin = time.process_time()
                StepTask([file], StepFolder(folder / "gated", sample), filters).write_file(file)
                used = time.process_time() - begin
                print(f"turn {turn}, share {share}: {1e6 * used / IMAGES:.2f} µs an image", flush=True)


if __name__ == "__main__":
    main()
