"""Matching, counting, balancing and sampling of image-text pairs."""

from curation.balancing import rates, tail_share, threshold
from curation.draws import draws
from curation.matcher import Matcher
from curation.sampling import keep_probability

__all__ = ["Matcher", "draws", "keep_probability", "rates", "tail_share", "threshold"]
