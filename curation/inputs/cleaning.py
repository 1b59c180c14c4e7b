"""Clean texts and recognise web addresses, by the same rules for crawls and tables."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.kernels.cleaning import find_odd, find_web
from runtime.arrow.buffers import string_buffers

# An absolute URL of the web. Only such URLs become candidates.
HTTP_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]"  # not (?i), which takes ſ for an s
LINE_END = r"\r\n|[\n\v\f\r\x1c-\x1e\x{85}\x{2028}\x{2029}]"  # as str.splitlines has it, in RE2's spelling


def clean(text: str) -> str:
    """Return `text` with a space for each line end and without white space at its ends.

    >>> clean(" two\\r\\nlines ")
    'two lines'
    """
    text = text.strip()
    return text if text.isprintable() else " ".join(text.splitlines())


def clean_array(texts: pa.Array) -> pa.Array:
    """Return what `clean` returns, for each of `texts`; only those that may need it are touched."""
    odd = np.empty(len(texts), bool)
    find_odd(*string_buffers(texts), odd)
    if not odd.any():
        return texts
    mask = pa.array(odd)
    trimmed = pc.utf8_trim_whitespace(texts.filter(mask))
    return pc.replace_with_mask(texts, mask, pc.replace_substring_regex(trimmed, LINE_END, " "))


def is_web(urls: pa.Array) -> pa.Array:
    """Return whether each string begins as HTTP_URL has it; a null does not."""
    web = np.empty(len(urls), bool)
    find_web(*string_buffers(urls), web)
    return pa.array(web)
