"""Clean texts and recognise web addresses, by the same rules for crawls and tables."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.character_references import COMPLETE, unescape_again
from curation.kernels.cleaning import find_odd, find_web
from runtime.arrow.buffers import string_buffers

# An absolute URL of the web. Only such URLs become candidates.
HTTP_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]"  # not (?i), which takes ſ for an s
LINE_END = r"\r\n|[\n\v\f\r\x1c-\x1e\x{85}\x{2028}\x{2029}]"  # as str.splitlines has it, in RE2's spelling


def clean(text: str) -> str:
    """Return `text` with a space for each line end and without white space at its ends.

    Of character references, those are resolved that HTML left: a site that escapes twice means the character.

    >>> clean(" two\\r\\nlines&#039; ")
    "two lines'"
    """
    text = (unescape_again(text) if "&" in text else text).strip()
    return text if text.isprintable() else " ".join(text.splitlines())


def clean_array(texts: pa.Array) -> pa.Array:
    """Return what `clean` returns, for each of `texts`; only those that may need it are touched."""
    odd = np.empty(len(texts), bool)
    find_odd(*string_buffers(texts), odd)
    if not odd.any():
        return texts
    mask = pa.array(odd)
    trimmed = pc.utf8_trim_whitespace(_unescaped(texts.filter(mask)))
    return pc.replace_with_mask(texts, mask, pc.replace_substring_regex(trimmed, LINE_END, " "))


def _unescaped(texts: pa.Array) -> pa.Array:
    """Return texts with the references resolved that HTML left."""
    mask = pc.match_substring_regex(texts, COMPLETE)
    if not mask.true_count:
        return texts
    return pc.replace_with_mask(texts, mask, pa.array(map(unescape_again, texts.filter(mask).to_pylist()), texts.type))


def is_web(urls: pa.Array) -> pa.Array:
    """Return whether each string begins as HTTP_URL has it; a null does not."""
    web = np.empty(len(urls), bool)
    find_web(*string_buffers(urls), web)
    return pa.array(web)
