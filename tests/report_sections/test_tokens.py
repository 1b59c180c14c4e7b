"""The report says by language how many kept texts have more tokens than a model of CLIP takes."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from curation.leaves.report_sections.texts import CONTEXT, find_tokens
from curation.run.pipeline import curate
from curation.run.request import Options
from metadata.entries import Entries
from runtime.errors import InputError
from tests.support.in_turn import in_turn
from tests.support.stand_ins import needed

PAIRS = [
    {"url": f"https://é.example/{number}.jpg", "text": f"dog 犬 {'word ' * words}", "language": code}
    for number, (words, code) in enumerate([(73, "en"), (74, "en"), (74, "ja"), (400, "ja"), (0, "ja"), (3, "de")])
]
COUNTS = {"en": (2, 1, 2 * 4 + 147), "ja": (3, 2, 3 * 4 + 474)}  # texts, cut, tokens: a word each, begin and end


class Words:
    """A tokenizer whose tokens are words, if it was told to cut and fill nothing."""

    def __init__(self):
        self.cuts, self.fills = True, True

    @classmethod
    def from_file(cls, path):
        with open(path) as file:
            json.load(file)
        return cls()

    def no_truncation(self):
        self.cuts = False

    def no_padding(self):
        self.fills = False

    def encode_batch_fast(self, texts):
        assert not self.cuts
        assert not self.fills
        return [["begin", *text.split(), "end"] for text in texts]


@pytest.fixture
def words(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=Words, __spec__=object()))
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path / "tokenizer.json"


@pytest.fixture
def real(tmp_path):
    """A tokenizer of words whose file asks to cut and to fill texts."""
    tokenizers = needed("tokenizers")
    vocabulary = {"<s>": 0, "</s>": 1, "dog": 2, "犬": 3, "word": 4, "<pad>": 5}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<pad>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    ends = [("<s>", 0), ("</s>", 1)]
    made.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    made.enable_truncation(CONTEXT)
    made.enable_padding(length=CONTEXT)
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def counted(path, tmp_path):
    """The facts and the report of a run over PAIRS; no entry is German."""
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, PAIRS)))
    entries = Entries.build({"en": ["dog"], "ja": ["犬"]})
    paths, options = [tmp_path / "pairs.jsonl"], Options(tokenizer=str(path))
    run = curate(paths, tmp_path / "run", metadata=entries, options=options, engine=in_turn())
    return run.facts["tokens"], (tmp_path / "run" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("tokenizer", ["words", "real"])
def test_texts_and_tokens_are_counted_by_language(tokenizer, tmp_path, request):
    found, page = counted(request.getfixturevalue(tokenizer), tmp_path)
    assert {code: tuple(row.values()) for code, row in found["languages"].items()} == COUNTS
    assert (found["tokenizer"], found["most"]) == ("tokenizer.json", 77)
    shown = page.partition("Texts over 77 tokens</h2>")[2]
    assert "Japanese (ja)</th><td>3</td><td>2</td><td>66.7 %</td><td>162.0</td>" in shown
    assert "German" not in shown.partition("</table>")[0]
    assert Counter(row["language"] for row in PAIRS)["de"] == 1


def test_without_a_tokenizer_nothing_is_counted():
    assert find_tokens(Options()) is None


def test_a_file_that_is_no_tokenizer_is_refused_before_the_run(words, tmp_path):
    words.write_text("{")
    for path in (words, tmp_path / "none.json"):
        with pytest.raises(InputError, match="is no tokenizer .*; give a tokenizer.json"):
            find_tokens(Options(tokenizer=str(path)))


def test_what_reads_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("runtime.packages.find_spec", lambda package: None)
    with pytest.raises(InputError, match="tokenizers is not installed: pip install tokenizers"):
        find_tokens(Options(tokenizer="tokenizer.json"))
