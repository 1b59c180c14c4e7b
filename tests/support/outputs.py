"""Output folders in the states in which runs leave them."""

from dataclasses import asdict
from pathlib import Path
from zlib import crc32

from curation.run.output_folder import Output
from runtime.folders.stamps import Input
from runtime.tallies import TaskResult

A, B, C = (Input(f"/data/{name}.parquet", "parquet", 10, modified=1) for name in ("a", "ü犬", "c"))
A_CHANGED = Input(A.path, "parquet", 11, modified=2)
DESCRIPTION = {
    "rules": "unicode",
    "exclusion": None,
    "row_groups": (0, 3),
}  # a tuple: what was read is compared with what JSON gives
TALLIES = TaskResult([{"name": "images", "item": None, "language": None, "value": 7}])


def description(*inputs: Input) -> dict:
    return DESCRIPTION | {"inputs": [asdict(each) for each in inputs]}


def claimed(path: Path, *inputs: Input, overwrite: bool = False, **other) -> Output:
    """Return an output as a run leaves it whose process has ended."""
    output = Output.claim(path, description(*(inputs or [A])) | other, overwrite)
    output.release()
    return output


def with_matched(path: Path, *inputs: Input) -> Output:
    """Return an output whose matched images are whole."""
    output = claimed(path, *inputs)
    (output.parts.begin("matched") / "00000.parquet").write_text("rows")
    output.finish_matched(TALLIES)
    return output


def with_inputs_done(path: Path, *inputs: Input, unique: bool = False) -> Output:
    """Return an output in which these inputs have been read and matched, one in each task."""
    output = claimed(path, *inputs)
    ledger = output.ledger(list(inputs), unique)
    for task in ledger.tasks(100):
        path = ledger.stamps.folder / f"{ledger.stamps.name_of(task)}.parquet"
        path.write_text("rows")
        ledger.stamps.write(task, TaskResult(TALLIES.rows(), {path.name: f"{crc32(b'rows'):08x}"}))
    return output


def finish_unique(path: Path, *inputs: Input) -> Output:
    """Return an output whose matched images, each of which is stated once, are whole."""
    output = with_inputs_done(path, *inputs, unique=True)
    ledger = output.ledger([*inputs], unique_images=True)
    output.finish_matched(TaskResult(TALLIES.rows(), ledger.sums.files), ledger)
    return output
