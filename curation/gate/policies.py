"""Policies: rules, chosen by name, for which images and texts may be trained on.

RULES is the table of all rules. What a rule looks at is in `image_rules` and `text_rules`; rules about all images of a
run together have no check here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from curation.gate import image_rules, text_rules
from curation.inputs.crawl.page_signals import DATA_NOAI, TDM_RESERVATION
from runtime.errors import InputError

RECOMMENDED = "recommended"  # stands for the rules that the table recommends
IMAGES, TEXTS, RUN = "images", "texts", "run"
_MOST = 1_000_000_000


@dataclass(frozen=True)
class Rule:
    """A row of the table: what a rule removes, `N` being its number.

    `check` of a rule over IMAGES gets a MATCHED batch, and returns which images it removes. Of one over TEXTS it gets
    their structs, the row of each one's image and the batch, and returns which texts it removes.
    """

    name: str
    scope: str
    removes: str
    check: Callable[..., np.ndarray] | None = None
    numbers: tuple[int, int] | None = None  # the least and the most; None: it takes no number
    is_recommended: bool = False
    recommended: int | None = None  # its number then

    @property
    def form(self) -> str:
        """The rule as it is given."""
        return self.name if self.numbers is None else f"{self.name}:N"


def _signal(name: str, signal: str, removes: str) -> Rule:
    return Rule(name, IMAGES, removes, partial(image_rules.has_signal, name=signal), is_recommended=True)


def _kind(kind: str, removes: str) -> Rule:
    return Rule(kind, TEXTS, removes, partial(text_rules.is_of_kind, kind=kind), is_recommended=True)


def _numbered(row: Rule, numbers: tuple[int, int], recommended: int | None = None) -> Rule:
    """Return a rule that takes a number from the first to the last of `numbers`."""
    is_recommended = recommended is not None
    return replace(row, numbers=numbers, recommended=recommended, is_recommended=is_recommended)


_SIZE = "images that a page shows with a side below N pixels; those without a stated size pass"
_WORDS = "texts of fewer than N words; where words have no spaces between them, two characters are one"
_URL_WORDS = "images with a word such as logo, icon or banner in the path of their URL"
_EQUALS_URL = "texts that repeat the URL of their image, or the name of its file"
_ROWS = (
    _signal("noai", "noai", "images of pages that state `noai` to robots"),
    _signal("noimageai", "noimageai", "images of pages that state `noimageai` to robots"),
    _signal(
        "tdm_reservation", TDM_RESERVATION, "images of pages that reserve text and data mining (`tdm-reservation: 1`)"
    ),
    _signal("data_noai", DATA_NOAI, "images whose element has the attribute `data-noai`"),
    Rule("url_words", IMAGES, _URL_WORDS, image_rules.has_url_word, is_recommended=True),
    _numbered(Rule("min_stated_size", IMAGES, _SIZE, image_rules.is_stated_small), (2, 10_000), recommended=64),
    _numbered(Rule("min_words", TEXTS, _WORDS, text_rules.has_few_words), (2, 1_000), recommended=2),
    _kind("file_name", "texts that are the name of a file, such as IMG_0450"),
    _kind("address", "texts that are a URL, a domain or an e-mail address"),
    _kind("html", "texts with remnants of HTML, such as tags and `&nbsp;`"),
    Rule("equals_url", TEXTS, _EQUALS_URL, text_rules.equals_url, is_recommended=True),
    _numbered(Rule("max_images_per_text", RUN, "texts that more than N images have"), (1, _MOST)),
    _numbered(Rule("max_images_per_domain", RUN, "images of a registered domain beyond N, by draw"), (1, _MOST)),
)
RULES = {rule.name: rule for rule in _ROWS}


@dataclass(frozen=True)
class ChosenRule:
    """A rule with its number, None if it takes none."""

    rule: Rule
    number: int | None = None

    def __str__(self) -> str:
        return self.rule.name if self.number is None else f"{self.rule.name}:{self.number}"

    @property
    def fails(self) -> Callable[..., np.ndarray]:
        """The check, of a batch, or of texts, their images and the batch."""
        if self.rule.check is None:
            raise TypeError(f"{self.rule.name} is about all images of a run, not about one batch")
        return self.rule.check if self.number is None else partial(self.rule.check, number=self.number)


@dataclass(frozen=True)
class Policy:
    """The rules of a run, in the order of the table."""

    rules: tuple[ChosenRule, ...] = ()

    @classmethod
    def parse(cls, names: Sequence[str]) -> Policy:
        """Return the policy of names such as `recommended` and `min_words:3`, in whatever order they come.

        A number that is given counts instead of the recommended one.

        >>> Policy.parse(["max_images_per_text:10", "noai"]).names
        ('noai', 'max_images_per_text:10')
        """
        given: dict[str, int | None] = {}
        for name in names:
            if name != RECOMMENDED:
                chosen = _chosen(name)
                if given.setdefault(chosen.rule.name, chosen.number) != chosen.number:
                    raise InputError(f"the rule {chosen.rule.name} is given twice, with different numbers; give one")
        if RECOMMENDED in names:
            given = {rule.name: rule.recommended for rule in _ROWS if rule.is_recommended} | given
        return cls(tuple(ChosenRule(rule, given[rule.name]) for rule in _ROWS if rule.name in given))

    @property
    def names(self) -> tuple[str, ...]:
        """The rules as `parse` takes them."""
        return tuple(map(str, self.rules))

    def over(self, scope: str) -> tuple[ChosenRule, ...]:
        """Return the rules over IMAGES, over TEXTS, or over the whole RUN."""
        return tuple(chosen for chosen in self.rules if chosen.rule.scope == scope)

    def number_of(self, name: str) -> int | None:
        """Return the number of a rule, or None where the policy does not have it."""
        return next((chosen.number for chosen in self.rules if chosen.rule.name == name), None)

    def __bool__(self) -> bool:
        return bool(self.rules)


def _chosen(given: str) -> ChosenRule:
    """Return the rule that a name and its number mean, or refuse them."""
    name, colon, number = given.partition(":")
    if name not in RULES:
        known = ", ".join([RECOMMENDED, *(rule.form for rule in _ROWS)])
        raise InputError(f"{given!r} is no rule; the rules are {known}")
    rule = RULES[name]
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
