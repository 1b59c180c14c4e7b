"""The request of a run, without an output folder."""

from collections.abc import Sequence
from pathlib import Path

from curation.config import CurationConfig
from curation.run.request import FoundInputs, Options, Request
from metadata.entries import Entries
from runtime.progress import Progress


def request_of(config: CurationConfig, inputs: Sequence[str | Path], entries: Entries, options: Options) -> Request:
    """Return the request of a run over these inputs and entries."""
    found = FoundInputs.find(config, inputs, options.columns)
    return Request.find(config, found, entries, options, Progress())
