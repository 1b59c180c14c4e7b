"""The exceptions of all packages: input that cannot be used."""

from __future__ import annotations

from collections.abc import Callable


class InputError(ValueError):
    """Something that came from outside cannot be used; the message says what came, what was expected, what to do."""


class ParameterError(InputError):
    """Named parameters have values that cannot be used; a command line says their flags instead of their names.

    >>> error = ParameterError("is 0; it must be at least 1", "english_threshold")
    >>> str(error), error.spelled(str.upper)
    ('english_threshold is 0; it must be at least 1', 'ENGLISH_THRESHOLD is 0; it must be at least 1')
    """

    def __init__(self, fault: str, *names: str):
        super().__init__(fault, *names)  # all arguments: an exception is pickled with them
        self.fault, self.names = fault, names

    def __str__(self) -> str:
        return self.spelled(str)

    def spelled(self, spell: Callable[[str], str]) -> str:
        """Return the message with each name as `spell` spells it."""
        return f"{' and '.join(map(spell, self.names))} {self.fault}"
