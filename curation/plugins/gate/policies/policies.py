"""Policies: rules, chosen by name, for which images and texts may be trained on.

RULES has all rules, the rows of rules.csv. Each has a name, a scope, and a phrase about the images or texts that it
removes. A rule about one image or one text makes a filter; the functions of such rules are in `image_rules`,
`text_rules`, `mending`, `personal_data` and `judge`. Rules about all images of a run are in `image_limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curation.licences import NAMES
from curation.plugins.gate.filters import Filter
from curation.plugins.gate.judge.judge import JudgedOutput, is_judged
from curation.plugins.gate.judge.reasons import reasons_of
from curation.plugins.gate.policies import image_rules, text_rules
from curation.plugins.gate.policies.mending import MENDS, is_credit, removes_none
from curation.plugins.gate.policies.personal_data import KINDS, has_personal_data
from curation.plugins.gate.policies.word_tables import rows_in
from runtime.errors import InputError
from runtime.messages import did_you_mean

RUN = "run"  # the scope of rules about all images of a run; other rules have the scope of their filter
RECOMMENDED = "recommended"  # the name that stands for all rules that the table recommends
PERSONAL_DATA = "personal_data"  # the name that stands for the rules of `personal_data`
OF_DOMAINS = "max_images_per_domain"  # the only rule that is its own step
LARGEST_NUMBER = 1_000_000_000

Number = int | str | None  # a rule's number, or its names joined by commas; None if it takes neither


@dataclass(frozen=True)
class PolicyRule:
    """A row of rules.csv: a rule that users name, from which `filter` makes a filter.

    `removes` says which images or texts the rule removes; in it, `N` stands for the rule's number, and `NAMES` for its
    names. `function` takes an ImageBatch and the rule's number or names; a rule without these passes its `kind`, if it
    has one. It returns a mask of the images or texts to remove. Texts that an `is_silent` rule would remove are never
    written to the sample of removed texts.
    """

    name: str
    scope: str
    removes: str
    function: Callable[..., np.ndarray] | None = None
    columns: Sequence[str] = ()
    numbers: tuple[int, int] | None = None  # the smallest and the largest number; None: it takes no number
    names: tuple[str, ...] = ()  # a rule takes some of these names, joined by commas, instead of a number
    recommended: bool | int = False  # If the rule takes a number, this is the recommended number.
    is_silent: bool = False
    kind: str | None = None  # the signal, or the kind of texts or data, that a general function looks for

    @property
    def form(self) -> str:
        """The rule as a user writes it, such as `html`, `min_words:N` or `license:NAMES`."""
        return f"{self.name}:{'NAMES' if self.names else 'N'}" if self.numbers or self.names else self.name

    def title(self, number: Number = None) -> str:
        """Return the rule as a user writes it with a number or with names."""
        return self.name if number is None else f"{self.name}:{number}"

    def removed(self, number: Number = None) -> str:
        """Return a phrase that says which images or texts the rule removes, with its number or names filled in.

        >>> RULES["min_stated_size"].removed(64)
        'images that a page shows with a side below 64 pixels'
        """
        return re.sub(r"\b(?:N|NAMES)\b", str(number), self.removes.partition("; ")[0])

    def filter(self, number: Number = None) -> Filter:
        """Return the filter of a rule about one image or one text."""
        if self.function is None:
            raise TypeError(f"{self.name} is about all images of a run, not about one batch")
        is_of_judge = self.function is is_judged
        return Filter(
            title=self.title(number),
            scope=self.scope,
            function=self.function,
            arguments=self._arguments(number),
            columns=self.columns,
            removes=self.removed(number),
            why=reasons_of if is_of_judge else None,
            is_silent=self.is_silent,
        )

    def _arguments(self, number: Number) -> dict[str, Any]:
        """Return the arguments of the function, given the rule's number or names."""
        if self.function is is_judged:
            return {"judged": JudgedOutput(self.name, int(number or 0))}
        if number is not None:
            return {"names" if self.names else "number": number}
        return {"kind": self.kind} if self.kind else {}


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "has_few_words": text_rules.has_few_words,
    "has_other_licence": image_rules.has_other_licence,
    "has_personal_data": has_personal_data,
    "has_signal": image_rules.has_signal,
    "has_url_word": image_rules.has_url_word,
    "is_credit": is_credit,
    "is_generic": text_rules.is_generic,
    "is_judged": is_judged,
    "is_logo_text": text_rules.is_logo_text,
    "is_of_kind": text_rules.is_of_kind,
    "is_stated_small": image_rules.is_stated_small,
    "removes_none": removes_none,
}


def _rule(row: Mapping[str, str]) -> PolicyRule:
    """Return the rule of a row of rules.csv."""
    stated = row["recommended"]
    return PolicyRule(
        name=row["name"],
        scope=row["scope"],
        removes=row["removes"],
        function=FUNCTIONS.get(row["function"]),
        columns=row["columns"].split(),
        numbers=(int(row["least"]), int(row["most"])) if row["least"] else None,
        names=NAMES if row["function"] == "has_other_licence" else (),
        recommended=int(stated) if stated.isdigit() else bool(stated),
        is_silent=bool(row["silent"]),
        kind=row["kind"] or None,
    )


RULES = {row["name"]: _rule(row) for row in rows_in("rules.csv")}


@dataclass(frozen=True)
class Policy:
    """The chosen rules of a run, in the order of RULES, each with its number or names."""

    numbers: Mapping[str, Number] = field(default_factory=dict)

    @classmethod
    def parse(cls, names: Sequence[str]) -> Policy:
        """Return the policy of names such as `recommended` and `min_words:3`, in whatever order they come.

        A number in a name overrides the recommended number.

        >>> Policy.parse(["max_images_per_text:10", "noai"]).names
        ('noai', 'max_images_per_text:10')
        """
        numbers: dict[str, Number] = {}
        for text in names:
            if text not in (RECOMMENDED, PERSONAL_DATA):
                name, number = _chosen(text)
                if numbers.setdefault(name, number) != number:
                    raise InputError(f"the rule {name} is passed twice, with different numbers; pass one")
        if RECOMMENDED in names:
            for rule in RULES.values():
                if rule.recommended:
                    numbers.setdefault(rule.name, rule.recommended if rule.numbers else None)
        if PERSONAL_DATA in names:
            for kind in KINDS:
                numbers.setdefault(kind, None)
        return cls({name: numbers[name] for name in RULES if name in numbers})

    @property
    def names(self) -> tuple[str, ...]:
        """The rules as users write them and `parse` takes them, such as `min_words:3`."""
        return tuple(RULES[name].title(number) for name, number in self.numbers.items())

    @property
    def of_single(self) -> tuple[str, ...]:
        """The rules, as users write them, of the step `conditions`: all but OF_DOMAINS, which has its own step."""
        return tuple(RULES[name].title(number) for name, number in self.numbers.items() if name != OF_DOMAINS)

    def filters(self, scope: str) -> list[Filter]:
        """Return the filters of the rules about one image, or of the rules about one text."""
        return [RULES[name].filter(number) for name, number in self.numbers.items() if RULES[name].scope == scope]

    @property
    def silent(self) -> list[Filter]:
        """The filters whose removed texts are never written down."""
        return [RULES[name].filter(number) for name, number in self.numbers.items() if RULES[name].is_silent]

    @property
    def mends(self) -> tuple[str, ...]:
        """The names of the rules that fix texts before filters see them."""
        return tuple(name for name in self.numbers if name in MENDS)

    def number_of(self, name: str) -> int | None:
        """Return the number of the rule `name`; None if the policy lacks the rule, or the rule has no number."""
        number = self.numbers.get(name)
        return int(number) if number else None

    def __bool__(self) -> bool:
        return bool(self.numbers)


def _chosen(text: str) -> tuple[str, Number]:
    """Return the name and the number of the rule that a text such as `min_words:3` states.

    InputError for an unknown rule or an invalid number.
    """
    name, colon, number = text.partition(":")
    if name not in RULES:
        listing = f"the rules are {', '.join([RECOMMENDED, PERSONAL_DATA, *(rule.form for rule in RULES.values())])}"
        near = did_you_mean(name, [RECOMMENDED, PERSONAL_DATA, *RULES], listing)
        raise InputError(f"{text!r} is not a rule; {near}")
    rule = RULES[name]
    if rule.names:
        return name, _names_in(text, rule, number.split(","))
    if rule.numbers is None:
        if colon:
            raise InputError(f"{text!r}: the rule {name} takes no number; write {name}")
        return name, None
    least, most = rule.numbers
    is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(LARGEST_NUMBER))
    if not is_number or not least <= int(number) <= most:
        example = rule.title(rule.recommended or 100)
        raise InputError(f"{text!r}: the rule {name} takes a number from {least} to {most}, such as {example}")
    return name, int(number)


def _names_in(text: str, rule: PolicyRule, asked: Sequence[str]) -> str:
    """Return the names that a user passes to a rule, once and in the rule's order; InputError for unknown names."""
    unknown = [name for name in asked if name not in rule.names]
    if unknown:
        near = did_you_mean(unknown[0], rule.names, f"got {unknown[0]!r}")
        raise InputError(f"{text!r}: the rule {rule.name} takes one or more of {','.join(rule.names)}; {near}")
    return ",".join(name for name in rule.names if name in asked)
