"""The kinds of value of an exclusion list: how each is checked, and how its values are gathered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.sets import canonical, is_domain, url_keys
from curation.inputs.cleaning import HTTP_URL
from runtime.arrow.uid_keys import uid_numbers


@dataclass
class Lists:
    """The values of each kind: uids and URLs as arrays of keys, domains and pages canonical, regexes as written."""

    uids: list[np.ndarray] = field(default_factory=list)
    urls: list[np.ndarray] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    regexes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """A check of values, a function that adds them to the lists, and what a bad value should have been."""

    is_right: Callable[[pa.Array], np.ndarray]
    gather: Callable[[Lists, pa.Array], None]
    expected: str


def flags(values: pa.Array) -> np.ndarray:
    """Return an Arrow array of truth values as NumPy's; a null is false."""
    return values.fill_null(False).to_numpy(zero_copy_only=False)


def first_bad(kind: str, values: pa.Array) -> int | None:
    """Return the position of the first value that is none of a kind of KINDS, or None where all are."""
    bad = ~KINDS[kind].is_right(values)
    return int(bad.argmax()) if bad.any() else None


def refusal(pattern: str) -> str | None:
    """Return why RE2 refuses a regular expression, or None."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        return str(error)
    return None


def _each(is_right: Callable[[str], bool]) -> Callable[[pa.Array], np.ndarray]:
    return lambda values: np.array([is_right(value) for value in values.to_pylist()], bool)


_is_domain = _each(lambda value: is_domain(canonical(value)))
_DOMAIN = "domain; give one such as example.org, which covers its subdomains, and patterns behind regex:"
KINDS = {
    "uid": Kind(
        lambda values: flags(pc.not_equal(values, "")),
        lambda lists, values: lists.uids.append(uid_numbers(values)),
        "uid; give one behind uid:",
    ),
    "url": Kind(
        lambda values: flags(pc.match_substring_regex(values, HTTP_URL)),
        lambda lists, values: lists.urls.append(url_keys(values)),
        "URL of the web; give it as the manifest has it, with http:// or https://",
    ),
    "domain": Kind(_is_domain, lambda lists, values: lists.domains.extend(map(canonical, values.to_pylist())), _DOMAIN),
    "page": Kind(_is_domain, lambda lists, values: lists.pages.extend(map(canonical, values.to_pylist())), _DOMAIN),
    "regex": Kind(
        _each(lambda value: value != "" and refusal(value) is None),
        lambda lists, values: lists.regexes.extend(values.to_pylist()),
        "regular expression of RE2; mend it (https://github.com/google/re2/wiki/Syntax)",
    ),
}
