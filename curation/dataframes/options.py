"""Options of the DataFrame steps, and the fields of CurationConfig that only a run on files supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curation.config import CurationConfig
from curation.inputs.tables.columns import TableOptions
from runtime.errors import ParameterError, require_several, typed

Folder = str | Path
# Fields of CurationConfig that only a run can honour: any value but the default is refused.
NOT_HONOURED = {
    "target_size": "its threshold is searched for in several passes over the images",
    "sample_files": "a DataFrame has no files of inputs to choose from",
    "max_bad_files": "it is Spark that reads the files of a DataFrame",
    "max_bad_records": "it is Spark that reads the records of a DataFrame",
    "max_shared_uids": "the uids of a DataFrame are not compared",
    "rows_per_file": "whoever writes a DataFrame decides on its files",
    "row_group_rows": "whoever writes a DataFrame decides on its row groups",
}


@typed
@dataclass(frozen=True)
class MatchOptions:
    """The options of `match` besides pairs, metadata and numbers.

    columns: the columns that hold the pairs, where they are not recognised.
    kind_column: a column of kinds of text, such as alt or title; None: all are `text`, as in tables.
    unique_images: each row is an image of its own; nothing is brought together.
    exclude: files of lists of what must not be matched.
    model: a fastText language identification model; None: lid.176.ftz.
    artefacts: a folder or URL that all machines see; None: Spark ships what workers need.
    """

    columns: TableOptions = field(default_factory=TableOptions)
    kind_column: str | None = None
    unique_images: bool = False
    exclude: Sequence[str] = ()
    model: str | None = None
    artefacts: Folder | None = None

    def __post_init__(self) -> None:
        require_several("exclude", self.exclude)


def honoured(config: CurationConfig | None) -> CurationConfig:
    """Return the config, or the default of a run if None; refuse one that DataFrames cannot honour."""
    config = config or CurationConfig()
    for name, reason in NOT_HONOURED.items():
        if (value := getattr(config, name)) != getattr(CurationConfig, name):
            raise ParameterError(f"is {value}, and {reason}: leave it out, or use curation.curate", name)
    if "host" in config.witnesses:
        raise ParameterError(
            "has host, whose texts are counted in each file of inputs, and a DataFrame has none: leave it out, or use "
            "curation.curate",
            "witnesses",
        )
    return config
