"""The flag --min-language-score: one score for all languages, and others for single ones."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, Namespace
from typing import Any


class Scores(Action):
    """Stores a number under its own name, and those of `LANGUAGE=NUMBER` by language under its name with an s."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Refuse what is no number."""
        of_each: dict[str, float] = {}
        for value in values:
            code, equals, score = value.rpartition("=")
            try:
                number = float(score)
            except ValueError:
                raise ArgumentError(
                    self, f"expected a number, or a language and a number as da=0.6; got {value!r}"
                ) from None
            if equals:
                of_each[code] = number
            else:
                setattr(namespace, self.dest, number)
        setattr(namespace, f"{self.dest}s", of_each)
