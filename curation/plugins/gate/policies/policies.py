"""Policies: rules, chosen by name, for which images and texts may be trained on.

RULES has all rules, the rows of rules.csv, each with its name, its scope and what it removes. What a rule about one
image or one text checks is in `image_rules`, `text_rules`, `mending` and `personal_data`; rules about all images of a
run are in `image_limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.licences import NAMES
from curation.plugins.gate.judge import judge
from curation.plugins.gate.policies import image_rules, text_rules
from curation.plugins.gate.policies.mending import MENDS, is_credit, removes_none
from curation.plugins.gate.policies.personal_data import KINDS, has_personal_data
from curation.plugins.gate.policies.word_tables import rows_in
from runtime.errors import InputError
from runtime.messages import did_you_mean

IMAGES, TEXTS, RUN = "images", "texts", "run"  # scopes of rules
RECOMMENDED = "recommended"  # stands for the rules that the table recommends
PERSONAL_DATA = "personal_data"  # stands for the rules of `personal_data`
OF_DOMAINS = "max_images_per_domain"  # the only rule with a step of its own
_MOST = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """A rule of a policy: `removes` says what the rule removes, where `N` stands for its number, `NAMES` for its names.

    `check` of a rule over IMAGES takes a MATCHED batch, and returns a mask, bool[image], of the images to remove.
    `check` of a rule over TEXTS takes the structs of texts, the row of each text's image and the batch; it returns a
    mask, bool[text], of the texts to remove. Its last argument is the rule's number or names or, if it takes none,
    `signal`, if there is one. What an `is_silent` rule would remove is never written down.
    """

    name: str
    scope: str
    removes: str
    check: Callable[..., np.ndarray] | None = None
    numbers: tuple[int, int] | None = None  # the smallest and the largest number; None: it takes no number
    names: tuple[str, ...] = ()  # those of which it takes some instead of a number, with commas between
    recommended: bool | int = False  # for a rule with a number, the number that is recommended
    is_silent: bool = False
    signal: str | None = None  # the signal of images, or the kind of texts, for which a general `check` looks

    @property
    def form(self) -> str:
        """The rule as a user writes it, such as `html`, `min_words:N` or `license:NAMES`."""
        return f"{self.name}:{'NAMES' if self.names else 'N'}" if self.numbers or self.names else self.name


_CHECKS: dict[str, Callable[..., np.ndarray]] = {
    check.__name__: check
    for check in (
        *(image_rules.has_signal, image_rules.has_url_word, image_rules.has_other_licence, image_rules.is_stated_small),
        *(text_rules.has_few_words, text_rules.is_of_kind, text_rules.is_generic, text_rules.is_logo_text),
        *(judge.is_junk, judge.is_headline, is_credit, removes_none, has_personal_data),
    )
}


def _rule(row: Mapping[str, str]) -> Rule:
    """Return the rule of a row of rules.csv."""
    numbers = (int(row["least"]), int(row["most"])) if row["least"] else None
    names = NAMES if row["check"] == "has_other_licence" else ()
    recommended = int(row["recommended"]) if row["recommended"].isdigit() else bool(row["recommended"])
    check, is_silent, signal = _CHECKS.get(row["check"]), bool(row["silent"]), row["signal"] or None
    return Rule(row["name"], row["scope"], row["removes"], check, numbers, names, recommended, is_silent, signal)


_ROWS = tuple(map(_rule, rows_in("rules.csv")))
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
        'images that a page shows with a side below 64 pixels'
        """
        return re.sub(r"\b(?:N|NAMES)\b", str(self.number), self.rule.removes.partition("; ")[0])

    def fails(self, *rows: pa.StructArray | pa.RecordBatch | np.ndarray) -> np.ndarray:
        """Return what the rule removes, a mask; `rows` are a batch or, over TEXTS, texts, images and a batch."""
        if self.rule.check is None:
            raise TypeError(f"{self.rule.name} is about all images of a run, not about one batch")
        argument = self.rule.signal if self.number is None else self.number
        return self.rule.check(*rows) if argument is None else self.rule.check(*rows, argument)

    def fails_texts(self, texts: pa.StructArray, images: np.ndarray, batch: pa.RecordBatch) -> np.ndarray:
        """Return bool[text]: whether the rule removes the text, or its image."""
        return self.fails(batch)[images] if self.rule.scope == IMAGES else self.fails(texts, images, batch)


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
        numbers: dict[str, int | str | None] = {}
        for name in names:
            if name not in (RECOMMENDED, PERSONAL_DATA):
                chosen = _chosen(name)
                if numbers.setdefault(chosen.rule.name, chosen.number) != chosen.number:
                    raise InputError(f"the rule {chosen.rule.name} is given twice, with different numbers; give one")
        if RECOMMENDED in names:
            wanted = [rule for rule in _ROWS if rule.recommended]
            numbers = {**{rule.name: rule.recommended if rule.numbers else None for rule in wanted}, **numbers}
        if PERSONAL_DATA in names:
            numbers |= dict.fromkeys(KINDS)
        return cls(tuple(ChosenRule(rule, numbers[rule.name]) for rule in _ROWS if rule.name in numbers))

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
        return tuple(chosen.rule.name for chosen in self.rules if chosen.rule.name in MENDS)

    def number_of(self, name: str) -> int | None:
        """Return the number of the rule `name`; None if the policy does not have it, or it has none."""
        return next((int(chosen.number) for chosen in self.rules if chosen.rule.name == name and chosen.number), None)

    def __bool__(self) -> bool:
        return bool(self.rules)


def _chosen(text: str) -> ChosenRule:
    """Return the rule that a text such as `min_words:3` names; InputError for an unknown rule or an invalid number."""
    name, colon, number = text.partition(":")
    if name not in RULES:
        listing = f"the rules are {', '.join([RECOMMENDED, PERSONAL_DATA, *(rule.form for rule in _ROWS)])}"
        raise InputError(f"{text!r} is no rule; {did_you_mean(name, [RECOMMENDED, PERSONAL_DATA, *RULES], listing)}")
    rule = RULES[name]
    if rule.names:
        asked = number.split(",")
        if unknown := [option for option in asked if option not in rule.names]:
            near = did_you_mean(unknown[0], rule.names, f"got {unknown[0]!r}")
            raise InputError(f"{text!r}: the rule {name} takes some of {','.join(rule.names)}; {near}")
        return ChosenRule(rule, ",".join(option for option in rule.names if option in asked))
    if rule.numbers is None:
        if colon:
            raise InputError(f"{text!r}: the rule {name} takes no number")
        return ChosenRule(rule)
    least, most = rule.numbers
    is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(_MOST))
    if not is_number or not least <= int(number) <= most:
        example = ChosenRule(rule, rule.recommended or 100)
        raise InputError(f"{text!r}: the rule {name} takes a number from {least} to {most}, such as {example}")
    return ChosenRule(rule, int(number))
