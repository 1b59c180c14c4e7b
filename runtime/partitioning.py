"""Choose numbers of buckets, of tasks, and of files that a task reads, by the number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from runtime.buckets import FEWEST_ROWS, buckets_for

Item = TypeVar("Item")
BUCKET_ROWS = 1 << 18  # pairs of a bucket, grouped in memory: some 250 MB
MOST_BUCKETS = 1 << 13  # buckets a task sends to: with more, its blocks would be too small
BLOCK_ROWS = 100  # rows each block should have; a task takes several inputs if one has too few
TASK_ROWS = 1 << 20  # pairs that a task groups, one bucket after another
FEW_TASKS = 1 << 8  # up to this number of tasks, each takes one bucket, so that no core is idle
TURNS = 4  # tasks per core in the steps after matching, whose items take under a second


def group_buckets(rows: float) -> tuple[int, int]:
    """Return the number of buckets that `rows` pairs are grouped in, and the number of tasks for these buckets.

    >>> group_buckets(1e6), group_buckets(5e7), group_buckets(1e9), group_buckets(1e11)
    ((4, 4), (256, 256), (4096, 1024), (524288, 8192))
    """
    number = buckets_for(rows, BUCKET_ROWS)
    tasks = max(min(number, FEW_TASKS), buckets_for(rows, TASK_ROWS))
    return number, min(tasks, MOST_BUCKETS)


def items_by_task(items: Sequence[Item], rows: float, buckets: int) -> list[list[Item]]:
    """Return the items split into one list for each task.

    `rows` is the number of rows in all items. The fewer rows there are, the more items a task takes, so that the block
    that it sends to each of the `buckets` is not too small.

    >>> items_by_task("abcdef", 1e6, 4), [len(files) for files in items_by_task([""] * 4000, 1e9, 8192)][:2]
    ([['a'], ['b'], ['c'], ['d'], ['e'], ['f']], [34, 34])
    """
    tasks = max(1, int(rows / (FEWEST_ROWS * min(buckets, MOST_BUCKETS))))
    per_task = max(1, -(-len(items) // tasks))
    return [list(items[begin : begin + per_task]) for begin in range(0, len(items), per_task)]
