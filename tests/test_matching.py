"""Matching a batch of images: identified, matched by language, and left out where nothing is found."""

import numpy as np
import pyarrow as pa

from curation.finders import Finders
from curation.matcher import Matcher
from curation.matching import Matching
from curation.schemas import IMAGES, MATCHED
from metadata import Entries
from metadata.tallies import Tallies

ENTRIES = Entries.build({"en": ["photo", "dog", "of"], "ja": ["猫", "写真"], "de": ["Hund", "of"]})


class OneLanguage:
    """Stands for an identifier; it finds all texts English."""

    def identify(self, texts, min_score):
        return pa.array(["en"] * len(texts), pa.string()), pa.array(np.full(len(texts), 0.75, np.float32))


def matching() -> Matching:
    return Matching(OneLanguage(), Finders(ENTRIES, lambda code, entries: Matcher.build(entries)))


def images(*rows) -> pa.RecordBatch:
    """Return images given as lists of (text, language)."""
    texts = [[{"text": t, "kind": "alt", "language": language} for t, language in row] for row in rows]
    ids = [f"{i:032x}" for i in range(len(rows))]
    columns = [pa.array(ids), pa.array([f"http://x/{i}" for i in ids]), pa.nulls(len(rows), pa.string())]
    return pa.RecordBatch.from_arrays([*columns, pa.array(texts, IMAGES.field("texts").type)], schema=IMAGES)


def found(batch: pa.RecordBatch) -> list[list[tuple]]:
    rows = matching().match(batch, Tallies()).to_pylist()
    return [[(c["text"], c["language"], c["entries"]) for c in row["candidates"]] for row in rows]


def test_ids_are_global_and_of_the_text_s_own_language():
    batch = images([("photo of a dog", None)], [("猫の写真", "ja")], [("Hund of", "deu_Latn")])
    assert found(batch) == [
        [("photo of a dog", "en", [0, 1, 2])],
        [("猫の写真", "ja", [ENTRIES.ids("ja").start, ENTRIES.ids("ja").start + 1])],
        [("Hund of", "de", [ENTRIES.ids("de").start, ENTRIES.ids("de").start + 1])],
    ]


def test_texts_without_a_match_are_left_out_and_so_are_images_without_texts():
    batch = images([("zzz", None)], [("zzz", None), ("dog", None), ("dog", "sw")], [], [("photo", None)])
    assert found(batch) == [[("dog", "en", [1])], [("photo", "en", [0])]]


def test_a_given_language_has_no_score():
    row = matching().match(images([("dog", None), ("Hund", "de")]), Tallies()).to_pylist()[0]
    assert [c["lid_score"] for c in row["candidates"]] == [0.75, None]


def test_tallies_say_what_was_identified_and_matched():
    tallies = Tallies()
    matching().match(images([("dog", None), ("zzz", None), ("Hund", "de")]), tallies)
    assert tallies.by_language("language.texts") == {"de": 1, "en": 2}
    assert tallies.by_language("language.matched") == {"de": 1, "en": 1}
    assert tallies.by_language("language.identified") == {"de": 0, "en": 2}
    assert tallies.by_language("language.score") == {"de": 0, "en": 1.5}


def test_no_rows_and_slices():
    batch = images([("dog", None)], [("photo", None), ("猫", "ja")], [("zzz", None)])
    assert matching().match(batch.slice(0, 0), Tallies()).schema == MATCHED
    assert found(batch.slice(1)) == [[("photo", "en", [0]), ("猫", "ja", [ENTRIES.ids("ja").start + 0])]]
