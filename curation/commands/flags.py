"""Flags that several commands share."""

from argparse import ArgumentError, Namespace, _ActionsContainer
from typing import Any

from curation.config import WITNESSES, CurationConfig
from runtime.arguments import Stored, add_flags, helps

NOBODY = "none"  # This value of --witnesses selects no witness.


def add_exclude(group: _ActionsContainer, **options: Any) -> None:
    """Add the flag --exclude, which clip-curate and clip-remove share."""
    add_flags(group, helps(__package__, "exclude"), nargs="+", **options)


def add_language_rules(group: _ActionsContainer) -> None:
    """Add the flags that decide when a text counts as written in the language of its label."""
    add_flags(group, helps(__package__, "scores"), action=_Scores, nargs="+")
    choices = (*WITNESSES, NOBODY)
    usual = CurationConfig.witnesses
    told = {flag: help.format(usual=" ".join(usual)) for flag, help in helps(__package__, "witnesses").items()}
    add_flags(group, told, action=_Witnesses, nargs="+", choices=choices, default=usual)


class _Witnesses(Stored):
    """Stores the names of witnesses as a list, which is empty if only `none` is given."""

    def store(self, parser: Any, namespace: Namespace, values: Any) -> None:
        """Store the names; ArgumentError if `none` is given together with witnesses."""
        if NOBODY in values and {*values} != {NOBODY}:
            raise ArgumentError(
                self, f"{NOBODY} cannot be combined with witnesses; got {' '.join(values)}, so leave out one of them"
            )
        setattr(namespace, self.dest, [name for name in values if name != NOBODY])


class _Scores(Stored):
    """Stores a NUMBER under the flag's name, and each LANGUAGE=NUMBER in a dictionary under that name plus `s`."""

    def store(self, parser: Any, namespace: Namespace, values: Any) -> None:
        """Store the scores; ArgumentError if a score is not a number, or if a language has two different scores.

        Two different scores without a language also raise an ArgumentError.
        """
        scores: dict[str | None, float] = {}
        for value in values:
            code, equals, score = value.rpartition("=")
            try:
                number = float(score)
            except ValueError:
                raise ArgumentError(
                    self, f"expected a number, or a language and a number, such as da=0.6; got {value!r}"
                ) from None
            if scores.setdefault(code if equals else None, number) != number:
                raise ArgumentError(self, f"there are two numbers for {code or 'all languages'}; keep one of them")
        setattr(namespace, self.dest, scores.pop(None, parser.get_default(self.dest)))
        setattr(namespace, f"{self.dest}s", scores)
