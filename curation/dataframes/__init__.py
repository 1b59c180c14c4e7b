"""Run the steps of a curation on DataFrames: match, count, compute thresholds, sample."""

from curation.dataframes.functions import DIGEST, Balance, count, dropped, match, sample, thresholds
from curation.dataframes.options import Folder, MatchOptions

__all__ = ["DIGEST", "Balance", "Folder", "MatchOptions", "count", "dropped", "match", "sample", "thresholds"]
