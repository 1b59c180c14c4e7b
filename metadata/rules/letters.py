"""Tell words from numbers and single letters, which are in texts of any language."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metadata.rules.characters import SPACELESS_SCRIPTS

# A character of these scripts is a word or a part of one; a syllable of Hangul is two letters or more.
_ENOUGH = "".join(rf"\p{{{script}}}" for script in (*SPACELESS_SCRIPTS, "Hangul"))
PATTERN = rf"\p{{L}}.*\p{{L}}|[{_ENOUGH}]"


def have_letters(entries: pa.Array) -> np.ndarray:
    """Return whether each entry has two letters, or one character of a script without spaces.

    >>> have_letters(pa.array(["dog", "2034", "b", "b 12 c", "犬", "개", "+"])).tolist()
    [True, False, False, True, True, True, False]
    """
    return pc.match_substring_regex(entries, f"(?s){PATTERN}").to_numpy(zero_copy_only=False)
