"""Run `curate` with another number of buckets than it would choose: `curate_with_ranges.py BUCKETS TASKS ARGUMENT…`."""

import sys

from curation import stages
from curation.commands.curate import main

if __name__ == "__main__":
    buckets, tasks = int(sys.argv.pop(1)), int(sys.argv.pop(1))
    stages.pair_buckets = lambda files: buckets
    stages.group_buckets = lambda rows: (buckets, tasks)
    main()
