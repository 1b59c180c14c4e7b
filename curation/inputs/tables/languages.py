"""Read the languages that tables state as codes, and count the labels that are not known."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from metadata.languages import OTHER, of_stated
from runtime.tallies import UNKNOWN

UNKNOWN_LANGUAGE = f"{UNKNOWN}language."  # before a label: the tally of the rows with it; alone, of all further labels
MOST = 100  # labels of one file that are counted apart: a column may hold millions, where it is one of texts
LONGEST = 40  # characters of a label that are kept


def coded(stated: pa.Array) -> pa.StringArray:
    """Return the code of each language that is stated; labels that are not known mean `other`, null gives null."""
    labels = stated.dictionary_encode()
    codes = [None if label is None else (of_stated(label) or OTHER).code for label in labels.dictionary.to_pylist()]
    return pa.array(codes, pa.string()).take(labels.indices)


def count_unknown(stated: pa.Array, tally: Counter[str]) -> None:
    """Count the rows of each label that is not known, as many labels apart as MOST."""
    for label, rows in unknown_labels(stated).items():
        name = f"{UNKNOWN_LANGUAGE}{label}"
        if name not in tally and sum(each.startswith(UNKNOWN_LANGUAGE) for each in tally) >= MOST:
            name = UNKNOWN_LANGUAGE
        tally[name] += rows


def unknown_labels(stated: pa.Array) -> Counter[str]:
    """Return the number of rows of each label that is not known, cut to LONGEST characters."""
    found: Counter[str] = Counter()
    for each in pc.value_counts(stated.drop_null()).to_pylist():
        if each["values"] and not of_stated(each["values"]):
            found[each["values"][:LONGEST]] += each["counts"]
    return found
