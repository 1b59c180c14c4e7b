"""Languages of texts against gold labels, by kind of text: what each rule of `curation.language.judging` does.

Gold is made of the folder of real data (SHARED_DATA): captions of WIT, sentences of Wikipedia, words and phrases of the
wordnets. `calibrated` weighs labels by the corpus' own shares instead: scores of all labels by fastText itself, shares
by expectation maximisation, over texts drawn in the shares of languages that a run.json gives. `witnesses` asks
witnesses, where pages are a simulation, since no gold data has them: each text gets a page that states its language,
or, one of ten, `en`, as templates do that nobody translated. `hosts` takes texts of a crawl as gold for their own
first words.

    python tests/bench/bench_languages.py
    python tests/bench/bench_languages.py calibrated out/run.json
    python tests/bench/bench_languages.py witnesses
    python tests/bench/bench_languages.py hosts ../shared/data/wat ../shared/data/warc
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
import pyarrow.compute as pc

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.config import SURE_SCORE
from curation.exclusion.lists import hosts
from curation.inputs.files import find, read
from curation.language.engines import Identifier, default_model
from curation.language.judging import LEAST, SHARE, LanguageRules, Stated, judge
from curation.leaves.language_evaluation.evaluation import evaluate_witnesses
from curation.run.tasks import BYTES as HOST_BYTES
from curation.run.tasks import ROWS as HOST_ROWS
from metadata.languages import of_label, of_wikipedia
from metadata.wikipedia import articles, files
from metadata.wordnet import readers
from runtime.arrow import gather_rows

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
    for file in readers.find([str(DATA / "wordnet" / name) for name in ("omw", "wiktionary", "english")]):
        words.setdefault(file.language.code, set()).update(readers.lemmas(file, Counter()))
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


def witnesses(rows: list[tuple[str, str, str]]) -> None:
    """Print what witnesses do to texts of each kind; the languages of pages are simulated, hosts are left out."""
    random, asked = Random(0), ("han", "page")
    for kind in dict.fromkeys(kind for kind, _, _ in rows):
        _, languages, texts = zip(*(row for row in rows if row[0] == kind), strict=True)
        stated = Stated.nothing(len(texts))
        pages = [code if random.random() < TRANSLATED else "en" for code in languages]
        stated = replace(stated, pages=pa.array(pages))
        columns = pa.array(texts, pa.large_string()), pa.array(languages)
        found = evaluate_witnesses(*columns, Identifier.open(), LanguageRules(witnesses=asked), stated).to_pylist()
        before = {row["language"]: row for row in found if not row["witnesses"]}
        print(f"\n{kind}: {len(texts):,} texts")
        for row in found:
            name, first = row["witnesses"] or "none", before[row["language"]]
            if row["language"] is None:
                print(f"{name:>10}: {_figures(row)}")
            elif min((row[each] or 0) - (first[each] or 0) for each in ("recall", "precision")) < -0.005:
                print(f"{'':>12}{row['language']} loses: {_figures(first)} to {_figures(row)}")


def hosts_of_crawl(paths: list[str]) -> None:
    """Print how often hosts know the language of a text, by score and by language.

    A sure text of 25 characters or more in files of pairs is cut to its first words, whose language is that of the
    whole; the text itself does not count for its host.
    """
    by_score, by_language = {}, {}
    for source in find(paths):
        for rows in gather_rows((each.filter(each["url"].is_valid()) for each in read(source)), HOST_ROWS, HOST_BYTES):
            for score, code, label, host in _cut(rows):
                for table, name in ((by_score, f"score {min(int(score * 4), 3) / 4:.2f}"), (by_language, code)):
                    if table is by_score or score < SURE_SCORE:
                        own = table.setdefault(name, Counter())
                        own.update(texts=1, label=label == code)
                        own.update(decided=1, host=host == code, label_of_these=label == code) if host else None
    for table in (by_score, by_language):
        for name, own in sorted(table.items(), key=lambda each: (table is by_language and -each[1]["texts"], each[0])):
            print(f"{name:>10}: {dict(own)}")


def _cut(rows: pa.RecordBatch) -> Iterator[tuple[float, str, str, str | None]]:
    """Yield score and label of the first words of each different sure text, its own language and that of its host."""
    identifier, urls = Identifier.open(), pc.coalesce(rows["page_url"], rows["url"])
    own, (labels, scores) = hosts(urls, str.lower), identifier.predict(rows["text"])
    codes = judge(rows["text"], labels, scores, LanguageRules())[0].to_pylist()
    counts: dict[str, Counter[str]] = {}
    each = {
        (text, host): (code, score)
        for text, host, code, score in zip(
            rows["text"].to_pylist(), own.to_pylist(), codes, scores.to_pylist(), strict=True
        )
        if score >= SURE_SCORE and code != "other"
    }
    for (_, host), (code, _) in each.items():
        counts.setdefault(host, Counter())[code] += 1
    whole = [key for key, (_, score) in each.items() if score >= 0.9 and len(key[0]) >= 25]
    parts = [" ".join(text.split()[:2])[: 14 if text.isascii() or " " in text else 3] for text, _ in whole]
    labels, scores = identifier.predict(pa.array(parts, pa.string()))
    for key, label, score in zip(whole, labels.to_pylist(), scores.to_pylist(), strict=True):
        code = each[key][0]
        others = counts[key[1]] - Counter([code])
        told, most = others.most_common(1)[0] if others else (None, 0)
        enough = others.total() >= LEAST and most >= SHARE * others.total()
        yield score, code, of_label(label).code, told if enough else None


def _figures(row: dict) -> str:
    shares = ", ".join(f"{name} {row[name] or 0:.4f}" for name in ("right", "right_before", "recall", "precision"))
    return f"decided {row['decided'] / row['texts']:.4f}, {shares}"


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
        case ["witnesses"]:
            witnesses(gold())
        case ["hosts", *paths]:
            hosts_of_crawl(paths)
        case _:
            rules(gold())
