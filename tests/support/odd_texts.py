"""Texts that are hard on what identifies languages: spaces of all kinds, marks, labels, long words."""

from hypothesis import strategies as st

from tests.support.language_models import WORDS

ODD = [
    "</s>",
    "<",
    ">",
    "</s",
    "s>",
    "__label__en",
    "__label__",
    "__label_",
    "_" * 9,
    "\ufeff",
    "\u200b",
    "\u00ad",
    "é",
    "🐕",
]
SPACES = [" ", "\t", "\n", "\v", "\f", "\r", "\0", "\u00a0", "\u3000", "\x1c", "\x85", "\u2028"]
PIECES = st.sampled_from([*WORDS, *ODD, *SPACES, "x" * 62, "x" * 63, "x" * 64, "犬" * 21, "犬" * 22]) | st.text(
    max_size=6
)
TEXTS = st.lists(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=200), max_size=6)
BYTES = st.lists(st.binary(max_size=100) | st.binary(min_size=60, max_size=70), max_size=6)
