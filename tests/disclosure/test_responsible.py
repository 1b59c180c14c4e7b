"""Croissant states what a run has counted of its collection, biases and limitations, and asks what it cannot know."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curation.plugins.export.card import OPEN, QUESTIONS, Card, responsible
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.run.results import Results
from metadata import InputError
from runtime.folders.descriptor import DESCRIPTOR
from runtime.wording import counted, number, percent
from tests.naive.disclosure import column, naive_domains
from tests.support.in_turn import in_turn

# Of RAI 1.0: properties with one value, and with many.
ONE = "dataCollection dataCollectionMissingData dataCollectionRawData dataImputationProtocol dataManipulationProtocol"
ONE_TOO = "dataAnnotationProtocol dataSocialImpact annotationsPerItem"
MANY = "dataCollectionType dataCollectionTimeframe dataPreprocessingProtocol dataAnnotationPlatform"
MANY_TOO = "dataAnnotationAnalysis dataReleaseMaintenancePlan personalSensitiveInformation dataBiases dataLimitations"
MANY_MORE = "dataUseCases annotatorDemographics machineAnnotationTools"


@pytest.fixture(scope="module")
def folders(runs, tmp_path_factory) -> dict[str, Path]:
    """What is exported of each run."""
    folder = tmp_path_factory.mktemp("published")
    for kind, run in runs.items():
        export(in_turn(), run, folder / kind, HuggingFace())
    return {kind: folder / kind for kind in runs}


def rai(folder: Path) -> dict:
    stated = json.loads((folder / "croissant.json").read_text("utf-8"))
    return {name.removeprefix("rai:"): value for name, value in stated.items() if name.startswith("rai:")}


@pytest.mark.parametrize("kind", ["gate", "tables", "removed"])
def test_biases_are_counts_over_the_manifest(runs, folders, kind):
    languages, domains, _ = rai(folders[kind])["dataBiases"]
    codes = Counter(column(runs[kind], "curated", "language"))
    hosts = naive_domains(column(runs[kind], "curated", "url"))
    assert f"{percent(codes['en'], codes.total())} English (en)" in languages
    assert languages.endswith(f"; {counted(len(codes), 'language')} in all.")
    assert f"domains of images: {counted(len(hosts), 'domain')}; 100.0 % of images are on the largest: " in domains
    for name, images in hosts.items():
        assert f"{name} {percent(images, hosts.total())}" in domains


@pytest.mark.parametrize("kind", ["gate", "tables", "removed"])
def test_properties_are_those_of_rai_with_one_value_or_many(folders, kind):
    stated = rai(folders[kind])
    many = f"{MANY} {MANY_TOO} {MANY_MORE}".split()
    assert {*stated} <= {*f"{ONE} {ONE_TOO}".split(), *many, "hasSyntheticData"}
    assert [name for name, value in stated.items() if isinstance(value, list) and name not in many] == []
    assert [name for name, value in stated.items() if not value] == []
    assert [name for name in stated if name.startswith("hasS")] == []  # the pictures were not looked at


def test_rules_are_stated_with_what_they_removed(runs, folders):
    gate = Results.open(runs["gate"]).facts["gate"]
    (row,) = (row for row in gate["texts"] if row["text"] == "email_address")
    assert row["removed"] > 10
    said = f"A rule removes texts that contain an e-mail address ({number(row['removed'])} removed)."
    assert said in rai(folders["gate"])["personalSensitiveInformation"]
    assert "No rule removed texts with personal data." in rai(folders["tables"])["personalSensitiveInformation"]
    assert any("`noai` to robots" in each for each in rai(folders["gate"])["dataPreprocessingProtocol"])


def test_what_only_a_person_knows_is_asked_until_it_is_answered(runs, folders, tmp_path):
    named = {name: f"{OPEN} (--answers, {name}): {question}" for name, question in QUESTIONS.items()}
    bare = rai(folders["gate"])
    assert {name: bare[name] for name in named if name.startswith("data")} == {
        name: question for name, question in named.items() if name.startswith("data")
    }
    assert bare["personalSensitiveInformation"][-1] == named["people"]
    export(in_turn(), runs["gate"], tmp_path / "out", HuggingFace(answers={"dataUseCases": "Research."}))
    changed = {name for name, value in rai(tmp_path / "out").items() if bare[name] != value}
    assert changed == {"dataUseCases", "dataLimitations"}  # limitations list what is open
    assert rai(tmp_path / "out")["dataUseCases"] == "Research."


@pytest.mark.parametrize("form", [Card, HuggingFace])
@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (
            {"provider": "Ada"},
            "no question has the name provider; the questions are license, version, datePublished, creator",
        ),
        ({"hasSyntheticData": "no"}, "the answer hasSyntheticData is 'no'; give true or false"),
    ],
)
def test_answers_that_croissant_cannot_state_are_refused(form, answers, sentence):
    with pytest.raises(InputError, match=sentence):
        form(answers=answers)


def test_croissant_names_what_is_open_and_states_what_was_answered(runs, tmp_path):
    answers = {name: f"{name} of Ada" for name in QUESTIONS} | {"hasSyntheticData": "false"}
    answers |= {"license": "cc-by-4.0", "datePublished": "2026-11-25"}
    limits = {}
    for name, form in {"bare": HuggingFace(), "full": HuggingFace(answers=answers)}.items():
        export(in_turn(), runs["tables"], tmp_path / name, form)
        limits[name] = [
            each for each in rai(tmp_path / name)["dataLimitations"] if "publisher has not answered" in each
        ]
    assert limits["full"] == []
    (said,) = limits["bare"]
    assert said.split(": ")[1] == f"{', '.join(QUESTIONS)}."
    stated = json.loads((tmp_path / "full" / "croissant.json").read_text("utf-8"))
    assert stated["creator"] == {"@type": "Organization", "name": "creator of Ada"}
    assert (stated["url"], stated["rai:hasSyntheticData"]) == ("url of Ada", False)
    assert OPEN not in json.dumps(stated)
    cards = [(tmp_path / name / "README.md").read_text("utf-8") for name in ("bare", "full")]
    assert [written.count("**Open** (`") for written in cards] == [len(QUESTIONS), 0]
    assert "\n```\ncreator of Ada\n```\n" in cards[1]


def test_provenance_names_inputs_metadata_and_program(runs, folders):
    stated, facts = (
        json.loads((folders["gate"] / "croissant.json").read_text("utf-8")),
        Results.open(runs["gate"]).facts,
    )
    (derived,) = stated["prov:wasDerivedFrom"]
    assert (derived["prov:label"], derived["description"]) == (
        "laion-gate",
        "1 file, parquet, part of LAION by its path",
    )
    made = stated["prov:wasGeneratedBy"]
    assert made["prov:used"]["identifier"] == facts["made_from"]["metadata"]
    assert made["prov:wasAssociatedWith"]["version"] == facts["versions"]["clip-curation"]
    assert stated["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]


def test_a_time_is_stated_only_if_it_is_that_of_all_inputs(runs):
    facts = Results.open(runs["gate"]).facts
    dated = {
        "path": "s3://c/CC-MAIN-2024-22/CC-MAIN-20240517233122-20240518023122-0.wat.gz",
        "format": "wat",
        "size": 1,
    }
    inputs = facts["made_from"]["inputs"]

    def time(*given: dict) -> str | None:
        made_from = facts["made_from"] | {"inputs": given}
        return responsible(facts | {"made_from": made_from}, None, [], Card()).get("rai:dataCollectionTimeframe")

    assert (time(dated), time(dated, *inputs), time(*inputs), time()) == ("2024-05-17/2024-05-18", None, None, None)


def test_captions_are_synthetic_data(runs, tmp_path):
    uids = column(runs["tables"], "curated", "uid")
    pq.write_table(
        pq.read_table(runs["tables"] / "curated").select(["uid"]).append_column("caption", [uids]),
        tmp_path / "c.parquet",
    )
    export(in_turn(), runs["tables"], tmp_path / "out", HuggingFace(captions=[tmp_path / "c.parquet"]))
    assert rai(tmp_path / "out")["hasSyntheticData"] is True


# The card


@pytest.mark.parametrize("kind", ["gate", "tables", "removed"])
def test_the_card_of_a_run_is_that_of_its_export_without_what_is_about_files(runs, folders, tmp_path, kind):
    export(in_turn(), runs[kind], tmp_path / "card", Card({"name": "pairs"}))
    export(in_turn(), runs[kind], tmp_path / "out", HuggingFace({"name": "pairs"}))
    alone, beside = ((tmp_path / each / "README.md").read_text("utf-8") for each in ("card", "out"))
    assert sorted(path.name for path in (tmp_path / "card").iterdir() if not path.name.startswith(".")) == [
        "README.md",
        DESCRIPTOR,
        "funnel.svg",
    ]
    assert ("configs:" in alone, "## Use" in alone, "load_dataset" in alone) == (False, False, False)
    assert alone.split("## How it was made")[1] == beside.split("## How it was made")[1]
    figures = [(tmp_path / each / "funnel.svg").read_bytes() for each in ("card", "out")]
    assert figures[0] == figures[1]


def test_the_card_says_what_each_rule_removed_by_language(runs, tmp_path):
    export(in_turn(), runs["gate"], tmp_path / "card", Card())
    written = (tmp_path / "card" / "README.md").read_text("utf-8")
    texts = [text for each in column(runs["gate"], "matched", "candidates") for text in each if "@" in text["text"]]
    codes = Counter(text["language"] for text in texts)
    most = ", ".join(f"{code} {number(codes[code])}" for code in sorted(codes, key=lambda code: (-codes[code], code)))
    assert f"| texts that contain an e-mail address | {len(texts)} | {most} |\n" in written
    gate = Results.open(runs["gate"]).facts["gate"]
    removed = {row.get("removes") or row["text"] for row in gate["conditions"] + gate["texts"] if row["removed_texts"]}
    assert len(removed) == 2
    assert all(f"\n| {each} |" in written for each in removed)
    assert "![Rows that are left after each step](funnel.svg)" in written


def test_the_figure_has_a_bar_for_each_step(runs, tmp_path):
    export(in_turn(), runs["gate"], tmp_path / "card", Card())
    figure, rows = (tmp_path / "card" / "funnel.svg").read_text("utf-8"), Results.open(runs["gate"]).facts["rows"]
    for name in ("images", "texts", "matched", "gated", "kept"):
        assert f">{rows[name]}</text>" in figure
