"""Compute the sizes of a run: into how many buckets, tasks and blocks a number of pairs is cut."""

from __future__ import annotations

from curation.inputs.files import Input
from curation.inputs.formats import formats
from runtime.buckets import buckets_for

BUCKET_ROWS = 1 << 18  # pairs that are grouped together in memory: some 250 MB
MOST_BUCKETS = 1 << 13  # of a file of pairs, where a task could not hold enough rows for larger blocks
BLOCK_ROWS = 100  # rows of a block for which an input should be enough, else a task takes several
TASK_ROWS = 1 << 20  # pairs that a task groups, bucket after bucket
FEW_TASKS = 1 << 8  # up to so many take one bucket each, so that cores are not idle
TURNS = 4  # tasks a core behind matching, whose items take less than a second each


def pair_buckets(files: list[Input]) -> int:
    """Return the buckets for the files of pairs, judged by the size of all inputs; rather too many than too few."""
    return min(MOST_BUCKETS, 2 * buckets_for(sum(map(pairs_in, files)), BUCKET_ROWS))


def group_buckets(rows: float) -> tuple[int, int]:
    """Return into how many buckets this many pairs are grouped, and how many tasks take the buckets in turn.

    >>> group_buckets(1e6), group_buckets(5e7), group_buckets(1e9), group_buckets(1e11)
    ((4, 4), (256, 256), (4096, 1024), (524288, 8192))
    """
    number = buckets_for(rows, BUCKET_ROWS)
    tasks = max(min(number, FEW_TASKS), buckets_for(rows, TASK_ROWS))
    return number, min(tasks, MOST_BUCKETS)


def pairs_in(file: Input) -> float:
    """Return about how many pairs a file has, judged by its size."""
    return file.size / formats()[file.format].pair_bytes
