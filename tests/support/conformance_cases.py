"""Make curation/conformance.json: inputs of the algorithm, and the results that its definitions give.

`python -m tests.support.conformance_cases` writes it. Results come from tests/naive, which shares no code with the
package. Characters are those that every supported Python reads alike.
"""

import json
import random
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from tests.naive.matching import naive_matches
from tests.naive.row_ids import naive_uid
from tests.naive.sampling import (
    naive_counts,
    naive_draw,
    naive_keep_probability,
    naive_rate,
    naive_sample,
    naive_tail_share,
    naive_threshold,
)
from tests.support.checkout import CASES, ROOT
from tests.support.matching import NASTY, RULES

FILE = ROOT / "curation" / "conformance.json"
VERSION = 1
# Relative, of floats; what is not named is exact.
TOLERANCE = {"tail_share": 1e-15, "thresholds": 1e-15, "rates": 1e-7, "keep_probability": 1e-12, "sample": 1e-12}
LONGEST = 400  # characters of a text
COUNTS = {
    "one entry": [7],
    "nothing was counted": [0, 0, 0],
    "no entries": [],
    "entries never seen do not count": [0, 1, 0, 3, 6, 0, 10],
    "all counts equal": [5] * 8,
    "two shares are equally near": [1, 9],
    "one entry holds nearly all": [1, 1, 1, 1, 1_000_000],
    "counts above 32 bits": [3, 2**31, 2**32 + 1, 2**40],
    "shares that no float holds": [1, 2, 3, 4, 5, 6, 7],
}
URLS = {
    "ASCII": ["https://example.org/a.jpg", "https://example.org/b.jpg"],
    "not ASCII, and empty": ["https://é.example/犬.png", "https://example.org/a.jpg?x=%C3%A9", ""],
    "seams of a block of 64 bytes": ["x" * length for length in (55, 56, 63, 64, 65, 119, 120, 1000)],
}
UIDS = {
    "as MD5 gives them": [f"{number:032x}" for number in (0, 1, 2, 255, 2**64, 2**128 - 1)],
    "of every length around a word of 8 bytes": ["", *("uid-4567890123456789"[:n] for n in (1, 7, 8, 9, 15, 16, 17))],
    "not ASCII": ["犬", "é", "e\u0301", "\U0001f600", "кот", "แมว"],
    "large numbers": ["18446744073709551615", "18446744073709551616", "340282366920938463463374607431768211456"],
    "long, where the length no longer fits a byte": ["u" * length for length in (255, 256, 257, 1000)],
}
SEEDS = (0, 1, 2**31, 2**53 - 1)
RATES = [1.0, 0.5, 0.25, 0.0078125, 0.75]  # of entries 0 to 4; floats of 32 bits hold them exactly
LISTS = {
    "each entry alone": [[0], [1], [2], [3], [4]],
    "several, which add up to less than their sum": [[1, 2], [1, 2, 3, 4], [2, 3], [0, 1, 2, 3, 4]],
    "none, and no list": [[], None],
}
OVERLAPPING = {
    "entries within entries": ("a hot dog stand", ["hot dog", "dog", "hot dog stand", "dog stand", "a hot", "stand a"]),
    "entries that overlap at a word": ("new york new york", ["new york", "york new", "new york new", "york"]),
    "the same entry twice": ("a dog", ["dog", "dog", "a dog", "a dog"]),
    "entries that overlap without spaces": ("東京都庁前", ["東京", "京都", "東京都", "都庁", "庁前", "前"]),
    "kana beside Latin": ("ラーメンramen食べる", ["ラーメン", "ramen", "メン", "食べる", "べ"]),
    "Thai without spaces": ("แมวและหมา", ["แมว", "หมา", "และ", "แม", "มา"]),
    "Khmer, Lao, Burmese and Tibetan": ("ខ្មែរ ລາວ မြန်မာ བོད་ཡིག", ["ខ្មែរ", "មែរ", "ລາວ", "ລ", "မြန်မာ", "မာ", "བོད"]),
    "composed and decomposed": ("caf\u00e9 cafe\u0301 CAFÉ", ["café", "cafe\u0301", "cafe", "CAFÉ"]),
    "an empty text": ("", ["a", " "]),
    "spaces alone": (" \t\n\u3000\u00a0 ", ["a", " ", "\u3000"]),
    "right to left": ("كلب و قطة, כלב", ["كلب", "قطة", "כלב", "كل"]),
}


def cases() -> Iterator[dict]:
    """Yield all cases: a function, a label, what it is given, and what it must give."""
    yield from _matching()
    yield _case("count", "null, empty and repeated lists", texts=[[0, 2], [2], None, [], [1, 2]], size=4)
    for label, counts in COUNTS.items():
        for t in (1, 3, 5, 20_000):
            yield _case("tail_share", f"{label}, t = {t}", counts=counts, t=t)
            yield _case("rates", f"{label}, t = {t}", counts=counts, t=t)
        for p in (0.0, 0.06, 0.25, 0.5, 0.55, 1.0):
            yield _case("threshold", f"{label}, p = {p}", counts=counts, p=p)
    languages = {"en": [1, 2, 7, 10, 100], "de": [1, 3, 6, 10], "ja": [0, 0], "sw": [4]}
    for t in (1, 5, 11, 1000):
        yield _case("thresholds", f"four languages, t = {t}", counts=languages, english_threshold=t)
    for label, entries in LISTS.items():
        yield _case("keep_probability", label, entries=entries, rates=RATES)
    for label, urls in URLS.items():
        yield _case("uids", label, urls=urls)
    for label, uids in UIDS.items():
        for seed in SEEDS:
            for purpose in ("keep", "text"):
                yield _case("draws", f"{label}, seed {seed}, {purpose}", seed=seed, purpose=purpose, uids=uids)
    for seed in SEEDS:
        yield _case("sample", f"40 images, seed {seed}", images=_images(seed), rates=RATES, seed=seed)


def _matching() -> Iterator[dict]:
    for rules in RULES:
        for number, case in enumerate(json.loads((CASES / f"matching_{rules}.json").read_text("utf-8"))):
            if len(case["text"]) <= LONGEST:
                label = f"{rules} {number}: {case['label']}"
                yield _case("match", label, texts=[case["text"]], entries=case["entries"], rules=rules)
        for label, (text, entries) in OVERLAPPING.items():
            yield _case("match", f"{rules}: {label}", texts=[text, None], entries=entries, rules=rules)
        for seed in range(12):
            texts, entries = _made_up(random.Random(seed))
            yield _case("match", f"{rules}: made up at random, {seed}", texts=texts, entries=entries, rules=rules)


def _made_up(chance: random.Random) -> tuple[list[str], list[str]]:
    """Return texts of characters that provoke trouble, and entries that are mostly cut from them."""
    letters = [each for each in NASTY if unicodedata.category(each) not in ("Cn", "Co")] + [" "] * 30
    texts = ["".join(chance.choices(letters, k=chance.randrange(1, 40))) for _ in range(4)]
    entries = ["犬", "a"]
    for text in texts * 3:
        begin = chance.randrange(len(text))
        entries.append(text[begin : begin + chance.randrange(1, 6)])
    return texts, [entry for entry in entries if entry]


def _images(seed: int) -> list[dict]:
    chance = random.Random(seed)
    lists = [sorted(chance.sample(range(len(RATES)), chance.randrange(1, 4))) for _ in range(120)]
    return [
        {"uid": naive_uid(f"https://example.org/{i}"), "texts": lists[3 * i : 3 * i + 1 + i % 3]} for i in range(40)
    ]


def _case(function: str, label: str, **given: object) -> dict:
    return {"function": function, "label": label, "given": given, "expected": EXPECTED[function](**given)}


def _thresholds(counts: dict[str, list[int]], english_threshold: int) -> dict:
    p = naive_tail_share(counts["en"], english_threshold)
    found = {code: naive_threshold(of_language, p) for code, of_language in counts.items()}
    return {"tail_share": float(p), "thresholds": found | {"en": english_threshold}}


def _sample(images: list[dict], rates: list[float], seed: int) -> list[dict]:
    rows = [
        {
            "uid": image["uid"],
            "url": None,
            "page_url": None,
            "candidates": [
                {"text": place, "language": None, "lid_score": None, "entries": entries, "page_url": None}
                for place, entries in enumerate(image["texts"])
            ],
        }
        for image in images
    ]
    kept = naive_sample(rows, rates, seed)
    return [{name: row[name] for name in ("uid", "text", "probability")} for row in kept]


EXPECTED = {
    "match": naive_matches,
    "count": naive_counts,
    "tail_share": lambda counts, t: float(naive_tail_share(counts, t)),
    "threshold": lambda counts, p: naive_threshold(counts, Fraction(str(p))),
    "thresholds": _thresholds,
    "rates": lambda counts, t: [naive_rate(count, t) for count in counts],
    "keep_probability": lambda entries, rates: [naive_keep_probability(ids, rates) for ids in entries],
    "uids": lambda urls: [naive_uid(url) for url in urls],
    "draws": lambda seed, purpose, uids: [naive_draw(seed, purpose, uid) for uid in uids],
    "sample": _sample,
}


def content() -> str:
    """Return the content of the file: JSON in ASCII, a line a case."""
    head = json.dumps({"version": VERSION, "tolerance": TOLERANCE})
    return f'{head[:-1]}, "cases": [\n' + ",\n".join(map(json.dumps, cases())) + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(content(), "ascii")
