"""Observers: measurements that a run adds to its report beside the algorithm."""

from runtime.start import Program

program = Program("clip-align", "curation.plugins.report_sections.alignment")
