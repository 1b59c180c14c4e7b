"""Read the first pairs of some inputs by the readers of a run, and estimate how many pairs all inputs hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from curation.inputs.files import Input, formats, listed
from curation.inputs.tables.columns import GIVEN, Glance, TableOptions
from curation.schemas import CANDIDATES
from runtime.storage.paths import in_threads

FILES = 6  # files of a group that are looked into
ROWS = 1_000  # pairs after which reading of a file stops; readers yield up to 8,192 at once


@dataclass(frozen=True)
class InputSample:
    """A group of inputs with the same format, dialect and given columns, and the first pairs of some inputs."""

    format: str
    dialect: str | None
    files: list[Input]
    columns: dict[str, list[str]]  # field → names of its columns in the files that were looked into
    rows: pa.Table  # CANDIDATES
    tally: Counter[str]  # of the files that were looked into; most tallies come at a file's end
    pairs: float  # estimated number of pairs in all of the files

    @property
    def size(self) -> int:
        """The compressed bytes of all files; typical bytes for files of unknown size."""
        return sum(each.size for each in self.files)


def samples(found: list[Input], options: TableOptions) -> list[InputSample]:
    """Return the groups of inputs, the largest first, each with the first pairs of up to FILES of its inputs."""
    groups: dict[tuple, list[Input]] = {}
    for file in found:
        names = (options.candidates(field, file.path) for field in GIVEN)
        groups.setdefault((file.format, file.dialect, *names), []).append(file)
    each = (_sample(files, options) for files in groups.values())
    return sorted(each, key=lambda sample: (-sample.size, sample.format))


def _sample(files: list[Input], options: TableOptions) -> InputSample:
    number = min(FILES, len(files))
    chosen = [files[place * len(files) // number] for place in range(number)]
    looks = [*in_threads(lambda file: _look(file, options), chosen, FILES)]
    columns: dict[str, list[str]] = {}
    for look in looks:
        for field, name in look.glance.columns.items():
            names = columns.setdefault(field, [])
            if name not in names:
                names.append(name)
    density = sum(look.pairs for look in looks) / max(1, sum(file.size for file in chosen))
    return InputSample(
        format=files[0].format,
        dialect=files[0].dialect,
        files=files,
        columns=columns,
        rows=pa.concat_tables(look.rows for look in looks),
        tally=sum((look.tally for look in looks), Counter()),
        pairs=density * sum(file.size for file in files),
    )


@dataclass(frozen=True)
class _Look:
    """The facts and the first pairs of one input; `pairs` is the estimated number of pairs in the input."""

    glance: Glance
    rows: pa.Table
    tally: Counter[str]
    pairs: float


def _look(source: Input, options: TableOptions) -> _Look:
    format, file = formats()[source.format], listed(source)
    with file.open(format.checking) as opened:
        glance = format.glance(opened, source.path, options)
    batches: list[pa.RecordBatch] = []
    tally, used = Counter[str](), source.size
    with file.open(format.reading) as opened:
        pieces = range(*source.row_groups) if source.row_groups else None
        for batch in format.read(opened, source.path, replace(options, dialect=source.dialect), pieces):
            is_more = sum(each.num_rows for each in batches) >= ROWS
            counted = batch.filter(batch["tally"].is_valid())
            tally.update(dict(zip(counted["text"].to_pylist(), counted["tally"].to_pylist(), strict=True)))
            batches.append(batch.filter(batch["tally"].is_null()))
            if is_more and batches[-1].num_rows:
                used = source.size if opened.closed else opened.tell()
                break
        else:
            glance = replace(glance, rows=None)
    rows = pa.Table.from_batches(batches, CANDIDATES)
    if glance.rows is None:  # or the whole input was read
        pairs = len(rows) * source.size / max(1, min(used, source.size))
    else:
        pairs = glance.rows * source.size / max(1, source.file_size or source.size)
    return _Look(glance, rows, tally, pairs)
