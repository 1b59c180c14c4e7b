"""Pairs, entries and captions for tests of --match-captions, with the counts that a naive twin gives."""

import math
from functools import cache
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from curation import CurationConfig, Options, Results, curate
from curation.matching.matching import Matching
from curation.plugins.gate.options import GateOptions
from metadata import Entries

LISTS = {"en": ["dog", "cat", "photo", "the"], "de": ["hund", "das", "ein"], "ja": ["犬", "猫", "写真"]}
ENTRIES = Entries.build(LISTS)
WORDS = [
    "the photo shows a dog on a meadow",
    "das ist ein Foto von einem Hund auf einer Wiese",
    "犬の写真です。猫もいます。",
    "nothing of this is listed anywhere else",
    "  the cat\nsleeps on the sofa and the dog watches it closely ",
    None,
    " \n",
    "the dog " * 2_000,
]


@cache
def matching() -> Matching:
    return Matching.of(ENTRIES)


def find(text: str) -> tuple:
    (row,) = matching().find([text]).to_pylist()
    return row["language"], row["lid_score"], row["entries"]


def captions_of(images: list[dict], chance: Random) -> list[dict]:
    """Return none, one or several captions of each image, and some of others, in an order that is drawn."""
    rows = []
    for uid in [*(row["uid"] for row in images), *"abc"]:
        for number in range(chance.choice([0, 1, 1, 2, 4])):
            caption = chance.choice(WORDS)
            score = chance.choice([None, 0.5, 0.5, 1.0, math.nan])
            rows.append({"uid": uid, "caption": caption and f"{caption}{number}", "score": score})
    chance.shuffle(rows)
    return rows


def write_pairs(path: Path) -> None:
    """Write a table of pairs, some of which match."""
    chance = Random(3)
    texts = ["the dog", "a photo", "犬と猫の写真", "ein hund im garten", "zzz"]
    urls = [f"http://é.example/{chance.randrange(250)}.jpg" for _ in range(400)]
    pq.write_table(pa.table({"url": urls, "text": [chance.choice(texts) for _ in urls]}), path)


def write_captions(rows: list[dict], folder: Path, files: int) -> Path:
    """Write captions to so many files."""
    schema = pa.schema([("uid", pa.string()), ("caption", pa.string()), ("score", pa.float64())])
    folder.mkdir()
    each = -(-len(rows) // files)
    for number in range(files):
        part = pa.Table.from_pylist(rows[number * each : (number + 1) * each], schema)
        pq.write_table(part, folder / f"{number}.parquet")
    return folder


def run(engine, folder: Path, captions: Path | None = None, **more) -> Results:
    """Curate the pairs in a folder into its `run`, balanced by captions where there are any."""
    gate = GateOptions(match_captions=[str(captions)] if captions else [], **more)
    config = CurationConfig(english_threshold=20)
    inputs, options = [str(folder / "pairs.parquet")], Options(gate=gate)
    return curate(inputs, folder / "run", metadata=ENTRIES, config=config, options=options, engine=engine)


def rows_of(folder: Path) -> list[dict]:
    """Return the rows of a part of a run by uid."""
    return sorted(pq.read_table(folder).to_pylist(), key=lambda row: row["uid"])
