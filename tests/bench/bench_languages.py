"""Languages of texts against gold labels, by kind of text: what each rule of `curation.language.label_decisions` does.

Gold is made of the folder of real data (SHARED_DATA): captions of WIT, sentences of Wikipedia, words and phrases of the
wordnets. `witnesses` asks witnesses, where pages are a simulation, since no gold data has them: each text gets a page
that states its language, or, one of ten, `en`, as templates do that nobody translated. `pools` weighs texts in pools of
one language, of many and of 97 % English; a CSV file gets recall and precision of each language. `hosts` takes texts of
a crawl as gold for their own first words. `tables` prints the texts that say another language than most of their table.

    python tests/bench/bench_languages.py
    python tests/bench/bench_languages.py witnesses
    python tests/bench/bench_languages.py pools [languages.csv]
    python tests/bench/bench_languages.py hosts ../shared/data/wat ../shared/data/warc
    python tests/bench/bench_languages.py tables ../shared/data/pairs/web_1000.parquet
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
from zlib import crc32

import numpy as np
import pyarrow as pa
from evaluate_languages import evaluate_witnesses
from language_texts import cc3m

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from curation.inputs.files import find, read
from curation.language.engines import Identifier
from curation.language.label_decisions import WEIGHED_BYTES as HOST_BYTES
from curation.language.label_decisions import WEIGHED_ROWS as HOST_ROWS
from curation.language.label_decisions import LanguageRules, Stated, Surroundings, judge, weighed
from curation.url_hosts import hosts
from metadata import wordnet
from metadata.languages import of_label, of_wikipedia
from metadata.wikipedia import articles
from metadata.wikipedia import dump_files as files
from runtime.arrow import gather_rows
from runtime.tallies import TaskResult

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
WORDS = 3_000  # of each language's wordnet
LEAST = 30  # texts of a language in a balanced pool
FILES = 20  # pools of each kind
TRANSLATED = 0.9  # share of the pages of `pages` that state the language of the caption
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
            for batch in articles.articles(file, TaskResult()):
                for text in batch["text"].to_pylist():
                    for sentence in map(str.strip, re.split(r"(?<=[.!?。।؟])\s+|\n", text)):
                        if (8 if not sentence.isascii() else 20) <= len(sentence) <= 300:
                            yield "sentence", of_wikipedia(file.wikipedia).code, sentence


def _words() -> Iterator[tuple[str, str, str]]:
    words: dict[str, set[str]] = {}
    for file in wordnet.find([str(DATA / "wordnet" / name) for name in ("omw", "wiktionary", "english")]):
        words.setdefault(file.language.code, set()).update(wordnet.lemmas(file, Counter()))
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


def witnesses(rows: list[tuple[str, str, str]]) -> None:
    """Print what witnesses do to texts of each kind; the languages of pages are simulated, hosts are left out."""
    random, asked = Random(0), ("han", "page")
    for kind in dict.fromkeys(kind for kind, _, _ in rows):
        _, languages, texts = zip(*(row for row in rows if row[0] == kind), strict=True)
        stated = Stated.nothing(len(texts))
        pages = [code if random.random() < TRANSLATED else "en" for code in languages]
        stated = replace(stated, pages=pa.array(pages))
        columns = pa.array(texts, pa.large_string()), pa.array(languages)
        found = evaluate_witnesses(*columns, Identifier.open(), LanguageRules(witnesses=asked), stated)
        before = {row["language"]: row for row in found if not row["witnesses"]}
        print(f"\n{kind}: {len(texts):,} texts")
        for row in found:
            name, first = row["witnesses"] or "none", before[row["language"]]
            if row["language"] is None:
                print(f"{name:>10}: {_figures(row)}")
            elif min((row[each] or 0) - (first[each] or 0) for each in ("recall", "precision")) < -0.005:
                print(f"{'':>12}{row['language']} loses: {_figures(first)} to {_figures(row)}")


def pools(rows: list[tuple[str, str, str]], path: str | None = None) -> None:
    """Print what a plain cut by score, the page's word and weighing do to texts in pools of several kinds.

    `en`: recall of English; `others`: the mean recall of other languages, and the precision of their labels. The CSV
    file at `path` gets a row for each pool, way and language.
    """
    lines = ["kinds,words,pool,way,language,texts,recall,precision"]
    for kinds, words in ((("caption", "sentence"), 99), (("caption", "sentence"), 4), (("phrase", "word"), 99)):
        own: dict[str, list[str]] = {}
        for kind, code, text in rows:
            if kind in kinds:
                own.setdefault(code, []).append(_first(text, words))
        own = {code: sorted({*texts}) for code, texts in own.items() if len({*texts}) >= LEAST}
        english = [_first(text, words) for _, text in cc3m()] if "caption" in kinds else own["en"]
        for name, drawn in (("balanced", _balanced(own)), ("97 % English", _english(own, english))):
            print(f"\n{' and '.join(kinds)}s, at most {words} words, {name}")
            lines += [f"{' '.join(kinds)},{words},{name},{line}" for line in _weigh(drawn)]
        alone = {code: _answers(texts, [code] * len(texts), Random(0)) for code, texts in own.items()}
        shares = {code: [np.mean(each[name] == code) for name in ("labels", "pool")] for code, each in alone.items()}
        print("a language alone: {:.4f} to {:.4f}; worse:".format(*np.mean([*shares.values()], axis=0)), end=" ")
        print({code: (round(a, 3), round(b, 3)) for code, (a, b) in shares.items() if b < a - 0.005})
    if path:
        Path(path).write_text("\n".join(lines) + "\n")


def _balanced(own: dict[str, list[str]]) -> Iterator[list[tuple[str, str]]]:
    random = Random(0)
    for _ in range(FILES):
        yield [(code, text) for code, texts in own.items() for text in random.sample(texts, LEAST)]


def _english(own: dict[str, list[str]], english: list[str]) -> Iterator[list[tuple[str, str]]]:
    others = [(code, text) for code, texts in own.items() if code != "en" for text in texts]
    Random(0).shuffle(others)
    step = round(len(english) * 0.03 / 0.97)
    for begin in range(0, min(len(others), FILES * step), step):
        yield [*(("en", text) for text in english), *others[begin : begin + step]]


def _answers(texts: list[str], codes: list[str], random: Random) -> dict[str, np.ndarray]:
    """Return the languages that each way gives the texts of a file."""
    identifier, array = Identifier.open(), pa.array(texts, pa.large_string())
    labelled = identifier.predict(array)
    stated = pa.array([code if random.random() < TRANSLATED else "en" for code in codes])
    nothing, pages = pa.nulls(len(texts), pa.string()), pa.array([f"http://h/{row}" for row in range(len(texts))])
    found = {"labels": (LanguageRules(), Stated.nothing(len(texts)))}
    found |= {f"score {least}, en=0": (LanguageRules(least, {"en": 0.0}), None) for least in (0.5, 0.75)}
    found["han page"] = LanguageRules(witnesses=("han", "page")), Stated(stated, nothing)
    for name, places in (
        ("pool", Surroundings(nothing, nothing, nothing)),
        ("pool with pages", Surroundings(pages, nothing, stated)),
    ):
        given = weighed(array, labelled, identifier, places)
        found[name] = LanguageRules(witnesses=("han", "pool")), Stated(nothing, given)
    return {
        name: np.array(judge(array, *labelled, rules, each)[0].to_pylist()) for name, (rules, each) in found.items()
    }


def _weigh(drawn: Iterator[list[tuple[str, str]]]) -> list[str]:
    """Print what each way does, and return lines of it by language."""
    random, parts, lines = Random(0), [], []
    for file in drawn:
        codes, texts = map(list, zip(*file, strict=True))
        parts.append(_answers(texts, codes, random) | {"gold": np.array(codes)})
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    gold = found.pop("gold")
    masks = {code: gold == code for code in sorted({*gold.tolist()})}
    before = {code: np.mean(found["labels"][mask] == code) for code, mask in masks.items()}
    for name, given in found.items():
        recall = {code: np.mean(given[mask] == code) for code, mask in masks.items()}
        known = ~np.isin(given, ("en", "other"))
        others = np.mean([share for code, share in recall.items() if code != "en"])
        lost = sorted((100 * (recall[code] - before[code]), code) for code in masks)
        shown = ", ".join(f"{code} {points:.1f}" for points, code in lost[:4])
        precision = np.mean((given == gold)[known])
        print(f"{name:>18}: en {recall['en']:.4f}, others {others:.4f}, precision {precision:.4f}; most lost: {shown}")
        for code, mask in masks.items():
            right, said = recall[code], max(np.sum(given == code), 1)
            lines.append(f'"{name}",{code},{mask.sum()},{right:.4f},{right * mask.sum() / said:.4f}')
    return lines


def hosts_of_crawl(paths: list[str]) -> None:
    """Print how often the first words of sure texts get the language of the whole, by what is near them.

    Every second sure text of 25 characters or more is cut to its first words, and no longer speaks for its host.
    """
    identifier, right = Identifier.open(), {}
    for source in find(paths):
        for rows in gather_rows((each.filter(each["url"].is_valid()) for each in read(source)), HOST_ROWS, HOST_BYTES):
            before = rows["text"].to_pylist()
            labels, scores = identifier.predict(rows["text"])
            codes = judge(rows["text"], labels, scores, LanguageRules())[0].to_pylist()
            cut = [len(text) >= 25 and score >= 0.9 for text, score in zip(before, scores.to_pylist(), strict=True)]
            cut = [each and hash_of(text) % 2 == 0 for each, text in zip(cut, before, strict=True)]
            texts = pa.array(
                [_first(text, 2)[:14] if own else text for text, own in zip(before, cut, strict=True)],
                pa.large_string(),
            )
            labelled = identifier.predict(texts)
            hosts_of = hosts(rows["page_url"], str.lower)
            nothing = pa.nulls(len(texts), pa.string())
            found = {"labels": judge(texts, *labelled, LanguageRules())[0]}
            for name, places in (
                ("file", Surroundings(nothing, nothing, nothing)),
                ("host", Surroundings(nothing, hosts_of, nothing)),
                ("page", Surroundings(rows["page_url"], hosts_of, rows["page_language"])),
            ):
                given = weighed(texts, labelled, identifier, places)
                rules = LanguageRules(witnesses=("han", "pool"))
                found[name] = judge(texts, *labelled, rules, Stated(nothing, given))[0]
            for name, answers in found.items():
                own = right.setdefault(name, Counter())
                for code, answer, is_cut in zip(codes, answers.to_pylist(), cut, strict=True):
                    own.update(texts=is_cut, right=is_cut and code == answer)
    for name, own in right.items():
        print(f"{name:>8}: {own['right'] / own['texts']:.4f} of {own['texts']:,}")


def tables(paths: list[str]) -> None:
    """Print how many texts say another language than most, by the labels and by `pool`, and the latter texts."""
    for source in find(paths):
        rows = (each.filter(each["url"].is_valid()) for each in read(source))
        texts = pa.array(sorted({text for each in rows for text in each["text"].to_pylist()}), pa.large_string())
        labelled, nothing = Identifier.open().predict(texts), pa.nulls(len(texts), pa.string())
        given = weighed(texts, labelled, Identifier.open(), Surroundings(nothing, nothing, nothing))
        rules = LanguageRules(witnesses=("han", "pool"))
        labels, found = (
            judge(texts, *labelled, LanguageRules())[0],
            judge(texts, *labelled, rules, Stated(nothing, given))[0],
        )
        ((most, _),) = Counter(found.to_pylist()).most_common(1)
        said = [sum(code not in (most, "other") for code in each.to_pylist()) for each in (labels, found)]
        print(f"{source.path}: of {len(texts):,} texts {said[0]:,} by labels, {said[1]:,} by pool")
        for code, score, text in zip(found.to_pylist(), labelled[1].to_pylist(), texts.to_pylist(), strict=True):
            if code not in (most, "other"):
                print(f"{code:>8} {score:.2f} {text}")


def hash_of(text: str) -> int:
    """Return a number of a text that is the same in each process."""
    return crc32(text.encode())


def _first(text: str, words: int) -> str:
    return " ".join(text.split()[:words]) if " " in text else text[: 4 * words]


def _figures(row: dict) -> str:
    shares = ", ".join(f"{name} {row[name] or 0:.4f}" for name in ("right", "right_before", "recall", "precision"))
    return f"decided {row['decided'] / row['texts']:.4f}, {shares}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["witnesses"]:
            witnesses(gold())
        case ["pools", *paths]:
            pools(gold(), *paths)
        case ["hosts", *paths]:
            hosts_of_crawl(paths)
        case ["tables", *paths]:
            tables(paths)
        case _:
            rules(gold())
