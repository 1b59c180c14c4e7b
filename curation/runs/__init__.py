"""The output folder of a run: claimed by one process, gone on with, finished, and read back as Results."""

from curation.runs.overlap import overlap
from curation.runs.results import Results

__all__ = ["Results", "overlap"]
