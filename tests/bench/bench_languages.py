"""Languages of texts against gold labels, by kind of text: what each rule of `curation.language.judging` does.

Gold is made of the folder of real data (SHARED_DATA): captions of WIT, sentences of Wikipedia, words and phrases of the
wordnets. `calibrated` weighs labels by the corpus' own shares instead: scores of all labels by fastText itself, shares
by expectation maximisation, over texts drawn in the shares of languages that a run.json gives. `pages` is a simulation,
since no gold data has pages: each caption gets a page that states its language, or, one of ten, `en`, as templates do
that nobody translated.

    python tests/bench/bench_languages.py
    python tests/bench/bench_languages.py calibrated out/run.json
    python tests/bench/bench_languages.py pages
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import fasttext
import numpy as np
import pyarrow as pa

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.config import DOUBTFUL_SCORE  # noqa: E402
from curation.language.identify import Identifier, default_model  # noqa: E402
from curation.language.judging import LanguageRules, judge  # noqa: E402
from metadata.languages import of_label, of_wikipedia  # noqa: E402
from metadata.wikipedia import articles, files  # noqa: E402
from metadata.wordnet import formats  # noqa: E402

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
WORDS = 3_000  # of each language's wordnet
DRAWN = 8_000  # texts for `calibrated`
ROUNDS = 50
TRANSLATED = 0.9  # share of the pages of `pages` that state the language of the caption
FREQUENT = ("en", "de", "es", "fr")
RULES = {
    "labels alone": LanguageRules(check_scripts=False),
    "wrong script": LanguageRules(),
    "and no language": LanguageRules(check_kinds=True),
    "and score 0.5": LanguageRules(0.5, check_kinds=True),
    "and score 0.75": LanguageRules(0.75, check_kinds=True),
}


def gold() -> list[tuple[str, str, str]]:
    """Return kind, language and text of all rows."""
    return [*_captions(), *_sentences(), *_words()]


def _captions() -> Iterator[tuple[str, str, str]]:
    for file in sorted((DATA / "pairs" / "wit").iterdir()):
        for row in map(json.loads, file.read_text("utf-8").splitlines()):
            yield "caption", of_label(row["language"]).code, row["caption_reference_description"].replace("\n", " ")


def _sentences() -> Iterator[tuple[str, str, str]]:
    for folder in sorted((DATA / "wikipedia" / "mini").iterdir()):
        for file in files.find([str(folder)], language=folder.name):
            for batch in articles.articles(file, Counter()):
                for text in batch["text"].to_pylist():
                    for sentence in map(str.strip, re.split(r"(?<=[.!?。।؟])\s+|\n", text)):
                        if (8 if not sentence.isascii() else 20) <= len(sentence) <= 300:
                            yield "sentence", of_wikipedia(file.wikipedia).code, sentence


def _words() -> Iterator[tuple[str, str, str]]:
    words: dict[str, set[str]] = {}
    for file in formats.find([str(DATA / "wordnet" / name) for name in ("omw", "wiktionary", "english")]):
        words.setdefault(file.language.code, set()).update(formats.lemmas(file, Counter()))
    for code, lemmas in sorted(words.items()):
        for word in Random(0).sample(sorted(lemmas), min(WORDS, len(lemmas))):
            yield "phrase" if " " in word else "word", code, word


def rules(rows: list[tuple[str, str, str]]) -> None:
    """Print recall and precision by kind, and the languages whose recall a rule changes by more than a point."""
    kinds, languages = (np.array(column) for column in list(zip(*rows, strict=True))[:2])
    texts = pa.array([text for _, _, text in rows], pa.large_string())
    labels, scores = Identifier.open().predict(texts)
    found = {name: judge(texts, labels, scores, each) for name, each in RULES.items()}
    before = np.array(found["labels alone"][0].to_pylist())
    for kind in dict.fromkeys(kinds.tolist()):
        print(f"\n{kind}: {(kinds == kind).sum():,} texts")
        for name, (answers, reasons) in found.items():
            own, mask = np.array(answers.to_pylist()), kinds == kind
            right, known = own == languages, own != "other"
            print(
                f"{name:>16}: recall {right[mask].mean():.4f}, precision {right[mask & known].mean():.4f}; taken",
                f"{(mask & (own != before)).sum():,}, right before",
                f"{(mask & (own != before) & (before == languages)).sum():,};",
                dict(Counter(np.array(reasons.to_pylist(), object)[mask].tolist()).most_common(5)),
            )
            if not RULES[name].min_score:
                print(_lost(languages[mask], before[mask], own[mask]) or "                  no language loses a point")


def _lost(languages: np.ndarray, before: np.ndarray, after: np.ndarray) -> str:
    lines = []
    for code in sorted({*languages.tolist()}):
        own = languages == code
        first, second = (before[own] == code).mean(), (after[own] == code).mean()
        if first - second > 0.01:
            lines.append(f"                  {code}: recall {first:.3f} to {second:.3f} of {own.sum():,}")
    return "\n".join(lines)


def calibrated(rows: list[tuple[str, str, str]], path: str) -> None:
    """Print what weighing by the corpus' own shares does to frequent and other languages, beside plain scores."""
    shares = {code: row["texts"] for code, row in json.loads(Path(path).read_text())["languages"].items()}
    for kinds in (("caption", "sentence"), ("word", "phrase")):
        drawn = _drawn([row for row in rows if row[0] in kinds], shares)
        languages, (codes, scores) = np.array([code for _, code, _ in drawn]), _all_scores([row[2] for row in drawn])
        weights = scores.copy()
        for _ in range(ROUNDS):
            weights = scores * weights.mean(axis=0)
            weights /= weights.sum(axis=1, keepdims=True)
        print(f"\n{' and '.join(kinds)}s: {len(drawn):,} texts in the shares of {path}")
        for name, each in (("plain", scores), ("calibrated", weights)):
            answers, best = codes[each.argmax(axis=1)], each.max(axis=1)
            for least in (0.0, 0.5, 0.75):
                _print_rare(f"{name}, score {least}", languages, np.where(best >= least, answers, "other"))


def pages(captions: list[tuple[str, str, str]]) -> None:
    """Print recall and precision where the languages of pages, which are simulated, are ignored and used."""
    random, languages = Random(0), np.array([code for _, code, _ in captions])
    stated = pa.array([code if random.random() < TRANSLATED else "en" for code in languages.tolist()])
    texts = pa.array([text for _, _, text in captions], pa.large_string())
    labels, scores = Identifier.open().predict(texts)
    doubtful = scores.to_numpy() < DOUBTFUL_SCORE
    for name in ("wrong script", "and score 0.5"):
        for asked in (False, True):
            rules = replace(RULES[name], ask_pages=asked)
            answers = np.array(judge(texts, labels, scores, rules, stated)[0].to_pylist())
            right = answers == languages
            print(
                f"\n{name}, pages {'used' if asked else 'ignored'}:",
                _shares(right, languages != "", answers != "other"),
            )
            print(f"  doubtful ({doubtful.sum():,}):", _shares(right, doubtful, doubtful & (answers != "other")))
            for code in sorted({*languages.tolist()}):
                print(f"  {code}:", _shares(right, languages == code, answers == code))


def _shares(right: np.ndarray, own: np.ndarray, found: np.ndarray) -> str:
    return f"recall {right[own].mean():.3f}, precision {right[found].mean() if found.any() else 0:.3f}"


def _drawn(rows: list[tuple[str, str, str]], shares: dict[str, int]) -> list[tuple[str, str, str]]:
    counts = Counter(code for _, code, _ in rows)
    weights = [shares.get(code, 0) / counts[code] * (counts[code] >= 20) for _, code, _ in rows]
    return Random(0).choices(rows, weights, k=DRAWN)


def _all_scores(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the language of each label, and the score of each text and label."""
    model = fasttext.load_model(str(default_model())).f
    answers = [model.predict(text + "\n", -1, 0.0, "replace") for text in texts]
    labels = {label: place for place, label in enumerate(sorted({label for each in answers for _, label in each}))}
    scores = np.full((len(texts), len(labels)), 1e-9)
    for row, each in enumerate(answers):
        for score, label in each:
            scores[row, labels[label]] = max(score, 1e-9)
    return np.array([of_label(label).code for label in labels]), scores / scores.sum(axis=1, keepdims=True)


def _print_rare(name: str, languages: np.ndarray, answers: np.ndarray) -> None:
    rare, named = ~np.isin(languages, FREQUENT), ~np.isin(answers, (*FREQUENT, "other"))
    right = answers == languages
    print(
        f"{name:>22}: right {right.mean():.3f}; languages but {' '.join(FREQUENT)}:",
        f"recall {right[rare].mean():.3f}, precision {right[named].mean():.3f}",
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["calibrated", path]:
            calibrated(gold(), path)
        case ["pages"]:
            pages([*_captions()])
        case _:
            rules(gold())
