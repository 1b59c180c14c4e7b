"""Read the licences that pages state: in links, headers, metas, microdata and JSON-LD.

A licence here is one that a page states for itself, not for a picture: pages also show pictures of other people. Each
licence is a bit of the column `signals`, so an image has the licences of all pages that show it. A licence that a page
states for one of its pictures, as `license` of an ImageObject, is left out.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from runtime.tallies import Tallies

# `cc-other` is an old licence of Creative Commons, `rsl` is a file of Really Simple Licensing, and `other` is any other
# licence. Files hold these bits: none may change. Bits that are missing here belong to signals and places.
_FIRST = 14
RSL = "rsl"
LICENCES = {
    "cc-by": 1 << _FIRST,
    "cc-by-sa": 1 << 15,
    "cc-by-nd": 1 << 16,
    "cc-by-nc": 1 << 17,
    "cc-by-nc-sa": 1 << 18,
    "cc-by-nc-nd": 1 << 19,
    "cc0": 1 << 20,
    "public-domain": 1 << 21,
    "cc-other": 1 << 22,
    "other": 1 << 23,
    RSL: 1 << 30,
}
NAMES = tuple(LICENCES)
NONE, SEVERAL = "none", "several"  # These are the names for pages that state no licence, or several.
MASK = sum(LICENCES.values())
READ_LICENSES = "license"  # It counts the pairs that were read, by the name of the licence.
KEPT_LICENSES = "kept_license"  # It counts the rows of the manifest, by the name of the licence.

_ELEMENTS = ("by", "nc", "nd", "sa")
_BY_CODE = {
    **{"zero": "cc0", "0": "cc0", "mark": "public-domain", "certification": "public-domain"},
    "publicdomain": "public-domain",  # This code is from 2002.
    **dict.fromkeys(("sampling", "sampling+", "nc-sampling+", "devnations"), "cc-other"),
}

_CC = r"creativecommons\.org/(?:licenses|publicdomain)/([a-z+-]+)"
_address = re.compile(rf"(?<![\w-]){_CC}", re.I | re.A).search
_may_state = re.compile("license|publicdomain", re.I | re.A).search
_links_to = re.compile(rf"\s*(?:https?:)?//(?:[\w-]+\.)*{_CC}", re.I | re.A).match
_short = re.compile(r"\bcc[ _-]?(zero|0|by(?:[ _-](?:nc|nd|sa))*)(?![a-z])", re.I | re.A).search

# Tokens of rel and itemprop, and names of metas with dots for colons. A meta of _RIGHTS counts only if its content has
# an address of Creative Commons.
_TOKENS = {"license", "cc:license", "dct:license", "dcterms:license", "xhv:license", "schema:license"} | {
    f"{scheme}://schema.org/license" for scheme in ("http", "https")
}
_METAS = {"license", "og.license", "cc.license", "dc.license", "dct.license", "dcterms.license", "dc.rights.license"}
_RIGHTS = {"dc.rights", "dct.rights", "dcterms.rights"}


class Link(NamedTuple):
    """A link that may state a licence: the tokens of rel and itemprop, the address, and its media type."""

    tokens: str
    address: str
    type: str = ""


def licences_of(links: Iterable[Link], metas: Iterable[tuple[str, str]], scripts: Iterable[str] = ()) -> int:
    """Return the licences that a page states, as bits of LICENCES.

    `metas` are pairs (name, content), and `scripts` texts of JSON-LD. A link to Creative Commons that is not marked as
    a licence counts only if the page states no licence otherwise.

    >>> cc = "//creativecommons.org/licenses/"
    >>> links = [Link("nofollow", f"{cc}by-nd-nc/1.0"), Link("License noopener", f"http:{cc}by-sa/3.0/de/deed.de")]
    >>> [licence_name(licences_of(links[:number], [])) for number in (0, 1, 2)]
    ['none', 'cc-by-nc-nd', 'cc-by-sa']
    >>> licence_name(licences_of(links, [("DC.rights", "All rights reserved"), ("dcterms:license", "CC0 1.0")]))
    'several'
    """
    stated = linked = 0
    for link in links:
        if not _TOKENS.isdisjoint(link.tokens.lower().split()):
            stated |= LICENCES[RSL] if is_rsl(link.type) else bit_of(link.address)
        elif match := _links_to(link.address):
            linked |= _bit_of_code(match[1])
    for name, content in metas:
        name = name.strip().lower().replace(":", ".")
        if name in _METAS or (name in _RIGHTS and _address(content)):
            stated |= bit_of(content)
    for script in scripts:
        for value in _values(script):
            stated |= bit_of(value)
    return stated or linked


def links_in(headers: Iterable[str]) -> list[Link]:
    """Return the links in the values of HTTP headers `Link` (RFC 8288).

    Only headers with a word by which licences are stated are parsed.

    >>> links_in(['</rsl.xml>; rel="license"; type="application/rsl+xml"', "</style>; rel=stylesheet"])
    [Link(tokens='license', address='/rsl.xml', type='application/rsl+xml')]
    """
    links = []
    for value in headers:
        if not _may_state(value):
            continue
        from requests.utils import parse_header_links  # This slow import is here because few pages need it.

        for link in parse_header_links(value):
            links.append(Link(link.get("rel", ""), link["url"], link.get("type", "")))
    return links


def is_rsl(media_type: str) -> bool:
    """Return whether `media_type`, with or without parameters, is the type of Really Simple Licensing."""
    return media_type.partition(";")[0].strip().lower() == "application/rsl+xml"


def bit_of(value: str) -> int:
    """Return the bit of a licence, given its address or name; 0 if `value` is empty or white space.

    >>> [licence_name(bit_of(value)) for value in (" ", "/terms", "CC BY-NC 4.0", "http://creativecommons.org/licenses/GPL")]
    ['none', 'other', 'cc-by-nc', 'other']
    """
    if not value.strip():
        return 0
    match = _address(value) or _short(value)
    return (_bit_of_code(match[1]) if match else 0) or LICENCES["other"]


def _bit_of_code(code: str) -> int:
    """Return the bit of the licence of Creative Commons with this code, such as by-sa; 0 if they have no such code."""
    code = re.sub("[ _]", "-", code.lower()).rstrip("-")
    ordered = "-".join(element for element in _ELEMENTS if element in code.split("-"))
    name = f"cc-{ordered}" if len(ordered) == len(code) else _BY_CODE.get(code)
    return LICENCES.get(name, LICENCES["cc-other"]) if name else 0


def _values(script: str) -> Iterator[str]:
    """Yield the licences in a text of JSON-LD, except licences of pictures, sounds and films; nothing if not JSON."""
    try:
        nodes = [*_nodes(json.loads(script, strict=False))]
    except (ValueError, RecursionError):
        return
    for node in nodes:
        licence = node.get("license")
        for value in licence if type(licence) is list else [licence]:
            if type(value) is dict:
                value = value.get("@id", value.get("url"))
            if type(value) is str:
                yield value


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if type(tree) is list:
        for branch in tree:
            yield from _nodes(branch)
    elif type(tree) is dict:
        kinds = tree.get("@type")
        kinds = kinds if type(kinds) is list else [kinds]
        if not any(str(kind).endswith("Object") for kind in kinds):
            yield tree
        yield from _nodes(tree.get("@graph"))


def licence_name(bits: int) -> str:
    """Return the name of the licence whose bit `bits` has; `none` if there is none, `several` if there are several."""
    names = [name for name, bit in LICENCES.items() if bits & bit]
    return NONE if not names else names[0] if len(names) == 1 else SEVERAL


def bits_of(names: str) -> int:
    """Return the bits of the licences in `names`, which commas separate; KeyError for an unknown name."""
    return sum({LICENCES[name] for name in names.split(",")})


def license_column(signals: pa.Array) -> pa.Array:
    """Return `licence_name` of each row of `signals`; `none` for a null."""
    bits = (signals.fill_null(0).to_numpy() & MASK) >> _FIRST
    stated = np.flatnonzero(bits)
    distinct, indices = np.unique(bits[stated], return_inverse=True)
    codes = np.zeros(len(bits), np.int8)
    codes[stated] = indices + 1
    return pa.array([NONE, *map(licence_name, (distinct << _FIRST).tolist())], pa.string()).take(pa.array(codes))


def tally_licenses(rows: pa.RecordBatch, tallies: Tallies) -> None:
    """Tally the rows of a manifest by their column `license`, if they have one."""
    if "license" in rows.schema.names:
        for count in rows["license"].value_counts().to_pylist():
            tallies.add(KEPT_LICENSES, count["counts"], item=count["values"])


def licenses_in(tallies: Tallies, count: str = KEPT_LICENSES) -> dict[str, int]:
    """Return the number of pairs of each licence, given tallies of pairs; `count` is READ_LICENSES or KEPT_LICENSES."""
    return {name: int(tallies[count, name]) for name in (*NAMES, SEVERAL, NONE)}
