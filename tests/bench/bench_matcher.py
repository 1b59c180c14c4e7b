"""The matcher against its peers: texts a second on one core, at realistic size, and the ratios of their medians.

Every peer runs as a program would run it: pad the text as the `meta` rules say, search, put the ids into a set.
Needs the extra `bench`.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import ahocorasick
import ahocorasick_rs
import daachorse
import numpy as np
import pyarrow as pa
import symspellpy
import wordfreq

from curation import Matcher
from metadata.rules import meta_entry, meta_text

TEXTS, WORDS, REPEATS = 100_000, 10, 7
PEER_TEXTS = 10_000


def frequent(language: str, count: int) -> tuple[list[str], np.ndarray]:
    """Return the most frequent words of a language and the chance of each."""
    words = wordfreq.top_n_list(language, count, wordlist="large")
    chances = np.array([wordfreq.word_frequency(word, language, "large") for word in words])
    return words, chances / chances.sum()


def english() -> tuple[list[str], list[str]]:
    """Return 500,000 entries, of which 240,000 are bigrams, and texts of ten words."""
    words, chances = frequent("en", 260_000)
    path = Path(symspellpy.__file__).parent / "frequency_bigramdictionary_en_243_342.txt"
    bigrams = [line.rsplit(" ", 1)[0] for line in path.read_text("utf-8-sig").splitlines()]
    return [*dict.fromkeys(words + bigrams[:240_000])], drawn(words, chances, " ")


def chinese() -> tuple[list[str], list[str]]:
    """Return 450,000 entries, some of them pairs of frequent words, and texts of ten words."""
    words, chances = frequent("zh", 450_000)
    pairs = np.random.default_rng(1).choice(len(words), (400_000, 2), p=chances)
    entries = [*dict.fromkeys(words + [words[first] + words[second] for first, second in pairs])]
    return entries[:450_000], drawn(words, chances, "")


def drawn(words, chances, space: str) -> list[str]:
    rows = np.random.default_rng(0).choice(len(words), (TEXTS, WORDS), p=chances)
    return [space.join(words[place] for place in row) for row in rows]


def peers(entries: list[str]) -> dict:
    """Return for each peer a function from a text to the set of its entries' ids."""
    padded = [meta_entry(entry) for entry in entries]
    automaton = ahocorasick.Automaton()
    for place, entry in enumerate(padded):
        automaton.add_word(entry, place)
    automaton.make_automaton()
    rust, double_array = ahocorasick_rs.AhoCorasick(padded), daachorse.CharwiseDoubleArrayAhoCorasick(padded)
    return {
        "pyahocorasick": lambda text: {place for _, place in automaton.iter(meta_text(text))},
        "ahocorasick_rs": lambda text: {
            found[0] for found in rust.find_matches_as_indexes(meta_text(text), overlapping=True)
        },
        "daachorse": lambda text: {found[2] for found in double_array.find_overlapping(meta_text(text))},
    }


def seconds(run) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compare(name: str, entries: list[str], texts: list[str]) -> None:
    array, few = pa.array(texts), texts[:PEER_TEXTS]
    runs = {peer: (lambda find=find: [find(text) for text in few], len(few)) for peer, find in peers(entries).items()}
    for rules in ("unicode", "meta"):
        matcher = Matcher.build(entries, rules)
        runs[f"Matcher {rules}"] = (lambda matcher=matcher: matcher.find(array), len(texts))
        describe(f"{name} {rules}", matcher, entries, rules)
    took = {run: [] for run in runs}
    for _ in range(REPEATS):  # in turns, so that a busy moment of the machine meets all
        for run, (call, _) in runs.items():
            took[run].append(seconds(call))
    speeds = {run: runs[run][1] / statistics.median(times) for run, times in took.items()}
    ours = [speeds["Matcher unicode"], speeds["Matcher meta"]]
    print(f"{name}: {len(entries):,} entries, {len(texts):,} texts of {WORDS} words")
    print(f"  {'':16}{'texts/s':>12}{'unicode is':>14}{'meta is':>12}")
    for run, speed in speeds.items():
        print(f"  {run:16}{speed:12,.0f}" + "".join(f"{own / speed:11.1f} ×" for own in ours))


def describe(name: str, matcher: Matcher, entries: list[str], rules: str) -> None:
    """Print what building, saving and opening take."""
    matcher.find(["compiled"])
    with tempfile.TemporaryDirectory() as folder:
        built = seconds(lambda: Matcher.build(entries, rules))
        matcher.save(folder)
        size = sum(file.stat().st_size for file in os.scandir(folder))
        opened = min(seconds(lambda: Matcher.open(folder)) for _ in range(5))
    print(f"{name}: built in {built:.2f} s, {size / len(entries):.0f} bytes an entry, opened in {opened * 1000:.0f} ms")


if __name__ == "__main__":
    compare("English", *english())
    compare("Chinese", *chinese())
