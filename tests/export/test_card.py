"""The card says of each option that decides about rows what it did, and nothing that it names breaks the page."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from curation.config import CurationConfig
from curation.plugins.export.card import card, croissant, description
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.gate.gate import gate_facts
from curation.plugins.gate.judge.judge import standard
from curation.plugins.gate.options import GateOptions
from curation.run.results import Results
from runtime.tallies import TaskResult
from runtime.wording import percent
from tests.support.hostile_strings import ACTING, EVERY
from tests.support.installed import install

# Of each parameter a value that is not the default, and what the card then says.
PARAMETERS = {
    "english_threshold": (7, "t of English 7,"),
    "target_size": (1, "The target size was 1 image;"),
    "tail_share": (0.25, "The tail share was set to 0.25;"),
    "seed": (8, "seed 8,"),
    "sample_files": (1, "Only 1 file of the input, drawn by the seed, was read."),
    "rules": ("meta", "rules `meta`"),
    "evidence": ("letters", "A text was matched only if it contains an entry with two letters."),
    "max_texts": (3, "At most 3 texts of each image, drawn by hash, were matched."),
    "min_language_score": (0.5, "Texts with a language score below 0.5 count as texts in other languages."),
    "min_language_scores": (
        {"da": 0.6, "no": 0.5},
        "if their language score is below 0.6 for Danish, 0.5 for Norwegian.",
    ),
    "no_language": (
        "other",
        "Texts that have no letters, or are file names, addresses or HTML, count as texts in other",
    ),
    "wrong_script": (
        "keep",
        "A text keeps its language even if it is in a script in which this language is not written.",
    ),
    "witnesses": (("pool",), "If the language of a text was in doubt, it was decided by the texts around it."),
    "pool_shares": (
        {"en": 0.9, "de": 0.1},
        "took the place of the shares in the texts around a text: English 0.9, German 0.1.",
    ),
    "metadata_of": ("ja", "Texts of all languages were matched against the entries in Japanese."),
    "merge_languages": (True, "Texts of all languages were matched against one list of all entries."),
    "threshold_per_language": ("same", "All languages have the t of English."),
    "balance": (
        False,
        "Nothing was balanced: every image with a matching text was kept, unless a condition below removed",
    ),
}
SIZED = ("target_size", "balance")  # beside which no threshold may be given
DECIDE_NOTHING = {
    "matcher": "ahocorasick",  # which gives the same matches
    "max_bad_files": 0.9,  # these end a run
    "max_bad_records": 0.9,
    "max_shared_uids": 0.9,
    "rows_per_file": 9,
    "extra_columns": ["license", "record"],
}
# Of each option of a gate values of all that it needs, and what the card then says.
OPTIONS = {
    "status": (
        {"status": ["results"]},
        "Only images that meet this condition were kept: `status = 'success'` (0 removed).",
    ),
    "only": ({"only": ["only.txt"]}, "Only images that meet this condition were kept: `in only.txt` (0 removed)."),
    "keep": (
        {"images": [["hashes.parquet"]], "keep": "noai"},
        "Only images that meet this condition were kept: `noai` (0 removed).",
    ),
    "policy": (
        {"policy": ["noai", "min_words:3"]},
        "A rule removes images of pages that state `noai` to robots (0 removed).",
    ),
    "judge": (
        {"policy": ["junk:70"], "judge": "judge.json"},
        f"how likely a text is junk or a headline, has weights with the SHA-256 `{standard().digest}`.",
    ),
    "robots": ({"robots": ["robots.parquet"]}, "The rules of hosts were read from `robots.parquet`;"),
    "robots_agents": (
        {"robots": ["robots.parquet"], "robots_agents": ["OneBot"]},
        "robots.txt, the rules for the agents `OneBot`.",
    ),
    "decontaminate": (
        {"images": [["hashes.parquet"]], "decontaminate": ["pets.parquet"]},
        "`not in evaluation set pets",
    ),
    "decontaminate_cosine": (
        {"images": [["hashes.parquet"]], "decontaminate": ["pets.parquet"], "decontaminate_cosine": 0.9},
        "if its embedding has a cosine of at least 0.9 with the embedding of a picture of the set.",
    ),
    "decontaminate_texts": (
        {"decontaminate_texts": ["only.txt"]},
        "Only texts that meet this condition were kept: `no text of only.txt`",
    ),
    "same_image": (
        {"images": [["hashes.parquet"]], "same_image": "sha256"},
        "Only images that meet this condition were kept: `one image of a picture, by sha256` (0 removed).",
    ),
    "same_meaning": (
        {"same_meaning": ["copies.parquet"]},
        "Only images that meet this condition were kept: `one image of a meaning",
    ),
    "match_captions": (
        {"match_captions": ["captions.parquet"]},
        "Images were balanced by the captions in `captions.parquet`; 0 images without a caption by their texts.",
    ),
    "steps": (
        {"steps": ["secure"]},
        "Only images that meet this condition were kept: `an address with https` (0 removed).",
    ),
}
SERVE_OTHERS = {
    "images": "keep, same_image and decontaminate",
    "keep_removed": "what is written down of removed texts",
}
STEP = """
from curation.plugins.gate.filters import IMAGE, Filter
from curation.plugins.gate.step import Step

class Secure(Step):
    def filters(self):
        return [Filter("an address with https", IMAGE, None)]

def find(options):
    return Secure() if "secure" in options.named else None
"""


@pytest.fixture
def tables(tmp_path, monkeypatch) -> None:
    """The tables of OPTIONS, in the working folder."""
    (tmp_path / "results").mkdir()
    uid, hashes = "0" * 32, pa.array([b"\x12\x34" * 4])
    for path, columns in {
        "hashes": {"uid": [uid], "noai": [True], "sha256": ["ab" * 32], "phash": hashes, "embedding": [[1.0]]},
        "pets": {"uid": ["a.jpg"], "phash": hashes, "embedding": [[1.0]]},
        "robots": {"host": ["a.example"], "text": ["User-agent: *\nDisallow: /"]},
        "copies": {"uid": [uid], "copy_of": ["1" * 32], "cosine": pa.array([0.9], pa.float32())},
        "captions": {"uid": [uid], "caption": ["a dog"]},
        "results/00000": {"uid": [uid], "status": ["success"]},
    }.items():
        pq.write_table(pa.table(columns), tmp_path / f"{path}.parquet")
    (tmp_path / "only.txt").write_text(uid)
    (tmp_path / "judge.json").write_bytes(standard().content())
    install(
        monkeypatch, tmp_path / "installed", "my_parts", STEP, "[clip_curation.gate_steps]\nsecure = my_parts:find\n"
    )
    monkeypatch.chdir(tmp_path)


def with_parameters(facts: dict, **given) -> dict:
    """Facts of a run with these parameters, as run.json has them."""
    parameters = json.loads(json.dumps(asdict(CurationConfig(**{"english_threshold": 5} | given))))
    t = parameters["english_threshold"]
    return facts | {
        "parameters": parameters,
        "languages": facts["languages"] | {"en": facts["languages"]["en"] | {"t": t}},
    }


def with_gate(facts: dict, **options) -> dict:
    """Facts of a run with a gate of these options that removed nothing."""
    steps = GateOptions(**options).find().steps
    gate = gate_facts(step.facts(TaskResult()) for step in steps.values())["gate"]
    return facts | {"gate": gate, "rows": facts["rows"] | {"gated": 60}}


@pytest.fixture
def facts(run) -> dict:
    return Results.open(run.path).facts


def page(facts: dict) -> str:
    return card(facts, HuggingFace(), "pairs")


@pytest.mark.parametrize("name", [field.name for field in fields(CurationConfig)])
def test_each_parameter_has_a_sentence_or_decides_about_no_rows(facts, name):
    usual = page(with_parameters(facts))
    if name in DECIDE_NOTHING:
        assert page(with_parameters(facts, **{name: DECIDE_NOTHING[name]})) == usual
        return
    value, sentence = PARAMETERS[name]
    given = {name: value} | ({"english_threshold": CurationConfig.english_threshold} if name in SIZED else {})
    given |= {"witnesses": ("pool",)} if name == "pool_shares" else {}
    assert sentence in page(with_parameters(facts, **given))
    assert sentence not in usual


@pytest.mark.parametrize("name", [field.name for field in fields(GateOptions)])
def test_each_option_of_the_gate_has_a_sentence_or_serves_one_that_has(facts, tables, name):
    if name not in SERVE_OTHERS:
        options, sentence = OPTIONS[name]
        assert name in options
        assert sentence in page(with_gate(facts, **options))
        assert sentence not in page(facts)


def test_a_rule_says_what_it_removes_and_how_many(facts, tables):
    gated = with_gate(facts, policy=["noai", "min_stated_size:64", "min_words:3", "max_images_per_text:5"])
    for row in gated["gate"]["conditions"] + gated["gate"]["texts"]:
        row["removed"] = 1234
    written = page(gated)
    for removed in (
        "images of pages that state `noai` to robots",
        "images that a page shows with a side below 64 pixels",
        "texts of fewer than 3 words",
        "texts that more than 5 images have",
    ):
        assert f"\n- A rule removes {removed} (1,234 removed).\n" in written
    assert "images with a matching text: 60; images that passed the conditions below: 60; images kept" in written


def test_a_rule_that_earlier_ones_leave_nothing_to_does_not_look_ignored(facts):
    gate = {"conditions": [{"text": "noimageai", "removes": "images of Ada", "failed": 1775, "removed": 0}]}
    written = page(facts | {"gate": gate})
    assert "\n- A rule removes images of Ada (0 removed; earlier rules had removed 1,775 more).\n" in written
    assert "\n- No robots.txt or other file of a host was read.\n" in written
    assert "host was read" not in page(facts | {"gate": gate | {"hosts": {"name": "a", "agents": ["b"]}}})


def test_the_card_counts_kept_texts_of_doubtful_language(facts):
    doubtful = {code: row | {"kept_doubtful": 2} for code, row in facts["languages"].items()}
    kept = sum(row["kept"] for row in doubtful.values())
    said = f"\nOf the kept texts, {2 * len(doubtful)} ({percent(2 * len(doubtful), kept)}) have a doubtful language"
    assert said in page(facts | {"languages": doubtful})


def test_gates_of_before_are_not_said_to_keep_what_their_rules_removed(facts):
    gate = {"conditions": [{"text": "noai", "removed": 7}], "texts": []}
    assert "- Only images that meet this condition were kept: `noai` (7 removed).\n" in page(facts | {"gate": gate})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, "The run did not filter them for safety, privacy or quality; they were only balanced, as described"),
        ({"balance": False}, "The run did not filter them for safety, privacy or quality; they were only matched, as"),
        (
            {"gate": {"conditions": [{"text": "a > 1"}]}},
            "They were filtered and balanced as described here; the run did",
        ),
        ({"removals": [{"removed": 3}]}, "They were filtered and balanced as described here; the run did nothing more"),
        ({"exclusion": "ab", "balance": False}, "They were filtered as described here; the run did nothing more for"),
    ],
)
def test_the_card_says_whether_rows_were_filtered_and_balanced(facts, more, sentence):
    balance, exclusion = more.pop("balance", True), more.pop("exclusion", None)
    made_from = facts["made_from"] | {"exclusion": exclusion}
    made = facts | more | {"made_from": made_from, "parameters": facts["parameters"] | {"balance": balance}}
    assert f"\n{sentence}" in page(made)
    assert page(made).lower().count("they were") == 1


def test_without_balancing_nothing_speaks_of_thresholds(facts):
    facts["parameters"]["balance"] = False
    assert "threshold" not in page(facts)
    assert "t / count" not in page(facts) + json.dumps(croissant(facts, HuggingFace(), "pairs", {}))
    assert description(facts).startswith(
        f"{facts['rows']['kept']} image-text pairs in 3 languages, matched with metadata"
    )


def test_lists_models_and_removals_have_sentences(facts):
    facts["made_from"] |= {"exclusion": "0" * 32, "model": {"name": "a`b.bin", "digest": "1" * 32}}
    facts["dropped"] = {"excluded_domain": 1200, "excluded_uid": 34, "no_url": 5}
    facts["removals"] = [{"removed": 1}, {"removed": 2}]
    written = page(facts)
    assert "\n- Images that exclusion lists name were left out, with 1,234 texts.\n" in written
    assert "\n- The language of texts was identified by `` a`b.bin ``.\n" in written
    assert (
        "\n- Exclusion lists removed 1 pair after sampling.\n- Exclusion lists removed 2 pairs after sampling.\n"
        in written
    )


def test_the_card_says_where_entries_are_starter_metadata(facts):
    assert "starter" not in page(facts)
    facts["metadata"] |= {"starter": True, "versions": {"icu": "78.3", "wordfreq": "3.1.1"}}
    assert "\n- The entries are starter metadata, frequent words from wordfreq 3.1.1: they lack most names" in page(
        facts
    )


def test_one_thing_is_no_plural(facts):
    facts["rows"] |= {"kept": 1, "images": 1}
    facts["languages"] = {"en": facts["languages"]["en"]}
    assert description(facts).startswith(
        "1 image-text pair in 1 language, balanced over metadata entries from 1 image of"
    )


def test_the_card_has_what_was_stated_and_leaves_out_the_rest(facts):
    bare = page(facts)
    stated = card(facts, HuggingFace({"license": "cc-by-4.0", "citeAs": "Ada: Pairs,\n  2026"}), "Paare für alle")
    assert "\nlicense:" not in bare
    assert "**Open** (`license`)" in bare
    assert "**Open** (`license`)" not in stated
    assert "Citation" not in bare
    assert 'license: "cc-by-4.0"\n' in stated
    assert 'pretty_name: "Paare für alle"\n' in stated
    assert stated.endswith("## Citation\n\n```\nAda: Pairs,\n  2026\n```\n")


def test_a_name_that_looks_like_markdown_is_shown_as_it_is(facts):
    written = card(facts, HuggingFace(), "a [b](c)\n# <script>*d*</script> e_f")
    title, pretty = r"# a \[b\](c) # \<script\>\*d\*\</script\> e\_f", r'"a [b](c)\n# <script>*d*</script> e_f"'
    assert f"\n{title}\n\n" in written
    assert f"pretty_name: {pretty}\n" in written


def named(text: str, facts: dict) -> dict:
    """Facts in which a text stands wherever users, tables and files name something."""
    hosts = {"name": text, "agents": [text, "OneBot"]}
    captions = {"table": {"name": text}, "without": 1}
    rows = [{"text": text, "removed": 1}, {"text": "width > 1", "removed": 1}]
    return facts | {
        "metadata": {"starter": True, "name": text, "versions": {"wordfreq": text}},
        "made_from": facts["made_from"] | {"model": {"name": text}},
        "gate": {"conditions": rows, "texts": rows, "hosts": hosts, "captions": captions},
    }


@pytest.mark.slow
@pytest.mark.parametrize("text", EVERY, ids=range(len(EVERY)))
def test_nothing_that_users_or_tables_name_acts_in_the_card(facts, text):
    written, usual = (
        card(named(each, facts), HuggingFace({"license": each, "citeAs": each}), each) for each in (text, "a name")
    )
    _, front, body = written.split("---\n", 2)
    stated = yaml.safe_load(front)
    assert (stated["pretty_name"], stated["license"]) == (text, text)
    assert stated.keys() == yaml.safe_load(usual.split("---\n", 2)[1]).keys()
    assert kinds_of(body) == kinds_of(usual.split("---\n", 2)[2])
    assert ACTING.findall(body) == []


def kinds_of(markdown: str) -> list[str]:
    """Return the kinds of all elements of a document, in order, besides its texts."""
    parser: Callable = pytest.importorskip("markdown_it").MarkdownIt  # which the oldest versions do without
    blocks = parser("commonmark").enable("table").enable("strikethrough").parse(markdown)
    return [each.type for block in blocks for each in (block, *(block.children or ())) if each.type != "text"]
