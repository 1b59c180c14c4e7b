"""A fastText model of a few whole words."""

import struct

WORDS = {"dog": (3.1, 0.0, 0.1), "犬": (0.0, 2.0, 0.2), "été": (0.3, 0.5, 1.0), "qapla'": (0.1, 0.0, 4.0)}
LABELS = {"eng_Latn": (1.0, 0.0, 0.0), "jpn_Jpan": (0.0, 1.0, 0.0), "tlh_Latn": (0.0, 0.0, 1.0)}


def model_bytes(words=WORDS, labels=LABELS, kind=3):
    """A fastText model of whole words with dense matrices and a softmax."""
    names = [(word.encode(), 0) for word in words] + [(b"__label__" + _bytes(label), 1) for label in labels]
    return b"".join(
        [
            struct.pack("<ii12id", 793712314, 12, 3, 5, 1, 1, 5, 1, 3, kind, 0, 0, 0, 100, 0.0001),
            struct.pack("<iiiqq", len(names), len(words), len(labels), 100, -1),
            *(name + b"\0" + struct.pack("<qb", 10, type_) for name, type_ in names),
            *(struct.pack("<?qq", False, len(rows), 3) + _floats(rows.values()) for rows in (words, labels)),
        ]
    )


def _bytes(label):
    return label if isinstance(label, bytes) else label.encode()


def _floats(rows):
    return b"".join(struct.pack("<3f", *row) for row in rows)
