"""Engines and naive twin agree on every text of the real data."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from curation.inputs import files
from curation.matching.finders import AhoCorasick
from curation.matching.matcher import Matcher
from tests.naive.matching import naive_matches

# What the real data's wordnets are called: languages whose scripts differ in all that matters.
WORDNETS = {
    "fr": "omw/fra/wn-data-fra.tab",
    "th": "omw/tha/wn-data-tha.tab",
    "ja": "wiktionary/wn-wikt-jpn.tab",
    "zh": "omw/cow/wn-data-cmn.tab",
    "bg": "omw/bul/wn-data-bul.tab",
    "fa": "omw/fas/wn-data-fas.tab",
}


def lemmas(path: Path) -> list[str]:
    fields = [line.split("\t") for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    found = (row[2].strip().replace("_", " ") for row in fields if len(row) > 2 and row[1].endswith("lemma"))
    return [lemma for lemma in dict.fromkeys(found) if lemma]


@pytest.fixture(scope="module")
def real_texts(shared_data):
    """Every distinct text of the real data."""
    paths = [str(shared_data / folder) for folder in ("wat", "warc", "pairs/web_1000.parquet")]
    batches = [batch for source in files.find(paths) for batch in files.read(source)]
    texts = [text for batch in batches for text in batch.filter(batch["url"].is_valid())["text"].to_pylist()]
    captions = (shared_data / "pairs/cc3m_validation.tsv").read_text("utf-8").splitlines()
    lines = [line for path in (shared_data / "pairs/wit").iterdir() for line in path.read_text("utf-8").splitlines()]
    texts += [line.split("\t")[0] for line in captions]
    return [*dict.fromkeys(texts + [json.loads(line)["caption_reference_description"] for line in lines])]


@pytest.mark.soak
@pytest.mark.shared
@pytest.mark.parametrize("language", WORDNETS)
def test_on_every_real_text_trie_and_automaton_agree_and_on_many_the_naive_twin(shared_data, real_texts, language):
    entries = lemmas(shared_data / "wordnet" / WORDNETS[language]) + [str(number) for number in range(100)]
    under_unicode = Matcher.build(entries, "unicode").find(real_texts)
    some = real_texts[::5]  # the naive twin takes half a millisecond a text
    assert under_unicode.take(pa.array(range(0, len(real_texts), 5))).to_pylist() == naive_matches(
        some, entries, "unicode"
    )
    assert under_unicode.equals(AhoCorasick.build(entries, "unicode").find(real_texts))
    assert Matcher.build(entries, "meta").find(real_texts).equals(AhoCorasick.build(entries, "meta").find(real_texts))
    assert len(under_unicode.values) > 1_000
