"""What Spark tells of a failure, as one sentence for a person."""

from __future__ import annotations

import re

AGAIN = "run the same command again to go on"
BROKEN_OFF = f"Spark has ended, or its master has; {AGAIN}"
_MEMORY = "mostly memory ran out: give executors more of it or fewer cores (docs/cluster.md)"
_TASK = r"failed (?P<times>\d+) times?, most recent failure: Lost task [^(]*\(TID \d+\) \((?P<host>\S+) \S+ \S+\): "
_KNOWN = [
    (r"FullDisk: (?P<told>[^\n]*)", "{told}"),
    (r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
     "{module} is not installed in the Python of the workers; docs/cluster.md says how to bring it there"),
    (r'Cannot run program "(?P<python>[^"]+)"',
     "workers cannot run {python}; name the Python of their machines in PYSPARK_PYTHON"),
    (r"(No space left on device|Disk quota exceeded)",
     f"a disk is full: make room in the output folder or on the disks of workers (spark.local.dir), and {AGAIN}"),
    (_TASK + r"ExecutorLostFailure \(.*?\) Reason: (?P<reason>[^\n]*)",
     f"one task was lost with its executor {{times}} times, at last on {{host}} ({{reason}}); {_MEMORY}, and {AGAIN}"),
    (_TASK + r"[^\n]*Python worker exited unexpectedly",
     f"a Python worker was killed {{times}} times in one task, at last on {{host}}; {_MEMORY}, and {AGAIN}"),
    (r"(SparkContext was shut down|All masters are unresponsive|Master removed our application)", BROKEN_OFF),
]  # fmt: skip


def told(text: str) -> tuple[str, int]:
    """Return the sentence for an error that Spark raised, and the status: 2 for bad input, 1 for what failed."""
    lines = [line.strip() for line in text.splitlines()]
    refused = [line.partition("InputError: ")[2] for line in lines if "InputError: " in line]
    if refused:
        return refused[0], 2
    for pattern, sentence in _KNOWN:
        found = re.search(pattern, text)
        if found:
            return sentence.format(**found.groupdict()), 1
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    reasons = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    return f"Spark failed: {['for no reason', *lines[:1], *reasons, *errors][-1]}", 1
