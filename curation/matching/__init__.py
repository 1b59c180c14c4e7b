"""Match texts: find the entries of a text's own language in it."""

from curation.matching.by_language import Matching
from curation.matching.matcher import Matcher

__all__ = ["Matcher", "Matching"]
