"""Matching, counting, balancing and sampling of image-text pairs."""

from curation.balancing import Thresholds, rates, rates_of, tail_share, threshold
from curation.counting import EntryCounts
from curation.draws import draws
from curation.matcher import Matcher
from curation.matching import Matching
from curation.sampling import keep_probability

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
