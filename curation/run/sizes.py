"""Compute the sizes of a run: into how many buckets, tasks and blocks a number of pairs is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from curation.inputs.files import Input
from curation.inputs.formats import formats
from runtime.buckets import FEWEST_ROWS, Packer, buckets_for

Item = TypeVar("Item")

BUCKET_ROWS = 1 << 18  # pairs that are grouped together in memory: some 250 MB
MOST_BUCKETS = 1 << 13  # that a task sends to, where it could not hold enough rows for larger blocks
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


def senders(items: Sequence[Item], rows: float, buckets: int) -> list[list[Item]]:
    """Return items with so many rows in all in lists, one for each task: with few rows, blocks of a bucket are small.

    >>> senders("abcdef", 1e6, 4), [len(files) for files in senders([""] * 4000, 1e9, 8192)][:2]
    ([['a'], ['b'], ['c'], ['d'], ['e'], ['f']], [34, 34])
    """
    tasks = max(1, int(rows / (FEWEST_ROWS * min(buckets, MOST_BUCKETS))))
    each = max(1, -(-len(items) // tasks))
    return [list(items[begin : begin + each]) for begin in range(0, len(items), each)]


def sending(buckets: int) -> Packer:
    """Return the packer of such a task. Who takes its blocks deals them out to all buckets, where these are more."""
    return Packer(min(buckets, MOST_BUCKETS))


def pairs_in(file: Input) -> float:
    """Return about how many pairs a file has, judged by its size."""
    return file.size / formats()[file.format].pair_bytes
