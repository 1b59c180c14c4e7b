"""The report says by language how many kept texts have more tokens than a model of CLIP takes."""

import json
import sys
from collections import Counter

import pytest

from curation.leaves.report_sections.text_sections import CONTEXT, find_tokens
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
ENDLESS = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
COUNTS = {"en": (2, 1, 2 * 4 + 147), "ja": (3, 2, 3 * 4 + 474)}  # texts, cut, tokens: a word each, begin and end


# A tokenizer whose tokens are words, if it was told to cut and fill nothing; its file may ask for a fault.
WORDS = """
import json, os, time

class Tokenizer:
    cuts = fills = True

    @classmethod
    def from_file(cls, path):
        found = cls()
        with open(path) as file:
            found.fault = json.load(file).get("fault")
        return found

    def no_truncation(self):
        self.cuts = False

    def no_padding(self):
        self.fills = False

    def encode_batch_fast(self, texts):
        assert not self.cuts and not self.fills
        if self.fault:
            eval(self.fault)
        return [["begin", *text.split(), "end"] for text in texts]
"""


@pytest.fixture
def words(monkeypatch, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "tokenizers.py").write_text(WORDS)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "tokenizers", raising=False)
    (tmp_path / "tokenizer.json").write_text("{}")
    yield tmp_path / "tokenizer.json"
    sys.modules.pop("tokenizers", None)


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


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("time.sleep(99)", "it takes more than 9 seconds for 100 texts"),
        ("os._exit(3)", "it ends the process that tries it .status 3."),
        ("1 / 0", "the tokenizer fails at a text .division by zero., such as 'aaaaaaaaa'"),
        ("texts.append(' '.join('a' * 2_000_000)) or texts.pop(0)", "it makes 2,000,002 tokens of a text of 41 char"),
    ],
)
def test_a_tokenizer_that_fails_or_never_ends_is_refused_before_the_run(words, monkeypatch, fault, sentence):
    if "9 seconds" in sentence:  # by the clock: on a busy machine the others may need more
        monkeypatch.setattr("curation.leaves.report_sections.text_sections.TRIAL_SECONDS", 9)
    words.write_text(json.dumps({"fault": fault}))
    with pytest.raises(InputError, match=f"tokenizer.json cannot be used: {sentence}.*; give the tokenizer.json of a"):
        find_tokens(Options(tokenizer=str(words)))


@pytest.mark.parametrize("name", ["/dev/zero", "."])
def test_what_is_no_file_is_no_tokenizer(words, name):
    with pytest.raises(InputError, match="is no tokenizer .no file of at most 256 MB.; give a tokenizer.json"):
        find_tokens(Options(tokenizer=name))


def test_a_text_at_which_the_tokenizer_fails_ends_the_run_in_a_sentence(words, tmp_path):
    words.write_text(json.dumps({"fault": "any('dog' in text and 'fox' not in text for text in texts) and 1 / 0"}))
    with pytest.raises(InputError, match="the tokenizer fails at a text .division by zero."):
        counted(words, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda made: made["model"]["vocab"].pop("<pad>"), "fails at a text .WordLevel error: Missing .UNK. token"),
        (lambda made: made["pre_tokenizer"].update(ENDLESS), "fails at a text .*retry-limit-in-match"),
    ],
)
def test_a_real_tokenizer_with_a_fault_is_refused_before_the_run(real, change, sentence):
    made = json.loads(real.read_text())
    change(made)
    real.write_text(json.dumps(made))
    with pytest.raises(InputError, match=f"cannot be used: the tokenizer {sentence}"):
        find_tokens(Options(tokenizer=str(real)))


def test_what_reads_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("runtime.packages.find_spec", lambda package: None)
    with pytest.raises(InputError, match="tokenizers is not installed: pip install tokenizers"):
        find_tokens(Options(tokenizer="tokenizer.json"))
