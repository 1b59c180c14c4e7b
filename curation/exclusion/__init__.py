"""Exclude images by uid, URL, domain, page or pattern, as exclusion lists say."""

from curation.exclusion.exclusion import REASONS, Exclusion

__all__ = ["REASONS", "Exclusion"]
