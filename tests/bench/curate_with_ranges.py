"""Run `curate` with another number of buckets than it would choose: `curate_with_ranges.py BUCKETS TASKS ARGUMENT…`."""

import sys

from curation.commands.clip_curate import main
from curation.images import grouping
from curation.run import steps

if __name__ == "__main__":
    buckets, partitions = int(sys.argv.pop(1)), int(sys.argv.pop(1))
    steps.pair_buckets = lambda files: buckets
    grouping.group_buckets = lambda rows: (buckets, partitions)
    main()
