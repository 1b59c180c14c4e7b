"""Extract the hosts of URLs, in the form that registries use, and their registered domains."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PublicSuffixList

_LONGEST_LABEL, _LONGEST_NAME = 63, 253  # DNS allows this many characters.
# This pattern finds the same host as the kernel `host_span`, also in URLs that are not plain ASCII.
HOST = r"^[^:]*://(?:[^/?#\\]*@)?(?P<host>[^:/?#\\]*)"
_LABELS = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}|\[[0-9a-f:.]+\]")
_NUMBERS = re.compile(r"(?:.*\.)?\d+")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


def canonical(host: str) -> str:
    """Return a host as registries write it: in lower case, other scripts in Punycode, without a final dot.

    >>> canonical("Bücher.Example."), canonical("b%C3%BCcher.example"), canonical("XN--bcher-kva.example")
    ('xn--bcher-kva.example', 'xn--bcher-kva.example', 'xn--bcher-kva.example')
    """
    if host.isascii() and "%" not in host:
        return host.lower().rstrip(".")
    text = unicodedata.normalize("NFKC", unquote(host)).replace("\xad", "").replace("。", ".")
    # Letters are lowered one by one, because at the end of a word Python lowers a Greek sigma to another letter than
    # registries do.
    text = unicodedata.normalize("NFKC", "".join(map(str.lower, text)))
    return ".".join(map(_ascii_label, text.rstrip(".").split(".")))


def hosts(urls: pa.Array, form: Callable[[str], str] = canonical) -> pa.Array:
    """Return the host of each URL in canonical form, or as `form` returns it; null for a null.

    `form` is called once for each distinct spelling of a host.
    """
    return spelled_hosts(pc.extract_regex(urls, HOST).field("host"), form)


def spelled_hosts(names: pa.Array, form: Callable[[str], str] = canonical) -> pa.Array:
    """Return hosts, as URLs have them, in canonical form, or as `form` returns them; null for a null."""
    encoded = names.dictionary_encode()
    return pa.array(map(form, encoded.dictionary.to_pylist()), pa.string()).take(encoded.indices)


def registered_domain(host: str) -> str:
    """Return the registered domain that a host belongs to; an IP address or a bare suffix is returned unchanged.

    It is one label below a suffix of publicsuffix.org, whose list includes hosting providers such as github.io.

    >>> [registered_domain(host) for host in ("img.Shop.co.uk", "cdn.me.github.io", "a.münchen.example", "10.0.0.1")]
    ['shop.co.uk', 'me.github.io', 'xn--mnchen-3ya.example', '10.0.0.1']
    """
    return _registered(host) if len(host) <= _LONGEST_NAME else canonical(host)


@lru_cache(maxsize=1 << 17)  # The same hosts recur in each batch.
def _registered(host: str) -> str:
    name = canonical(host)
    if _NUMBERS.fullmatch(name) or name.startswith("["):
        return name
    return _suffixes().privatesuffix(name) or name


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def is_top_level(label: str) -> bool:
    """Say whether publicsuffix.org lists this label as a suffix.

    >>> [is_top_level(label) for label in ("org", "ORG", "рф", "png")]
    [True, True, True, False]
    """
    return _suffixes().publicsuffix(canonical(label), accept_unknown=False) is not None


def is_domain(name: str) -> bool:
    """Say whether a canonical name can be a host, the end of a host, or an IPv4 or bracketed IPv6 address."""
    if not _LABELS.fullmatch(name):
        return False
    return not _NUMBERS.fullmatch(name) or bool(_IPV4.fullmatch(name))


def _ascii_label(label: str) -> str:
    if (
        label.isascii() or len(label) > _LONGEST_LABEL
    ):  # DNS refuses longer labels, and Punycode would take quadratic time.
        return label
    return "xn--" + label.encode("punycode").decode()
