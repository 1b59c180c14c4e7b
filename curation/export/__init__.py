"""Export a finished run to a new folder: in the formats of other programs, or without some of its images."""
