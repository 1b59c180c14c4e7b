"""Identify the language of each text with a fastText model."""

from curation.language.engines import Identifier, default_model

__all__ = ["Identifier", "default_model"]
