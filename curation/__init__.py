"""Matching, counting, balancing and sampling of image-text pairs."""

from curation.balancing.counts import EntryCounts
from curation.balancing.sampling import keep_probability
from curation.balancing.thresholds import Thresholds, rates, rates_of, tail_share, threshold
from curation.matching.by_language import Matching
from curation.matching.matcher import Matcher
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
