"""Exclude images by uid, URL, domain, page or pattern, as lists say."""

from curation.exclusion.exclusion import REASONS, Exclusion

__all__ = ["REASONS", "Exclusion"]
