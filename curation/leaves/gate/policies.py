"""Policies: rules, chosen by name, for which images and texts may be trained on.

RULES has all rules. `rules`, `mending` and `personal_data` define the rules about one image or one text and check them
in tasks. The rules about all images of a run need an exchange: `limits` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from curation.leaves.gate import mending, personal_data, rules
from curation.leaves.gate.rule import RUN, Rule
from runtime.errors import InputError, did_you_mean

RECOMMENDED = "recommended"  # stands for the rules that the table recommends
PERSONAL_DATA = "personal_data"  # stands for the rules of `personal_data`
OF_DOMAINS = "max_images_per_domain"  # the only rule with a step of its own
_MOST = 1_000_000_000
_OF_RUN = (
    Rule("max_images_per_text", RUN, "texts that more than N images have", numbers=(1, _MOST)),
    Rule(OF_DOMAINS, RUN, "images of a registered domain beyond N, by draw", numbers=(1, _MOST)),
)
_ROWS = (*rules.ROWS, *mending.ROWS, *personal_data.ROWS, *_OF_RUN)
RULES = {rule.name: rule for rule in _ROWS}


@dataclass(frozen=True)
class ChosenRule:
    """A rule of a policy with the number or the names that were given; None if the rule takes neither."""

    rule: Rule
    number: int | str | None = None

    def __str__(self) -> str:
        return self.rule.name if self.number is None else f"{self.rule.name}:{self.number}"

    @property
    def removes(self) -> str:
        """Which images or texts the rule removes, with its number.

        >>> Policy.parse(["min_stated_size:64"]).rules[0].removes
        'images that a page shows with a side below 64 pixels (of thumbnails in its contents, the longer side)'
        """
        return re.sub(r"\b(?:N|NAMES)\b", str(self.number), self.rule.removes.partition("; ")[0])

    @property
    def fails(self) -> Callable[..., np.ndarray]:
        """The rule's check with its number: a function of a batch or, over TEXTS, of texts, images and a batch."""
        if self.rule.check is None:
            raise TypeError(f"{self.rule.name} is about all images of a run, not about one batch")
        return self.rule.check if self.number is None else partial(self.rule.check, number=self.number)


@dataclass(frozen=True)
class Policy:
    """The chosen rules of a run, in the order of RULES."""

    rules: tuple[ChosenRule, ...] = ()

    @classmethod
    def parse(cls, names: Sequence[str]) -> Policy:
        """Return the policy of names such as `recommended` and `min_words:3`, in whatever order they come.

        A number that is given counts instead of the recommended one.

        >>> Policy.parse(["max_images_per_text:10", "noai"]).names
        ('noai', 'max_images_per_text:10')
        """
        given: dict[str, int | str | None] = {}
        for name in names:
            if name not in (RECOMMENDED, PERSONAL_DATA):
                chosen = _chosen(name)
                if given.setdefault(chosen.rule.name, chosen.number) != chosen.number:
                    raise InputError(f"the rule {chosen.rule.name} is given twice, with different numbers; give one")
        if RECOMMENDED in names:
            wanted = [rule for rule in _ROWS if rule.recommended]
            given = {**{rule.name: rule.recommended if rule.numbers else None for rule in wanted}, **given}
        if PERSONAL_DATA in names:
            given |= {rule.name: None for rule in personal_data.ROWS}
        return cls(tuple(ChosenRule(rule, given[rule.name]) for rule in _ROWS if rule.name in given))

    @property
    def names(self) -> tuple[str, ...]:
        """The rules as texts that `parse` takes, such as `min_words:3`."""
        return tuple(map(str, self.rules))

    def over(self, scope: str) -> tuple[ChosenRule, ...]:
        """Return the rules over IMAGES, over TEXTS, or over the whole RUN."""
        return tuple(chosen for chosen in self.rules if chosen.rule.scope == scope)

    @property
    def of_single(self) -> tuple[ChosenRule, ...]:
        """The rules that the step `conditions` checks: all but OF_DOMAINS, which has a step of its own."""
        return tuple(chosen for chosen in self.rules if chosen.rule.name != OF_DOMAINS)

    @property
    def silent(self) -> tuple[ChosenRule, ...]:
        """The rules whose removed texts are never written down."""
        return tuple(chosen for chosen in self.rules if chosen.rule.is_silent)

    @property
    def mends(self) -> tuple[str, ...]:
        """The names of the rules that mend texts before they are checked."""
        return tuple(chosen.rule.name for chosen in self.rules if chosen.rule.name in mending.MENDS)

    def number_of(self, name: str) -> int | None:
        """Return the number of the rule `name`; None if the policy does not have it, or it has none."""
        return next((int(chosen.number) for chosen in self.rules if chosen.rule.name == name and chosen.number), None)

    def __bool__(self) -> bool:
        return bool(self.rules)


def _chosen(given: str) -> ChosenRule:
    """Return the rule that a text such as `min_words:3` names; InputError for an unknown rule or an invalid number."""
    name, colon, number = given.partition(":")
    if name not in RULES:
        known = f"the rules are {', '.join([RECOMMENDED, PERSONAL_DATA, *(rule.form for rule in _ROWS)])}"
        raise InputError(f"{given!r} is no rule; {did_you_mean(name, [RECOMMENDED, PERSONAL_DATA, *RULES], known)}")
    rule = RULES[name]
    if rule.names:
        asked = number.split(",")
        if unknown := [each for each in asked if each not in rule.names]:
            near = did_you_mean(unknown[0], rule.names, f"got {unknown[0]!r}")
            raise InputError(f"{given!r}: the rule {name} takes some of {','.join(rule.names)}; {near}")
        return ChosenRule(rule, ",".join(each for each in rule.names if each in asked))
    if rule.numbers is None:
        if colon:
            raise InputError(f"{given!r}: the rule {name} takes no number")
        return ChosenRule(rule)
    least, most = rule.numbers
    is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(_MOST))
    if not is_number or not least <= int(number) <= most:
        example = ChosenRule(rule, rule.recommended or 100)
        raise InputError(f"{given!r}: the rule {name} takes a number from {least} to {most}, such as {example}")
    return ChosenRule(rule, int(number))
