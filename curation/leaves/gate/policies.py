"""Policies: rules, chosen by name, for which images and texts may be trained on.

RULES has all rules, each with its name, its scope and what it removes. What a rule about one image or one text checks
is in `image_rules`, `text_rules`, `mending` and `personal_data`; rules about all images of a run are in `image_limits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.inputs.crawl.links import DATA_NOAI, TDM_RESERVATION
from curation.leaves.gate import image_rules, judge, text_rules
from curation.leaves.gate.mending import MENDS, is_credit, removes_none
from curation.leaves.gate.personal_data import KINDS, has_personal_data
from curation.licences import NAMES
from runtime.errors import InputError, did_you_mean

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


def _signal(name: str, signal: str, removes: str, is_recommended: bool = True) -> Rule:
    return Rule(name, IMAGES, removes, image_rules.has_signal, recommended=is_recommended, signal=signal)


def _of_hosts(name: str, signal: str, removes: str) -> Rule:
    return _signal(name, signal, f"{removes}; needs `--robots`", is_recommended=False)


def _kind(kind: str, removes: str, is_recommended: bool = True) -> Rule:
    return Rule(kind, TEXTS, removes, text_rules.is_of_kind, recommended=is_recommended, signal=kind)


_TDM = "images of pages, and with `--robots` of hosts, that reserve text and data mining (`tdm-reservation: 1`)"
_ROBOTS = "images whose URL or page robots.txt forbids to one of the agents of `--robots-agents`"
_CONTENT_SIGNAL = "images whose URL or page robots.txt keeps from training (`Content-Signal: ai-train=no`)"
_AI_TXT = "images whose URL or page ai.txt forbids"
_SIZE = "images that a page shows with a side below N pixels; those without a stated size pass"
_LICENSE = "images unless their pages state NAMES and no other licence: statements of pages, not of pictures"
_URL_WORDS = (
    "images whose file or folder has the name of a part of the page, such as logo, icons or placeholder, or whose host "
    "counts visits or serves advertisements"
)
_WORDS = (
    "texts of fewer than N words; where words have no spaces between them, and in Korean, n characters outside ASCII "
    "are 1 + n/2 words, rounded down"
)
_GENERIC = (
    "texts that say nothing of the picture, such as “no image available”, “menu” or “Google Play”, in 79 languages"
)
_LOGOS = (
    "texts of logos, icons, avatars and sharing, such as “BBC logo”, “avatar of Kim” or “share on Facebook”, likewise"
)
_JUNK = (
    "texts that are junk with a probability of N % or more, by a score that was learnt from labelled rows: logos, "
    "icons, buttons, avatars, advertisements, placeholders"
)
_HEADLINE = (
    "texts that are, with a probability of N % or more, the headline of what the picture illustrates, and describe "
    "nothing in it"
)
_OF_IMAGES_AND_TEXTS = (
    _signal("noai", "noai", "images of pages that state `noai` to robots"),
    _signal("noimageai", "noimageai", "images of pages that state `noimageai` to robots"),
    _signal("noml", "noml", "images of pages that state `noml` to robots"),
    _signal("tdm_reservation", TDM_RESERVATION, _TDM),
    _signal("data_noai", DATA_NOAI, "images whose element has the attribute `data-noai`"),
    _of_hosts("robots", "robots", _ROBOTS),
    _of_hosts("content_signal", "content-signal", _CONTENT_SIGNAL),
    _of_hosts("ai_txt", "ai.txt", _AI_TXT),
    Rule("url_words", IMAGES, _URL_WORDS, image_rules.has_url_word, recommended=True),
    Rule("license", IMAGES, _LICENSE, image_rules.has_other_licence, names=NAMES),
    Rule("min_stated_size", IMAGES, _SIZE, image_rules.is_stated_small, numbers=(2, 10_000)),
    Rule("junk", TEXTS, _JUNK, judge.is_junk, numbers=(1, 99), recommended=70),
    Rule("headline", TEXTS, _HEADLINE, judge.is_headline, numbers=(1, 99)),
    Rule("min_words", TEXTS, _WORDS, text_rules.has_few_words, numbers=(2, 1_000)),
    _kind("file_name", "texts that are the name of a file, such as IMG_0450", is_recommended=False),
    _kind("address", "texts that are a URL, a domain or an e-mail address"),
    _kind("html", "texts with remnants of HTML; tags are taken out first, if an entry is left"),
    Rule("generic_text", TEXTS, _GENERIC, text_rules.is_generic, recommended=True),
    Rule("logo_text", TEXTS, _LOGOS, text_rules.is_logo_text, recommended=True),
)
_MENDING = (
    Rule("credit", TEXTS, "texts that are a credit alone, such as “Foto: Kim Lee/dpa”", is_credit, recommended=True),
    Rule("cut_credits", TEXTS, "texts only in part: a credit at their end", removes_none),
)
_PERSONAL = tuple(
    Rule(name, TEXTS, f"texts that hold {kind.what}", has_personal_data, None, (), True, True, name)
    for name, kind in KINDS.items()
)
_OF_RUN = (
    Rule("max_images_per_text", RUN, "texts that more than N images have", numbers=(1, _MOST)),
    Rule(OF_DOMAINS, RUN, "images of a registered domain beyond N, by draw", numbers=(1, _MOST)),
)
_ROWS = (*_OF_IMAGES_AND_TEXTS, *_MENDING, *_PERSONAL, *_OF_RUN)
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
            numbers |= {rule.name: None for rule in _PERSONAL}
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
