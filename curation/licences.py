"""Read the licences that pages state: in links, metas, microdata and JSON-LD.

A licence here is the statement of a page, not of a picture: pages show pictures of others, too. Each licence is a bit
of the column `signals`, so an image has the licences of all pages that show it. What a page says of one of its
pictures, as `license` of an ImageObject, is left out.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from runtime.tallies import Tallies

# `other` is any licence that is stated, and is none of Creative Commons; `cc-other` one of its old ones. Files hold
# these bits: none may change.
NAMES = (
    *("cc-by", "cc-by-sa", "cc-by-nd", "cc-by-nc", "cc-by-nc-sa", "cc-by-nc-nd"),
    *("cc0", "public-domain", "cc-other", "other"),
)
_FIRST = 14  # the bits below are those of signals and places
LICENCES = {name: 1 << _FIRST + place for place, name in enumerate(NAMES)}
NONE, SEVERAL = "none", "several"  # of pages that say nothing, and that disagree
MASK = sum(LICENCES.values())
TALLY = "license."  # before the name of a licence: the name of the tally of its pairs that were read
KEPT = "kept_license."  # before the name of a licence: the name of the tally of its rows in the manifest

_ELEMENTS = ("by", "nc", "nd", "sa")
_BY_CODE = {
    **{"zero": "cc0", "0": "cc0", "mark": "public-domain", "certification": "public-domain"},
    "publicdomain": "public-domain",  # of 2002
    **dict.fromkeys(("sampling", "sampling+", "nc-sampling+", "devnations"), "cc-other"),
}

_CC = r"creativecommons\.org/(?:licenses|publicdomain)/([a-z+-]+)"
_address = re.compile(rf"(?<![\w-]){_CC}", re.I | re.A).search
_links_to = re.compile(rf"\s*(?:https?:)?//(?:[\w-]+\.)*{_CC}", re.I | re.A).match
_short = re.compile(r"\bcc[ _-]?(zero|0|by(?:[ _-](?:nc|nd|sa))*)(?![a-z])", re.I | re.A).search

# Tokens of rel and itemprop, and names of metas with dots for colons. Of rights, only an address says what they are.
_TOKENS = {"license", "cc:license", "dct:license", "dcterms:license", "xhv:license", "schema:license"} | {
    f"{scheme}://schema.org/license" for scheme in ("http", "https")
}
_METAS = {"license", "og.license", "cc.license", "dc.license", "dct.license", "dcterms.license", "dc.rights.license"}
_RIGHTS = {"dc.rights", "dct.rights", "dcterms.rights"}


def licences_of(links: Iterable[tuple[str, str]], metas: Iterable[tuple[str, str]], scripts: Iterable[str] = ()) -> int:
    """Return the licences that a page states, as bits of LICENCES.

    `links` are pairs (rel or itemprop, address), `metas` pairs (name, content), and `scripts` texts of JSON-LD. A link
    to Creative Commons that is not marked as a licence counts only if the page states no licence otherwise.

    >>> cc = "//creativecommons.org/licenses/"
    >>> links = [("nofollow", f"{cc}by-nd-nc/1.0"), ("License noopener", "http:" + f"{cc}by-sa/3.0/de/deed.de")]
    >>> [licence_name(licences_of(links[:number], [])) for number in (0, 1, 2)]
    ['none', 'cc-by-nc-nd', 'cc-by-sa']
    >>> licence_name(licences_of(links, [("DC.rights", "All rights reserved"), ("dcterms:license", "CC0 1.0")]))
    'several'
    """
    stated = linked = 0
    for tokens, address in links:
        if not _TOKENS.isdisjoint(tokens.lower().split()):
            stated |= bit_of(address)
        elif match := _links_to(address):
            linked |= _bit_of_code(match[1])
    for name, content in metas:
        name = name.strip().lower().replace(":", ".")
        if name in _METAS or (name in _RIGHTS and _address(content)):
            stated |= bit_of(content)
    for script in scripts:
        for value in _values(script):
            stated |= bit_of(value)
    return stated or linked


def bit_of(value: str) -> int:
    """Return the bit of a licence, given its address or name; 0 if that is empty.

    >>> [licence_name(bit_of(value)) for value in (" ", "/terms", "CC BY-NC 4.0", "http://creativecommons.org/licenses/GPL")]
    ['none', 'other', 'cc-by-nc', 'other']
    """
    if not value.strip():
        return 0
    match = _address(value) or _short(value)
    return (_bit_of_code(match[1]) if match else 0) or LICENCES["other"]


def _bit_of_code(code: str) -> int:
    """Return the bit of a licence of Creative Commons; 0 for a code that is none of theirs."""
    code = re.sub("[ _]", "-", code.lower()).rstrip("-")
    ordered = "-".join(element for element in _ELEMENTS if element in code.split("-"))
    name = f"cc-{ordered}" if len(ordered) == len(code) else _BY_CODE.get(code)
    return LICENCES.get(name, LICENCES["cc-other"]) if name else 0


def _values(script: str) -> Iterator[str]:
    """Yield the licences in a text of JSON-LD, except those of pictures, sounds and films; none if it is no JSON."""
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
        if not any(str(kind).endswith("Object") for kind in (kinds if type(kinds) is list else [kinds])):
            yield tree
        yield from _nodes(tree.get("@graph"))


def licence_name(bits: int) -> str:
    """Return the name of a licence; `none` where no bit is set, `several` where several are."""
    names = [name for name, bit in LICENCES.items() if bits & bit]
    return NONE if not names else names[0] if len(names) == 1 else SEVERAL


def bits_of(names: str) -> int:
    """Return the bits of licences whose names stand between commas; KeyError for an unknown name."""
    return sum({LICENCES[name] for name in names.split(",")})


def license_column(signals: pa.Array) -> pa.Array:
    """Return the name of the licence that each row of `signals` states, `none` for a null."""
    bits = (signals.fill_null(0).to_numpy() & MASK) >> _FIRST
    stated = np.flatnonzero(bits)
    distinct, places = np.unique(bits[stated], return_inverse=True)
    codes = np.zeros(len(bits), np.int8)
    codes[stated] = places + 1
    return pa.array([NONE, *map(licence_name, (distinct << _FIRST).tolist())], pa.string()).take(pa.array(codes))


def tally_licenses(rows: pa.RecordBatch, tallies: Tallies) -> None:
    """Tally the rows of a manifest by their column `license`, if they have one."""
    if "license" in rows.schema.names:
        for count in rows["license"].value_counts().to_pylist():
            tallies.add(f"{KEPT}{count['values']}", count["counts"])


def licenses_in(tallies: Tallies, prefix: str = KEPT) -> dict[str, int]:
    """Return the number of pairs of each licence, given tallies of pairs; the names of tallies begin with `prefix`."""
    return {name: int(tallies[f"{prefix}{name}"]) for name in (*NAMES, SEVERAL, NONE)}
