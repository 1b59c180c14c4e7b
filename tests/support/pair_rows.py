"""Builders of PAIRS and CANDIDATES: a few fields of each row are given, the rest filled in."""

from random import Random

import numpy as np
import pyarrow as pa

from curation.language.label_decisions import LanguageRules
from curation.matching.finders import built_finders
from curation.matching.matching import Matching
from curation.schemas import CANDIDATES, PAIRS
from metadata import Entries

ENTRIES = Entries.build({"en": ["photo", "dog", "of"], "ja": ["猫", "写真"], "de": ["Hund", "of"]})
TEXTS = ["x", "é", "猫", "🐕 dog", "a photo of a dog", "xx", "x\u0301", "zz", "Hund", "dog " * 300]
PAGES = [None, "http://p/1", "http://p/ü", "http://p", "http://p/" + "q" * 2000]
GIVEN = [None, "en", "de", "ja", "sw"]


class OneLanguage:
    """Stands for an identifier; it finds all texts English."""

    def predict(self, texts):
        labels = pa.array(["en"] * len(texts), pa.string()).dictionary_encode()
        return labels, pa.array(np.full(len(texts), 0.75, np.float32))


def matching() -> Matching:
    return Matching(OneLanguage(), built_finders(ENTRIES, "unicode"), LanguageRules(check_scripts=False))


def pairs(*rows: dict) -> pa.RecordBatch:
    """Return PAIRS; what is left out follows from uid, text and given. Uids that end alike have one key."""
    return pa.RecordBatch.from_pylist([_pair(**row) for row in rows], PAIRS)


def _pair(uid: str, text: str, given: str | None = None, **more) -> dict:
    filled = {
        "key": ord(uid[-1]) << 40,
        "hash": len(text) - 3,  # a hash of uid and text, if a poor one: texts of one length collide
        "url": f"http://{uid}",
        "page_url": None,
        "signals": 0,
        "kind": "alt",
        "copies": 1,
        "shown": 1,
        "language": given or "en",
        "lid_score": None if given else (0.5, 0.25)[len(text) % 2],
        "entries": [len(text)] if len(text) % 2 else [],
        "judged": {1: "script", 3: "score", 4: "pool"}.get(len(text)),
    }
    return filled | {"uid": uid, "text": text, "given": given} | more


def random_record(random: Random, page: str | None) -> dict | None:
    place = {"file": random.choice(["ü.gz", "a"]), "offset": random.choice([0, 9, 10, 1 << 40])}
    return None if page is None else place


def random_pairs(random: Random, rows: int, images: int = 30, has_records: bool = True) -> pa.RecordBatch:
    """Return pairs with repeated texts, hashes and keys that collide, nulls, and strings that are not ASCII."""
    return pairs(
        *(
            {
                "uid": f"{random.randrange(images):02}{random.choice('aü')}",
                "text": random.choice(TEXTS),
                "given": random.choice(GIVEN),
                "page_language": random.choice([None, None, "en", "ja"]),
                "pool_language": random.choice([None, "en", "ja"]),
                "kind": random.choice(["alt", "title", "text"]),
                "copies": random.randrange(1, 4),
                "shown": random.randrange(4),
                "url": f"http://é/{random.randrange(5)}",
                "page_url": (page := random.choice(PAGES)),
                "record": random_record(random, page) if has_records else None,
                "signals": random.choice([0, 0, 1, 2, 5, 32, 1 << 30]),
                **stated_sizes(random),
            }
            for _ in range(rows)
        )
    )


def stated_sizes(random: Random) -> dict:
    return {f"stated_{side}": random.choice([None, None, 0, 1, 640, 999_999]) for side in ("width", "height")}


def candidates(*rows: dict) -> pa.RecordBatch:
    """Return CANDIDATES of url and text, and what else is given."""
    return pa.RecordBatch.from_pylist([{"kind": "alt", **row} for row in rows], CANDIDATES)


def random_candidates(random: Random, rows: int, images: int = 30) -> pa.RecordBatch:
    """Return candidates of few images, some with a uid or a language of their own."""
    return candidates(
        *(
            {
                "url": f"http://ü/{random.randrange(images)}.jpg",
                "text": random.choice(TEXTS),
                "kind": random.choice(["alt", "title"]),
                "page_url": random.choice(PAGES),
                "signals": random.choice([None, 0, 1, 3, 4, 16, 1 << 14, 3 << 14]),
                **stated_sizes(random),
                "uid": random.choice([None, None, None, "own", "自"]),
                "language": random.choice(GIVEN),
                "page_language": random.choice([None, "en", "ja"]),
                "pool_language": random.choice([None, None, "en", "ja"]),
            }
            for _ in range(rows)
        )
    )


def cut(rows: pa.RecordBatch, random: Random, parts: int) -> list[pa.RecordBatch]:
    """Return the rows in their order as slices of random sizes, some perhaps empty."""
    bounds = [0, *sorted(random.randrange(rows.num_rows + 1) for _ in range(parts - 1)), rows.num_rows]
    return [rows.slice(begin, end - begin) for begin, end in zip(bounds, bounds[1:], strict=False)]


def shuffled(rows: pa.RecordBatch, random: Random) -> pa.RecordBatch:
    """Return the rows in another order."""
    order = list(range(rows.num_rows))
    random.shuffle(order)
    return rows.take(pa.array(order, pa.int64()))
