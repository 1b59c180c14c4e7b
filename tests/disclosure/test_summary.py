"""The summary of training content: each number is a count over the Parquet files, and no answer is invented."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from curation.plugins.disclosure.summary import (
    OPT_OUTS,
    PERSONAL,
    QUESTIONS,
    SETTLED,
    STATED,
    TOKENS,
    Ranked,
    RunNumbers,
    Summary,
    _write_list,
    summary_sections,
)
from curation.plugins.domains import COUNTED, DomainCounts
from curation.plugins.export import clip_export as command
from curation.plugins.export.card import PERSONAL as RULES
from curation.plugins.export.formats import export
from curation.plugins.gate.policies import image_rules, personal_data
from curation.plugins.gate.policies.policies import RULES as POLICY_RULES
from curation.report.page import templates
from curation.run.results import Results
from metadata import InputError
from runtime.storage.json_files import content_of
from runtime.storage.own_files import own_files
from runtime.wording import number, percent
from tests.naive.disclosure import column, naive_domains, naive_ranks
from tests.support.checkout import ROOT
from tests.support.hostile_strings import ACTING, EVERY
from tests.support.in_turn import in_turn
from tests.support.refusals import refusal

RULED = [("noai", 5), ("noimageai", 0), ("tdm_reservation", 1)]
KINDS = ["gate", "tables", "removed"]
SCHEMA = json.loads((ROOT / "docs/reference/files/summary.schema.json").read_text("utf-8"))


def facts(out: Path) -> dict[str, dict]:
    """Return the facts of a summary by name."""
    content = json.loads((out / "summary.json").read_text("utf-8"))
    return {fact["name"]: fact for section in content["sections"] for fact in section["facts"]}


def blanks(out: Path) -> dict[str, str | None]:
    content = json.loads((out / "summary.json").read_text("utf-8"))
    return {blank["blank"]: blank["answer"] for section in content["sections"] for blank in section["blanks"]}


@pytest.fixture(scope="module")
def papers(runs, tmp_path_factory) -> dict[str, Path]:
    """The summary of each run."""
    folder = tmp_path_factory.mktemp("summaries")
    for kind, run in runs.items():
        export(in_turn(), run, folder / kind, Summary())
    return {kind: folder / kind for kind in runs}


@pytest.mark.parametrize("kind", KINDS)
def test_lists_have_the_tenth_of_the_domains_with_the_most_images(runs, papers, kind):
    parts = ["kept"] if kind == "removed" else ["kept", "matched"]
    rows = {row["file"]: row for row in facts(papers[kind])["domains"]["rows"]}
    assert len(rows) == 2 * len(parts)
    for part in parts:
        for things, name in (("images", "url"), ("pages", "page_url")):
            counts = naive_domains(column(runs[kind], {"kept": "curated"}.get(part, part), name))
            file = f"domains/{part}_{things}.csv"
            written = [*csv.reader((papers[kind] / file).read_text("utf-8").splitlines())]
            want = naive_ranks(counts)
            assert written[1:] == [[str(at), name, str(images)] for at, (name, images) in enumerate(want, 1)]
            row = rows[file]
            assert (row["domains"], row["images"], row["listed"]) == (len(counts), counts.total(), len(want))
            assert row["share"] == sum(images for _, images in want) / max(1, counts.total())
            assert (
                row["no_domain"] == len(column(runs[kind], {"kept": "curated"}.get(part, part), name)) - counts.total()
            )
            assert row["listed_if_small"] == min(1000, (len(counts) + 19) // 20)


def test_a_run_without_pages_has_no_domains_of_pages(runs, papers):
    rows = {row["of"]: row for row in facts(papers["tables"])["domains"]["rows"]}
    assert rows["pages of kept images"] == {
        "of": "pages of kept images",
        "images": 0,
        "no_domain": Results.open(runs["tables"]).facts["rows"]["kept"],
        "domains": 0,
        "listed": 0,
        "share": 0,
        "listed_if_small": 0,
        "file": "domains/kept_pages.csv",
    }
    assert rows["kept images"]["domains"] == 5


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_and_languages_are_those_of_the_manifest(runs, papers, kind):
    found = facts(papers[kind])
    texts, languages = (column(runs[kind], "curated", name) for name in ("text", "language"))
    assert found["images"]["value"] == len(texts) > 20
    assert found["text_bytes"]["value"] == sum(len(text.encode()) for text in texts)
    assert {row["code"]: row["kept"] for row in found["languages"]["rows"]} == {
        code: languages.count(code) for code in {*languages}
    }


@pytest.mark.parametrize(("found", "listed", "small"), [(0, 0, 0), (1, 1, 1), (41, 5, 3), (20_001, 2001, 1000)])
def test_a_small_enterprise_lists_a_twentieth_or_a_thousand(found, listed, small):
    ranked = Ranked(DomainCounts([], found, found), "kept images", "", found)
    assert (ranked.listed, ranked.small) == (listed, small)


def test_a_spreadsheet_computes_nothing_of_a_host(tmp_path):
    counts = pa.table({"name": ["=cmd|calc", "a.example"], "images": [2, 1]}, COUNTED)
    pq.write_table(counts, tmp_path / "counts.parquet")
    ranked = Ranked(DomainCounts(own_files(tmp_path, None, ""), 11, 3), "kept images", "", 3)
    _write_list(ranked, tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text() == "rank,domain,images\n1,'=cmd|calc,2\n2,a.example,1\n"


def test_captions_and_hosts_are_named_without_their_folder():
    captions = {"table": {"name": "/home/ada/blip.parquet"}, "images": 2, "without": 1, "languages": {}}
    hosts = {"name": "/home/ada/robots.parquet", "files": 3, "agents": ["a_b"]}
    facts = {"made_from": {}, "dropped": {"excluded_hash": 4}, "gate": {"captions": captions, "hosts": hosts}}
    known = RunNumbers(facts, 0, [])
    (stated,) = STATED["2.5"](known)
    assert stated["value"] == {"table": {"name": "blip.parquet"}, "images": 2, "without": 1}
    assert (
        "Captions of blip.parquet took the place of the texts of 2 matched images. Images without a caption"
        in stated["says"]
    )
    said = {fact["name"]: fact for fact in STATED["3.1"](known)}["hosts"]
    assert (said["says"], said["value"]["name"]) == (
        "Files of hosts, such as robots.txt, that were read: 3, for the agents a\\_b.",
        "robots.parquet",
    )
    assert [fact["value"] for fact in STATED["3.2"](known)] == [4]


def test_a_gate_counts_what_its_rules_removed(runs, papers):
    matched = [len(each) for each in column(runs["gate"], "matched", "candidates")]
    found = facts(papers["gate"])
    rules = {row["rule"]: row for name in ("opt_outs", "personal_data", "conditions") for row in found[name]["rows"]}
    left = sum(len(each) for each in column(runs["gate"], "gated", "candidates"))
    assert sum(row["removed"] for row in rules.values() if row["what"] == "texts") == sum(matched) - left > 20
    mailed = [text for each in column(runs["gate"], "matched", "candidates") for text in each if "@" in text["text"]]
    assert [(row["rule"], row["removed"]) for row in found["personal_data"]["rows"]] == [("email_address", len(mailed))]
    assert [row["rule"] for row in found["opt_outs"]["rows"]] == ["noai"]
    assert all(row["removes"] for row in rules.values())  # a rule's own name is no sentence
    assert facts(papers["tables"])["opt_outs"]["rows"] == []


def test_a_removal_says_what_it_removed(runs, papers):
    gone = pq.read_table(runs["removed"] / "removed")
    assert facts(papers["removed"])["removal"]["rows"] == [{"list": "domain", "pairs": len(gone)}]
    assert len(gone) > 20


def test_inputs_are_named_by_folder_with_the_public_set_in_their_path(runs, papers):
    (row,) = facts(papers["gate"])["inputs"]["rows"]
    path = Path(Results.open(runs["gate"]).facts["made_from"]["inputs"][0]["path"])
    assert row == {
        "section": "2.1",
        "name": "laion-gate",
        "format": "parquet",
        "files": 1,
        "bytes": path.stat().st_size,
        "set": "LAION",
        "link": "https://laion.ai",
        "begin": None,
        "end": None,
        "share_of_bytes": 1.0,
    }
    assert str(path.parent.parent) not in (papers["gate"] / "summary.json").read_text("utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_is_of_the_schema_in_the_reference(papers, kind):
    Draft202012Validator.check_schema(SCHEMA)
    content = json.loads((papers[kind] / "summary.json").read_text("utf-8"))
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)] == []
    assert content_of((papers[kind] / "summary.json").read_bytes())  # its checksum is right


def test_the_markdown_has_each_sentence_and_question_and_is_no_legal_advice(papers):
    written = (papers["gate"] / "summary.md").read_text("utf-8")
    for fact in facts(papers["gate"]).values():
        assert fact["says"] in written
    for row in QUESTIONS:
        assert (
            f"\n{row['question']}\n\n**Open** (`{row['blank']}`: {row['form']})\n" in written
            or row["blank"] == "tokens"
        )
    assert "It is not legal advice." in written


# Answers


def test_answers_fill_their_blanks_and_change_nothing_else(runs, papers, tmp_path):
    answers = json.loads((papers["gate"] / "answers.json").read_text("utf-8"))
    assert set(answers.values()) == {None}
    (tmp_path / "filled.json").write_text(
        json.dumps(answers | {"provider": "Ada *Ltd*\n# not a heading", "sme": "Yes"})
    )
    asked = command.answers_in(tmp_path / "filled.json")
    export(in_turn(), runs["gate"], tmp_path / "out", Summary(asked))
    filled = json.loads((tmp_path / "out" / "answers.json").read_text("utf-8"))
    assert filled == answers | {"provider": "Ada *Ltd*\n# not a heading", "sme": "Yes"}
    assert blanks(tmp_path / "out") == filled | {"tokens": SETTLED}
    before, after = (path / "summary.md" for path in (papers["gate"], tmp_path / "out"))
    old, new = (path.read_text("utf-8") for path in (before, after))
    assert new == old.replace("**Open** (`provider`: text)", "```\nAda *Ltd*\n# not a heading\n```").replace(
        "**Open** (`sme`: yes or no)", "```\nYes\n```"
    )
    assert facts(tmp_path / "out") == facts(papers["gate"])
    for name in ("kept_images", "kept_pages", "matched_images", "matched_pages"):
        one, other = (path / "domains" / f"{name}.csv" for path in (papers["gate"], tmp_path / "out"))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("text", EVERY, ids=range(len(EVERY)))
def test_nothing_that_is_answered_or_named_acts_in_the_summary(runs, text):
    facts = dict(Results.open(runs["gate"]).facts)
    row = {"path": f"/data/{text}/a.parquet", "format": text, "size": 1}
    rule = {"text": text, "removes": None, "removed": 1}
    facts |= {
        "made_from": {"inputs": [row]},
        "dropped": {"excluded_url": 2, text: 3},
        "gate": {
            "conditions": [rule],
            "texts": [rule],
            "captions": {"table": {"name": text}, "images": 1, "without": 1},
            "hosts": {"name": text, "files": 1, "agents": [text]},
        },
    }
    sections = summary_sections(RunNumbers(facts, 1, []), {"provider": text})
    values = {"name": text, "notice": "", "sections": sections, "most": 9}
    assert ACTING.findall(templates("curation.plugins.disclosure").get_template("summary.jinja").render(values)) == []


def test_answers_to_what_is_not_asked_are_refused():
    with pytest.raises(
        InputError, match="no question has the name color; the questions are version, updated, previous, prov"
    ):
        Summary({"color": "blue"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[", "is not JSON; pass a JSON file such as answers.json of a summary"),
        ('["provider"]', "does not hold answers; pass a JSON object"),
        ('{"provider": 3}', "does not hold answers; pass a JSON object"),
        ("[" * 100_000, "cannot be read .*; pass a JSON file such as answers.json"),
        (r'{"provider": "\ud83d"}', "cannot be read .'utf-8' codec can't encode character"),
        (" " * 2_000_000, "cannot be read .it has more than 1 MB.; pass a JSON file such as answers.json of a summary"),
    ],
)
def test_a_file_that_holds_no_answers_is_refused(tmp_path, content, sentence):
    (tmp_path / "answers.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        command.answers_in(tmp_path / "answers.json")


def test_answers_for_a_form_that_asks_nothing_are_refused(runs, tmp_path, capsys):
    (tmp_path / "a.json").write_text("{}")
    options = [str(runs["gate"]), "--format", "datacomp", "--output", str(tmp_path / "o")]
    said = refusal(capsys, command.main, *options, "--answers", tmp_path / "a.json")
    assert "only the formats card, huggingface and summary use --answers; leave it out for datacomp" in said


def test_a_question_that_the_run_decides_is_open_only_where_it_does_not(runs):
    facts = Results.open(runs["gate"]).facts

    def tokens(size: int, answers: dict) -> str | None:
        sections = summary_sections(RunNumbers(facts, size, []), answers)
        return {blank["blank"]: blank["answer"] for section in sections for blank in section["blanks"]}["tokens"]

    assert [tokens(size, {}) for size in (0, TOKENS - 1, TOKENS)] == [SETTLED, SETTLED, None]
    assert tokens(1, {"tokens": "10"}) == "10"


@pytest.mark.parametrize(
    ("path", "format", "section"),
    [
        ("/CC-MAIN-2024-22/a.wat.gz", "wat", "2.1"),
        ("/own/a.warc.gz", "warc", "2.1 or 2.3"),
        ("/own/a.parquet", "parquet", "2.1, 2.2, 2.3 or 2.6"),
    ],
)
def test_an_input_belongs_in_one_section_unless_the_provider_must_say(runs, path, format, section):
    facts = Results.open(runs["gate"]).facts | {"made_from": {"inputs": [{"path": path, "format": format, "size": 1}]}}
    inputs, _ = STATED["2.1"](RunNumbers(facts, 0, []))
    assert [row["section"] for row in inputs["rows"]] == [section]


@pytest.mark.parametrize("kind", KINDS)
def test_kept_images_without_a_page_are_counted_beside_the_bytes_of_inputs(runs, papers, kind):
    pages = column(runs[kind], "curated", "page_url")
    assert facts(papers[kind])["without_page"]["value"] == len(pages) - naive_domains(pages).total() > 0


def test_a_rule_counts_what_an_earlier_one_removed_too(runs):
    both = [{"text": name, "failed": 5, "removed": removed} for name, removed in RULED]
    signals = {"noai": 9, "noimageai": 9, "tdm-reservation": 1, "noindex": 2, "noml": 3}
    facts = Results.open(runs["gate"]).facts | {"gate": {"conditions": both}, "signals": signals}
    stated = {fact["name"]: fact for fact in STATED["3.1"](RunNumbers(facts, 0, []))}
    assert [(row["found"], row["removed"]) for row in stated["opt_outs"]["rows"]] == [(5, 5), (5, 0), (5, 1)]
    assert [row["honoured"] for row in stated["signals"]["rows"]] == ["yes", "yes", "yes", "no", "no"]
    assert stated["hosts"]["says"] == "No robots.txt or other file of a host was read (`--robots`)."


def test_a_summary_says_nothing_of_how_this_program_was_written(papers):
    assert "not read." not in (papers["gate"] / "summary.md").read_text("utf-8").split("## Header")[0]


def test_kept_texts_of_doubtful_language_are_counted(runs, papers):
    scores = column(runs["gate"], "curated", "lid_score")
    low = sum(score is not None and score < 0.5 for score in scores)
    assert f"Of the texts, {number(low)} ({percent(low, len(scores))}) " in facts(papers["gate"])["languages"]["says"]


def test_rules_of_opt_outs_and_personal_data_are_those_of_the_gate():
    signals = {name for name, rule in POLICY_RULES.items() if rule.function is image_rules.has_signal}
    assert signals == {*OPT_OUTS}
    assert {*personal_data.KINDS} == {*PERSONAL} == {*RULES}


def test_answers_without_end_are_refused():
    with pytest.raises(InputError, match="the answers in /dev/zero cannot be read .it has more than 1 MB.; pass a"):
        command.answers_in("/dev/zero")
