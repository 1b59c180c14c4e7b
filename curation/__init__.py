"""Matching, counting, balancing and sampling of image-text pairs."""

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Thresholds, rates, rates_of, tail_share, threshold
from curation.matching import Matcher, Matching
from runtime.draws import draws

__all__ = [
    "EntryCounts",
    "Matcher",
    "Matching",
    "Thresholds",
    "draws",
    "keep_probability",
    "rates",
    "rates_of",
    "tail_share",
    "threshold",
]
