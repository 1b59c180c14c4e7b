"""The one exception by which all packages refuse input."""


class InputError(ValueError):
    """Something that came from outside cannot be used; the message says what came, what was expected, what to do."""
