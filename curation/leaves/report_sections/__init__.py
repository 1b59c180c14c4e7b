"""Observers: measurements that a run adds to its report beside the algorithm."""

from runtime.programs import Program

program = Program("clip-align", "curation.leaves.report_sections.alignment")
