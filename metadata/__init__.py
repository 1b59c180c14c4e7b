"""The entries of each language that texts are matched against, and the build that makes them from their sources."""

from metadata.entries import Entries
from runtime.errors import InputError

__all__ = ["Entries", "InputError"]
