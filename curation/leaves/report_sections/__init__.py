"""Observers: measurements that a run adds to its report beside the algorithm."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-align", "curation.leaves.report_sections.alignment")
