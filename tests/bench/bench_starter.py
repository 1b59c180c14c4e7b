"""Captions with a match, and names of things that are entries, by language: wordnets, starter (wordfreq), and both.

Captions are those of the folder of real data (SHARED_DATA): Conceptual Captions, WIT with its gold languages, and texts
of links whose language the model gives a score of 0.5. A match is an entry with letters. Names of things are the words
of a fifth of the synsets of animals, artefacts, body parts, food, natural objects and plants, drawn by hash; builds for
them lack these synsets in all wordnets, so a name is found only if it has another sense or is a frequent word.

    python tests/bench/bench_starter.py
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from language_texts import DATA, cc3m, links, wit

from curation.language.engines import Identifier
from curation.language.label_decisions import LanguageRules, judge
from curation.matching.matcher import Matcher
from metadata import wordnet
from metadata.build import Build, merged_entries
from metadata.config import MetadataConfig
from metadata.entries import Entries
from metadata.sources import Sources
from runtime.folders.parts import Parts

CONCRETE = {"05", "06", "08", "13", "17", "20"}  # files of Princeton's lexicographers
HELD_OUT = 5  # a synset of so many
LEAST = 100  # captions of a language, and names
NONE = Path("none")


def main() -> None:
    """Print both tables."""
    with TemporaryDirectory() as folder:
        things = {code: sorted(words) for code, words in hold_out(Path(folder)).items()}
        print("| captions | number | wordnets | starter | both |\n| --- | --- | --- | --- | --- |")
        for name, code, texts in captions():
            shares = [matched(each, texts) for each in builds(code, DATA / "wordnet")]
            cells = [f"{100 * each:.1f}" for each in shares]
            print(f"| {name} | {len(texts):,} | {' | '.join(cells)} |", flush=True)
        print("\n| names of things | number | wordnets | starter | both | of one word | wordnets | starter | both |")
        print("| --- " * 9 + "|")
        for code in sorted(things):
            if len(things[code]) < LEAST:
                continue
            found = [set(each) for each in builds(code, Path(folder, "kept"))]
            one = [name for name in things[code] if " " not in name]
            cells = [cell for names in (things[code], one) for cell in (f"{len(names):,}", *recalls(names, found))]
            print(f"| {code} | {' | '.join(cells)} |", flush=True)


def recalls(names: list[str], builds: list[set[str]]) -> list[str]:
    return [f"{100 * sum(name in each for name in names) / len(names):.0f}" for each in builds]


def builds(code: str, wordnets: Path) -> Iterable[list[str]]:
    """Yield the entries of a language from wordnets, from wordfreq, and from both."""
    own, lists = wordnet.find([str(wordnets)]), Sources.find(frequencies=["wordfreq"]).frequencies
    for sources in (Sources(own), Sources(frequencies=lists), Sources(own, frequencies=lists)):
        build = Build(MetadataConfig(), sources, Parts(NONE, NONE))
        yield list(merged_entries(code, build.sources_of(code, defaultdict(Counter))).sources)


def matched(entries: list[str], texts: list[str]) -> float:
    """Return the share of texts with an entry that has letters."""
    lettered = Entries.build({"en": entries}).lettered
    kept = [entry for entry, has in zip(entries, lettered, strict=True) if has]
    if not kept:
        return 0.0
    found = Matcher.build(kept).find(pa.array(texts))
    return float(np.mean(np.diff(found.offsets.to_numpy()) > 0))


def captions() -> Iterable[tuple[str, str, list[str]]]:
    """Yield the name, the language and the distinct texts of each set of captions."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, texts in (("Conceptual Captions", cc3m()), ("WIT", wit())):
        for code, text in texts:
            found[name, code].append(text)
    web = pa.array([text for _, text in links() if text])
    labels, scores = Identifier.open(None).predict(web)
    languages, _ = judge(web, labels, scores, LanguageRules())
    for code, score, text in zip(languages.to_pylist(), scores.to_pylist(), web.to_pylist(), strict=True):
        if score >= 0.5 and code != "other":
            found["links", code].append(text)
    for (name, code), texts in sorted(found.items()):
        distinct = list(dict.fromkeys(texts))
        if len(distinct) >= LEAST:
            yield f"{name}, {code}", code, distinct


def hold_out(folder: Path) -> dict[str, set[str]]:
    """Write all wordnets without the synsets that are held out into a folder; return their words by language."""
    noun = DATA / "wordnet" / "english" / "data.noun"
    fields = (line.split(" ", 3) for line in noun.read_text("utf-8").splitlines() if not line.startswith("  "))
    held = {offset for offset, file, *_ in fields if file in CONCRETE and is_drawn(offset)}
    things: dict[str, set[str]] = defaultdict(set)
    for part in (*sorted(noun.parent.glob("data.*")), *sorted((DATA / "wordnet").glob("*/**/*.tab"))):
        kept, out = [], []
        for line in part.read_text("utf-8").splitlines():
            of_noun = part == noun or line[8:10] == "-n"
            (out if of_noun and line[:8] in held else kept).append(line)
        if part.suffix == ".tab":
            out = [kept[0], *out]
        for into, lines in ((folder / "kept", kept), (folder / "out", out)):
            path = into / part.parent.name / part.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", "utf-8")
    for file in wordnet.find([str(folder / "out")]):
        code = file.language.code
        things[code].update(wordnet.lemmas(file, Counter(), names_only=code == "en"))
    return things


def is_drawn(offset: str) -> bool:
    return blake2b(offset.encode(), digest_size=4).digest()[0] % HELD_OUT == 0


if __name__ == "__main__":
    main()
