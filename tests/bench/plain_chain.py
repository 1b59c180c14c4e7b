"""The chain as a first program would have it, and as the papers describe it: one text after the other, plain Python.

Gzip lines → json → links → fastText → padding and pyahocorasick → JSON lines → a loop over them for the sampling. It is
what `bench_chain` compares with; what it needs from this project are the entries, the model and the namespace of rules.
"""

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from urllib.parse import urljoin

import ahocorasick
import fasttext

from curation import threshold
from curation.language.engines import default_model
from metadata.languages import of_label
from metadata.rules import meta_entry, meta_text


def candidates(path: Path):
    """Yield URL and text of each image of a WAT file."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith("{"):
                continue
            try:
                envelope = json.loads(line)["Envelope"]
                page = envelope["WARC-Header-Metadata"]["WARC-Target-URI"]
                links = envelope["Payload-Metadata"]["HTTP-Response-Metadata"]["HTML-Metadata"]["Links"]
                images = [link for link in links if link.get("path") == "IMG@/src" and link.get("alt", "").strip()]
                stated = [(urljoin(page, link["url"]), link["alt"]) for link in images if "url" in link]
            except (ValueError, TypeError, KeyError, AttributeError):  # the sample has broken records
                continue
            for url, text in stated:
                if url.startswith("http"):
                    yield url, " ".join(text.split())


class PlainChain:
    """Automata and model, loaded once."""

    def __init__(self, entries):
        self._model = fasttext.load_model(str(default_model())).f
        self._automata = {code: automaton_of(entries.of(code).to_pylist()) for code in entries.languages}

    def match(self, path: Path, out: Path) -> int:
        """Write a JSON line for each text with a match; return the number of texts."""
        texts = 0
        with out.open("a", encoding="utf-8") as file:
            for url, text in candidates(path):
                texts += 1
                label = self._model.predict(text + "\n", 1, 0.0, "strict")
                language = of_label(label[0][1]).code if label else "other"
                automaton = self._automata.get(language)
                ids = sorted({id for _, id in automaton.iter(meta_text(text))}) if automaton else []
                if ids:
                    row = {"url": url, "text": text, "language": language, "entries": ids}
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return texts


def sample(matched: Path, out: Path, tail_share: float) -> int:
    """Count, then keep each row with the probability of its entries, by one t; return the number of rows kept."""
    counts: Counter = Counter()
    with matched.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            counts.update((row["language"], id) for id in row["entries"])
    t = threshold(list(counts.values()), tail_share)
    kept = 0
    with matched.open(encoding="utf-8") as file, out.open("w", encoding="utf-8") as curated:
        for line in file:
            row = json.loads(line)
            for id in row["entries"]:
                if random.random() < min(1.0, t / counts[row["language"], id]):
                    curated.write(line)
                    kept += 1
                    break
    return kept


def automaton_of(entries: list[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for id, entry in enumerate(entries):
        automaton.add_word(meta_entry(entry), id)
    automaton.make_automaton()
    return automaton
