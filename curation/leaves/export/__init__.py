"""Export a finished run to a new folder: in the formats of other programs, or without some of its images."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-export", "curation.leaves.export.clip_export")
removal_program = partial(start, "clip-remove", "curation.leaves.export.removal")
