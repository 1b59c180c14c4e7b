"""Made-up runs for the tests of the report, and a reader of its page."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from curation.balancing.thresholds import EntryCounts, Thresholds, rates_of
from curation.config import CurationConfig
from curation.inputs.candidates import UNKNOWN_LANGUAGE
from curation.inputs.limits import DAMAGED
from curation.report.facts import Run
from curation.report.page import render
from metadata.entries import Entries
from runtime.tallies import TaskResult
from tests.support.hostile_strings import EVERY

LISTS = {"en": ["dog", "cat", "the", "red dog", "<script>alert(1)</script>"], "he": ["כלב", "חתול"], "ja": ["犬", "猫"]}
COUNTS = [900, 40, 12_000, 7, 3, 500, 2, 60, 0]


def tallies(of_language=None, **sums) -> TaskResult:
    result = TaskResult()
    result.count(sums)
    for code, named in (of_language or {}).items():
        for name, value in named.items():
            result.add(name, value, language=code)
    return result


def finished(
    lists=LISTS, counts=COUNTS, english_threshold=20, inputs=(), dropped=(("not_http", 1_234),)
) -> tuple[Run, np.ndarray]:
    entries = Entries.build(lists)
    counts = EntryCounts(np.array(counts, np.int64), entries.digest)
    thresholds = Thresholds.of(counts.by_language(entries.languages), english_threshold)
    of_language = {"en": {"texts": 20_000, "identified": 20_000, "matched": 12_500, "score": 18_000.0}}
    of_language["en"] |= {"doubtful": 5_000, "other_script": 40}
    of_language["he"] = {"texts": 1_000, "identified": 0, "matched": 501}
    matched = tallies(of_language, files=2, pages=70, pairs=30_000, images=20_500)
    matched.count({("dropped", reason): number for reason, number in dropped})
    kept = {
        "en": {"kept": 300, "expected": 310.5, "kept_doubtful": 30, "kept_without_letters": 4},
        "he": {"kept": 12, "expected": 11.0},
    }
    curated = tallies(kept, images=13_000, expected_images=321.5, variance=289)
    kept_counts = EntryCounts(counts.values // 3, entries.digest)
    made_from = {"inputs": list(inputs), "metadata": "d1"}
    run = Run(CurationConfig(), made_from, entries, counts, thresholds, matched, curated, kept_counts)
    return run, rates_of(counts.values, entries.languages, thresholds)


def hostile(texts: Sequence[str] = EVERY) -> tuple[Run, np.ndarray, list[dict]]:
    """Return a run, its rates and rows of its manifest, in which all that comes from outside is hostile."""
    entries = [text for text in texts if text.strip()]
    counts = [900 - number for number in range(len(entries))]
    run, rates = finished({"en": entries}, counts, inputs=[{"path": f"/d/{text}", "size": 5} for text in texts])
    for number, text in enumerate(texts):
        for name in ("dropped", "undetermined", UNKNOWN_LANGUAGE):
            run.matched.add(name, 100_000 + number, item=text)
        run.matched.note(DAMAGED, [text, 100_000 + number, 0])
    run.matched.add("matched_images", 20_000)
    run.made_from.update(model={"name": texts[0], "digest": texts[1]}, rules=texts[2])
    counted = {"failed": 9, "alone": 8, "removed": 9, "removed_texts": {"en": 5}}
    gate = {
        "tables": [{"name": text, "found": 7, "differing": 3, "example": text} for text in texts],
        "conditions": [counted | {"text": text} for text in texts],
        "texts": [counted | {"text": text} for text in texts],
        "unmirrored": dict.fromkeys(texts, 4),
    }
    run = replace(
        run,
        downloads={"folders": list(texts), "images": dict.fromkeys(texts, 70)},
        gate=gate,
        passed_over=dict(zip(texts, texts, strict=True)),
        lineage=[{"inputs": [{"path": text} for text in texts]}],
    )
    common = {text: dict.fromkeys(("url", "page_url", "uid", "language"), text) for text in texts}
    return run, rates, [row(f"dog {text}", [*range(len(entries))], **common[text]) for text in texts]


def nothing_read() -> tuple[Run, np.ndarray]:
    run, _ = finished(counts=[0] * 9)
    none = replace(run, matched=TaskResult(), curated=TaskResult())
    return none, np.ones(9, np.float32)


def row(text, entries, **other) -> dict:
    address = {"url": "http://a.example/1.jpg", "page_url": "http://a.example/"}
    common = {"uid": "0" * 32, "language": "en", "lid_score": 0.9, "probability": 0.5, **address}
    return {**common, "text": text, "entries": entries, **other}


class Page(HTMLParser):
    """Elements with their attributes, in order; what they hold; and whether each was closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text, self.scripts = [], [], "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in ("meta", "input"):
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data

    def named(self, name):
        return [attributes for own, attributes in self.elements if own == name]


def page(run, rates, samples=()) -> Page:
    return Page(render(run, rates, list(samples)))


def cells(line: str) -> list[tuple[int, str]]:
    """Return end and content of the cells of a line: what two spaces or more stand between."""
    return [(match.end(), match.group()) for match in re.finditer(r"\S+(?: \S+)*", line)]
