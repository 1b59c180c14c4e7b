"""Run the steps of a curation on DataFrames: match, count, compute thresholds, sample."""

from curation.dataframes.functions import (
    DIGEST,
    Balance,
    Folder,
    MatchOptions,
    count,
    dropped,
    match,
    sample,
    thresholds,
)

__all__ = ["DIGEST", "Balance", "Folder", "MatchOptions", "count", "dropped", "match", "sample", "thresholds"]
