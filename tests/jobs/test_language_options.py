"""A run keeps to the definition of each option on languages, from pairs to images."""

from collections import Counter
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from curation.language.engines import Identifier
from metadata import Entries
from metadata.languages import language, of_label
from tests.naive.evidence import naive_evidence
from tests.naive.judging import naive_is_foreign, naive_judge_with_witnesses
from tests.naive.matching import naive_matches
from tests.support.sample_runs import facts

ENTRIES = Entries.build({"en": ["dog", "a", "5", "of"], "da": ["hund", "5"], "ja": ["犬", "5"], "other": ["5", "jpg"]})
WORDS = [
    "a photo of a dog",
    "en hund i haven",
    "犬の写真",
    "собака",
    "5",
    "IMG_5.jpg",
    "of 5",
    "Hund",
    "<b>",
    "http://a/5",
    "検索 5",
]
OPTIONS = {
    "defaults": ({}, {}),
    "nobody asked": ({"witnesses": ()}, {}),
    "everything kept": ({"wrong_script": "keep"}, {"check_scripts": False}),
    "no language": ({"no_language": "other"}, {"check_kinds": True}),
    "scores": (
        {"min_language_score": 0.4, "min_language_scores": {"ja": 0.9, "en": 0.1}},
        {"min_score": 0.4, "min_scores": {"ja": 0.9, "en": 0.1}},
    ),
    "evidence": ({"evidence": "letters", "no_language": "other"}, {"check_kinds": True}),
}


def pairs() -> list[dict]:
    random = Random(4)
    texts = sorted({" ".join(random.sample(WORDS, random.randrange(1, 3))) for _ in range(300)})
    return [{"url": f"http://x.example/{number}", "text": text} for number, text in enumerate(texts)]


def scripts_of(code: str | None) -> set:
    return {*language(code).scripts} if code else set()


def naive_run(rows: list[dict], config: dict, rules: dict) -> tuple[dict, Counter, Counter]:
    """Return the language and entries of each text with a match, the reasons, and the texts in other scripts."""
    labels, scores = Identifier.open().predict(pa.array([row["text"] for row in rows]))
    strings, found, reasons, foreign = ENTRIES.strings.to_pylist(), {}, Counter(), Counter()
    for row, label, score in zip(rows, labels.to_pylist(), scores.to_pylist(), strict=True):
        own = language(of_label(label).code)
        asked = None, None, config.get("witnesses", ("han", "page")), scripts_of
        code, reason = naive_judge_with_witnesses(row["text"], own.code, score, {*own.scripts}, *asked, **rules)
        ids = ENTRIES.ids(code)
        (matches,) = naive_matches([row["text"]], strings[ids.start : ids.stop], "unicode")
        entries = [ids.start + i for i in matches]
        if config.get("evidence") == "letters":
            entries = naive_evidence(entries, strings)
        if entries:
            found[row["text"]] = (code, entries)
        reasons[reason] += 1
        foreign[code] += naive_is_foreign(row["text"], {*language(code).scripts})
    del reasons[None]
    return found, reasons, +foreign


def texts_of(images: list[dict]) -> dict:
    return {each["text"]: (each["language"], each["entries"]) for image in images for each in image["candidates"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_matched_texts_and_reasons_are_those_of_the_definition(name, engine, tmp_path):
    numbers, rules = OPTIONS[name]
    found, reasons, foreign = naive_run(pairs(), numbers, rules)
    pq.write_table(pa.Table.from_pylist(pairs()), tmp_path / "pairs.parquet")
    config = CurationConfig(english_threshold=5, **numbers)
    curate([str(tmp_path / "pairs.parquet")], tmp_path / "out", metadata=ENTRIES, config=config, engine=engine)
    assert texts_of(pq.read_table(tmp_path / "out" / "matched").to_pylist()) == found
    told = facts(tmp_path / "out")
    assert told["undetermined"] | told.get("witnesses", {}) == reasons
    assert {code: row["other_script"] for code, row in told["languages"].items() if row["other_script"]} == foreign
    kept = pq.read_table(tmp_path / "out" / "curated").to_pylist()
    unproven = Counter(
        row["language"] for row in kept if not naive_evidence(row["entries"], ENTRIES.strings.to_pylist())
    )
    assert {code: row["kept_without_letters"] for code, row in told["languages"].items()} == {
        code: unproven[code] for code in told["languages"]
    }


@pytest.mark.slow
def test_the_texts_bring_every_reason_and_every_option_a_difference():
    results = {name: naive_run(pairs(), *each) for name, each in OPTIONS.items()}
    reasons = {reason for _, found, _ in results.values() for reason in found}
    assert reasons >= {"script", "score", "file_name", "html", "no_letters"}
    found = [sorted(texts.items()) for texts, _, _ in results.values()]
    assert all(found.count(each) == 1 for each in found)
