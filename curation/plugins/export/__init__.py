"""Export a finished run to a new folder: in the formats of other programs, or without some of its images."""

from runtime.start import Program

program = Program("clip-export", "curation.plugins.export.clip_export")
removal_program = Program("clip-remove", "curation.plugins.export.removal")
