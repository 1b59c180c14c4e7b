"""Check a list of entries and the name of a rule set before a finder is built from them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from metadata.rules.text import RULES
from runtime.arrow.buffers import string_array
from runtime.errors import InputError


def require_rules(rules: str) -> None:
    """Refuse a name that is not one of a rule set."""
    if rules not in RULES:
        raise InputError(f"rules are {rules!r}; there are {' and '.join(RULES)}")


def require_entries(entries: Iterable[str] | pa.Array) -> pa.Array:
    """Return the entries as an Arrow array; refuse a list with a null or an empty entry."""
    entries = string_array(entries, "entries")
    if entries.null_count:
        position = pc.index(pc.is_null(entries), True).as_py()
        raise InputError(f"entry {position} is null; each entry must be a string: leave it out")
    empty = pc.index(pc.utf8_length(entries), pa.scalar(0, pa.int32())).as_py() if len(entries) else -1
    if empty >= 0:
        raise InputError(f"entry {empty} is empty; each entry must hold a character: leave it out")
    return entries
