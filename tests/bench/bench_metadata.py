"""Build the n-grams of a made-up English Wikipedia of any size on two cores; print time and peak memory.

python tests/bench/bench_metadata.py [GB] [FOLDER]   # a quarter of a GB; FOLDER keeps the texts for another run

Words have Zipf's frequencies over a vocabulary of three million. Every other word follows the one before it in nine of
ten cases, and by chance else, so that pairs recur as in real text, and most distinct pairs are rare.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import usage

ROOT = Path(__file__).parents[2]
VOCABULARY = 3_000_000
WORDS = 500  # of an article
FILE_BYTES = 250_000_000
BATCH = 4_000  # articles
SEED = 7

SYLLABLES = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]


def vocabulary() -> pa.Array:
    """Return the words by rank, and then the same words with a comma."""
    ranks, words = np.arange(VOCABULARY), [""] * VOCABULARY
    for _ in range(4):
        syllables = np.array(SYLLABLES)[ranks % len(SYLLABLES)]
        words = np.where(ranks > 0, np.char.add(syllables, words), words)
        ranks = ranks // len(SYLLABLES)
    words = pa.array(np.where(words == "", "a", words).tolist())
    return pa.concat_arrays([words, pc.binary_join_element_wise(words, ",", "")])


def zipf(uniform: np.ndarray) -> np.ndarray:
    """Return ranks below VOCABULARY whose frequency is inverse to their rank."""
    return (VOCABULARY**uniform).astype(np.int64) - 1


def articles(chance: np.random.Generator, words: pa.Array) -> pa.Array:
    """Return the texts of a batch of articles."""
    size = BATCH * WORDS // 2
    first, other = zipf(chance.random(size)), zipf(chance.random(size))
    choice = (4 ** chance.random(size) * 4).astype(np.uint64)  # of some words that follow the first
    mixed = (first.astype(np.uint64) * np.uint64(16) + choice) * np.uint64(0x9E3779B97F4A7C15)
    follower = zipf((mixed >> np.uint64(11)).astype(float) * 2.0**-53)
    second = np.where(chance.random(size) < 0.9, follower, other)
    second += VOCABULARY * (chance.random(size) < 0.9)
    strings = words.take(pa.array(np.stack([first, second], axis=1).ravel()))
    offsets = pa.array(np.arange(0, BATCH * WORDS + 1, WORDS, dtype=np.int32))
    return pc.binary_join(pa.ListArray.from_arrays(offsets, strings), " ")


def make(folder: Path, size: int) -> int:
    """Write Parquet files of FILE_BYTES of text, together at least `size`, if they are missing; return the bytes."""
    words, written = None, 0
    for number in range(-(-size // FILE_BYTES)):
        path = folder / f"enwiki-{number:03}.parquet"
        if not path.exists():
            words = words or vocabulary()
            make_file(path, number, words)
        written += int(pq.read_metadata(path).metadata[b"bytes"])
    return written


def make_file(path: Path, number: int, words: pa.Array) -> None:
    chance, texts, written = np.random.default_rng([SEED, number]), [], 0
    while written < FILE_BYTES:
        texts.append(articles(chance, words))
        written += pc.sum(pc.binary_length(texts[-1])).as_py()
    rows = sum(map(len, texts))
    table = pa.table({"title": [f"Article {number} {row}" for row in range(rows)], "text": pa.chunked_array(texts)})
    part = path.with_suffix(".part")
    pq.write_table(table.replace_schema_metadata({"bytes": str(written)}), part, row_group_size=10_000)
    part.rename(path)


def main(size: float, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = make(folder, int(size * 1e9))
    files = sorted(map(str, folder.glob("enwiki-*.parquet")))[: -(-int(size * 1e9) // FILE_BYTES)]
    with tempfile.TemporaryDirectory(dir=folder) as output:
        job = ["spark-submit", "--master", "local[2]", str(ROOT / "jobs/build_metadata.py")]
        used = usage.run([*job, "--wikipedia", *files, "--output", output], cwd=ROOT)
        facts = json.loads(Path(output, "metadata.json").read_text("utf-8"))
    counts = facts["wikipedia"]["en"]
    print(f"{written / 1e9:.2f} GB of text, {counts['words']:,} words, {counts['distinct_words']:,} distinct ones,")
    print(f"{counts['distinct_pairs']:,} distinct pairs; {facts['entries']:,} entries, digest {facts['digest']}")
    print(
        f"{used.wall:.0f} s; "
        + "; ".join(f"{kind}: {used.cpu[kind]:.0f} s, peak {used.peak[kind]:,.0f} MB" for kind in used.peak)
    )


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    main(float(arguments.get(1, 0.25)), Path(arguments.get(2, "/tmp/made-up-wikipedia")))
