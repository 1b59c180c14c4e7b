"""Sets of uids, URLs and domains with their subdomains, looked up a batch at a time by keys of 16 bytes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PublicSuffixList

from curation.kernels.exclusion import LISTED, UNUSUAL, find_hosts, find_keys, hash_names
from runtime.arrow.buffers import string_array, string_buffers
from runtime.kernels.md5 import md5

_KEYS_IN_BUCKET = 4  # about so many share their first bits: a search ends within one or two lines of the cache
_LONGEST_LABEL, _LONGEST_NAME = 63, 253  # characters, of DNS
# The host that the kernel `host_span` finds, for URLs that are not plain ASCII.
_HOST = r"^[^:]*://(?:[^/?#\\]*@)?(?P<host>[^:/?#\\]*)"
_LABELS = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}|\[[0-9a-f:.]+\]")
_NUMBERS = re.compile(r"(?:.*\.)?\d+")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


@dataclass(frozen=True, eq=False)
class KeySet:
    """Keys of 16 bytes, as two uint64 each, ascending; `starts` has where keys with the same first bits begin."""

    keys: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, arrays: Iterable[np.ndarray]) -> KeySet:
        """Return the set of the keys in arrays of two uint64 each."""
        keys = _ascending(np.concatenate([np.empty((0, 2), np.uint64), *arrays]))
        bits = max(1, (len(keys) // _KEYS_IN_BUCKET).bit_length())
        first = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        return cls(keys, np.append(np.searchsorted(keys[:, 0], first), len(keys)).astype(np.int64))

    def __len__(self) -> int:
        return len(self.keys)

    def contains(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys are in the set."""
        return self.find(keys) >= 0

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Return the position of each key in the set, -1 if it is not in the set."""
        out = np.empty(len(keys), np.int64)
        find_keys(self.keys, self.starts, self._shift, keys, out)
        return out

    def covers(self, urls: pa.Array) -> np.ndarray:
        """Return which URLs have a host that is a domain whose key is in the set, or below one; a null has none."""
        out = self._find_hosts(urls)
        unusual = np.flatnonzero(out == UNUSUAL)
        if len(unusual):
            out[unusual] = self._find_hosts(_respelled(urls.take(pa.array(unusual))))
        return out == LISTED

    def _find_hosts(self, urls: pa.Array) -> np.ndarray:
        offsets, data = string_buffers(urls)
        out = np.empty(len(urls), np.uint8)
        find_hosts(data, offsets, self.keys, self.starts, self._shift, out)
        return out

    @property
    def _shift(self) -> np.uint64:
        return np.uint64(65 - (len(self.starts) - 1).bit_length())


def url_keys(urls: pa.Array) -> np.ndarray:
    """Return the key of each URL: its MD5, which is also the uid of an image without one of its own."""
    offsets, data = string_buffers(string_array(urls, "urls"))
    words = np.empty((len(urls), 4), np.uint32)
    md5(data, offsets, words)
    return words.view(">u8").astype(np.uint64)


def domain_keys(domains: pa.Array) -> np.ndarray:
    """Return the key of each domain, given in the form of `canonical`: a hash of 128 bits."""
    offsets, data = string_buffers(domains)
    keys = np.empty((len(domains), 2), np.uint64)
    hash_names(data, offsets, keys)
    return keys


def canonical(host: str) -> str:
    """Return a host as registries write it: lower case, other scripts in Punycode, no dot at its end.

    >>> canonical("Bücher.Example."), canonical("b%C3%BCcher.example"), canonical("XN--bcher-kva.example")
    ('xn--bcher-kva.example', 'xn--bcher-kva.example', 'xn--bcher-kva.example')
    """
    text = unicodedata.normalize("NFKC", unquote(host)).replace("\xad", "").replace("。", ".")
    # Letter by letter: of a whole word, Python would make the last Greek sigma another letter than registries do.
    text = unicodedata.normalize("NFKC", "".join(map(str.lower, text)))
    return ".".join(map(_ascii_label, text.rstrip(".").split(".")))


def hosts(urls: pa.Array, form: Callable[[str], str] = canonical) -> pa.Array:
    """Return the host of each URL in a form, which is asked for once for each spelling; of a null, null."""
    found = pc.extract_regex(urls, _HOST).field("host").dictionary_encode()
    return pa.array(map(form, found.dictionary.to_pylist()), pa.string()).take(found.indices)


def registered_domain(host: str) -> str:
    """Return the registered domain that a host belongs to; an address, or a suffix itself, is returned unchanged.

    It is one label below a suffix of publicsuffix.org, which has those of providers below which others publish, too.

    >>> [registered_domain(host) for host in ("img.Shop.co.uk", "cdn.me.github.io", "a.münchen.example", "10.0.0.1")]
    ['shop.co.uk', 'me.github.io', 'xn--mnchen-3ya.example', '10.0.0.1']
    """
    return _registered(host) if len(host) <= _LONGEST_NAME else canonical(host)


@lru_cache(maxsize=1 << 17)  # hosts come again in each batch
def _registered(host: str) -> str:
    name = canonical(host)
    if _NUMBERS.fullmatch(name) or name.startswith("["):
        return name
    return _suffixes().privatesuffix(name) or name


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def is_top_level(label: str) -> bool:
    """Return whether the list of publicsuffix.org has names below a label.

    >>> [is_top_level(label) for label in ("org", "ORG", "рф", "png")]
    [True, True, True, False]
    """
    return _suffixes().publicsuffix(canonical(label), accept_unknown=False) is not None


def is_domain(name: str) -> bool:
    """Return whether a canonical name can be the host of a URL, or the end of a host, or is an IP address."""
    if not _LABELS.fullmatch(name):
        return False
    return not _NUMBERS.fullmatch(name) or bool(_IPV4.fullmatch(name))


def _ascii_label(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_LABEL:  # too long for a name: Punycode takes the square of the length
        return label
    return "xn--" + label.encode("punycode").decode()


def _respelled(urls: pa.Array) -> pa.Array:
    """Return URLs of the hosts of these, in canonical form, and of nothing else."""
    return pc.binary_join_element_wise("http://", hosts(urls), "").cast(pa.large_string())


def _ascending(keys: np.ndarray) -> np.ndarray:
    """Return the keys in order, each once; the given array is overwritten, since it may fill the memory."""
    ordered = keys.byteswap(inplace=True).view("S16").reshape(-1)  # sorts twice as fast as by two numbers
    ordered.sort()
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    ordered = ordered if first.all() else ordered[first]
    return ordered.view(np.uint64).byteswap(inplace=True).reshape(-1, 2)
