"""What texts are matched against: the entries of each language."""

from metadata.entries import Entries
from runtime.errors import InputError

__all__ = ["Entries", "InputError"]
