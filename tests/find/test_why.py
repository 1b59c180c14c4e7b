"""What `why` says of the images of a run agrees with the run: gate, texts, draws, and where each image is."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, InputError, Options, Results, curate
from curation.commands import clip_curate
from curation.plugins.find.why import why
from curation.plugins.gate.options import GateOptions
from runtime.engine.local import Local
from tests.support.captions import ENTRIES, LISTS
from tests.support.gate_inputs import STEPS, write_inputs

HERE = Local(1)
COMPARING = ("one image of a", "at most ", "max_images_per_text")  # rules about several images at once


def rows_by_uid(folder: Path) -> dict[str, list[dict]]:
    rows = defaultdict(list)
    for row in pq.read_table(folder).to_pylist() if folder.exists() else []:
        rows[row["uid"]].append(row)
    return rows


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    write_inputs(folder)
    for code, entries in LISTS.items():
        (folder / f"{code}.txt").write_text("\n".join(entries), "utf-8")
    return folder


def gated(inputs: Path, name: str, *more: str) -> Results:
    """Curate by the command with all steps of a gate."""
    entries = [f"{code}={inputs / f'{code}.txt'}" for code in LISTS]
    given = ["--input", str(inputs / "pairs.parquet"), "--entries", *entries, "--output", str(inputs / name)]
    given += ["--english-threshold", "20", "--set", "max_shared_uids=1", "--cores", "1", "--quiet"]
    given += ["--status", str(inputs / "status"), "--images", str(inputs / "images"), "--keep", "score > 0"]
    given += ["--policy", "recommended", "max_images_per_text:15", "max_images_per_domain:9"]
    given += ["--robots", str(inputs / "robots.parquet"), "--same-image", "sha256"]
    given += ["--same-meaning", str(inputs / "copies"), "--match-captions", str(inputs / "captions")]
    clip_curate.main([*given, *more])
    return Results.open(inputs / name)


def some_of_each_rule(told: dict[str, list[dict]]) -> list[str]:
    """Return uids of images such that for each rule that removed texts there are two, if it has so many."""
    uids_by_rule = defaultdict(list)
    for uid, rows in sorted(told.items()):
        for rule in {row["rule"] for row in rows}:
            uids_by_rule[rule].append(uid)
    return sorted({uid for uids in uids_by_rule.values() for uid in uids[:2]})


@pytest.mark.slow
def test_the_gate_is_told_as_its_sample_tells_it_and_without_a_sample(inputs):
    sampled = gated(inputs, "sampled", "--keep-removed", "1")
    plain = gated(inputs, "plain")
    told = rows_by_uid(sampled.path / "gate_removed")
    assert {row["step"] for rows in told.values() for row in rows} == {*STEPS} - {"hosts"}
    passed = rows_by_uid(plain.path / "gated")
    for uid in some_of_each_rule(told):
        by_sample = why(sampled, uid=uid, engine=HERE).facts
        again = why(plain, uid=uid, engine=HERE).facts
        expected = {"removed by the gate"} if uid not in passed else {"kept", "not drawn"}
        assert {by_sample["result"], again["result"]} <= expected
        rules = {(row["text"], row["rule"]) for row in told[uid]}
        assert {(row["text"], row["rule"]) for row in by_sample["gate"]["removed"]} == rules
        certain = {(row["text"], row["rule"]) for row in again["gate"]["removed"]}
        for text, rule in rules - certain:
            assert rule.startswith(COMPARING), (text, rule)
            assert uid in passed or rule in again["gate"]["rules"]
        assert certain <= rules


def test_every_image_of_a_run_has_the_result_texts_and_draw_of_the_run(inputs):
    config = CurationConfig(english_threshold=3, seed=7)
    run = curate(inputs / "pairs.parquet", inputs / "drawn", metadata=ENTRIES, config=config, engine=HERE)
    kept = rows_by_uid(run.path / "curated")
    matched = rows_by_uid(run.path / "matched")
    assert 0 < len(kept) < len(matched)
    for uid, (image,) in matched.items():
        facts = why(run, url=image["url"], engine=HERE).facts
        assert facts["result"] == ("kept" if uid in kept else "not drawn")
        assert facts["draw"]["kept"] == (uid in kept)
        assert facts["draw"]["text"] in [text["text"] for text in image["candidates"]]
        for text, stated in zip(image["candidates"], facts["texts"], strict=True):
            names = ("text", "kind", "language", "lid_score")
            assert [stated[name] for name in names] == [text[name] for name in names]
            assert [entry["id"] for entry in stated["entries"]] == text["entries"]
            assert all(entry["count"] == run.counts[entry["id"]] for entry in stated["entries"])
            assert all(entry["rate"] == pytest.approx(run.rates[entry["id"]]) for entry in stated["entries"])
        for row in kept.get(uid, []):
            assert facts["draw"]["probability"] == row["probability"]
            place = facts["manifest"]
            assert pq.read_table(run.path / "curated" / place["file"])["uid"][place["row"]].as_py() == uid


def without(run: Results, tmp_path: Path, *parts: str) -> Results:
    """Return a copy of a run that lacks some of its parts."""
    copy = shutil.copytree(run.path, tmp_path / f"without {parts}")
    for part in parts:
        shutil.rmtree(copy / part)
    return Results.open(copy)


def test_a_run_of_which_parts_are_gone_tells_what_follows_from_the_others(inputs, tmp_path):
    config = CurationConfig(english_threshold=3, seed=7)
    run = curate(inputs / "pairs.parquet", tmp_path / "all", metadata=ENTRIES, config=config, engine=HERE)
    left = without(run, tmp_path, "matched")
    kept = rows_by_uid(run.path / "curated")
    for uid in [*rows_by_uid(run.path / "matched")][:20]:
        facts = why(left, uid=uid, engine=HERE).facts
        assert facts["result"] == ("kept" if uid in kept else "not drawn")
        assert any("matched" in note for note in facts["notes"])
    gated = curate(inputs / "pairs.parquet", tmp_path / "gated", metadata=ENTRIES, config=config, engine=HERE,
                   options=Options(gate=GateOptions(policy=["min_words:3"], keep_removed=1.0)))  # fmt: skip
    rows = rows_by_uid(gated.path / "gate_removed")
    removed = next(uid for uid in rows if uid not in rows_by_uid(gated.path / "gated"))
    assert why(gated, uid=removed, engine=HERE).facts["result"] == "removed by the gate"
    facts = why(without(gated, tmp_path, "matched", "pairs"), uid=removed, engine=HERE).facts
    assert (facts["result"], facts["texts"][0]["text"]) == ("removed by the gate", rows[removed][0]["text"])
    assert why(without(gated, tmp_path, "gated"), uid=removed, engine=HERE).facts["result"] == "unknown"


def test_texts_with_personal_data_are_not_written_down_and_a_note_says_so(inputs, tmp_path):
    texts = ("the dog", "the dog of kim.lee@gmail.com")
    rows = [{"url": f"https://a.example/{number}.jpg", "text": text} for number, text in enumerate(texts)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    entries = ["--entries", *(f"{code}={inputs / f'{code}.txt'}" for code in LISTS)]
    given = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "run"), *entries]
    clip_curate.main([*given, "--policy", "email_address", "--cores", "1", "--quiet"])
    facts = why(Results.open(tmp_path / "run"), url=rows[1]["url"], engine=HERE).facts
    assert (facts["result"], facts["gate"]["removed"]) == ("removed by the gate", [])
    assert facts["gate"]["rules"] == ["email_address"]
    assert "personal data" in facts["notes"][0]


def test_images_that_inputs_state_once_are_explained_without_pairs(inputs, tmp_path):
    (tmp_path / "in.csv").write_text("url,text\nhttps://a.example/dog1,the dog\nhttps://a.example/cat2,zzz\n", "utf-8")
    entries = ["--entries", *(f"{code}={inputs / f'{code}.txt'}" for code in LISTS)]
    given = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "run"), *entries]
    clip_curate.main([*given, "--unique-images", "--cores", "1", "--quiet"])
    run = Results.open(tmp_path / "run")
    results = [
        why(run, url=f"https://a.example/{name}", engine=HERE).facts["result"] for name in ("dog1", "cat2", "b3")
    ]
    assert results == ["kept", "no entry", "not in the inputs"]


def test_facts_are_json_and_neither_text_nor_page_acts_on_anything(tmp_path):
    text = 'a \x1b[31mdog\x07 \u202e<script>alert(1)</script> & the "photo"'
    url = "https://me:secret@a.example/dog12345.jpg?X-Amz-Signature=0123abcd"
    (tmp_path / "in.jsonl").write_text(json.dumps({"url": url, "text": text}), "utf-8")
    run = curate(tmp_path / "in.jsonl", tmp_path / "run", metadata=ENTRIES, engine=HERE)
    shown = why(run, url=url, engine=HERE)
    assert shown.facts["result"] == "kept"
    for said in (str(shown), shown._repr_html_(), json.dumps(shown.facts)):
        assert "secret" not in said
        assert "0123abcd" not in said
    assert not {*"\x1b\x07\u202e"} & {*str(shown)}
    assert not {*"\x1b\x07\u202e"} & {*shown._repr_html_()}
    assert "<script" not in shown._repr_html_()


def test_one_of_url_and_uid_is_given(tmp_path):
    write_inputs(tmp_path)
    run = curate(tmp_path / "pairs.parquet", tmp_path / "run", metadata=ENTRIES, engine=HERE)
    for given in ({}, {"url": "https://a.example/", "uid": "1"}, {"url": " "}):
        with pytest.raises(InputError, match="give the URL of an image, or its uid"):
            why(run, **given)


def explained(run: Results, given: dict[str, str], engine) -> dict:
    facts = why(run, **given, engine=engine).facts
    del facts["run"]
    return facts


def images_of_each_kind(run: Results) -> list[dict[str, str]]:
    """Return URLs and uids of images that were kept, not drawn, not matched, and never seen."""
    kept = rows_by_uid(run.path / "curated")
    drawn = [uid for uid in rows_by_uid(run.path / "matched") if uid not in kept]
    uids = [next(iter(kept)), drawn[0]]
    urls = ["http://b.example/none.jpg", "http://c.example/unmatched.jpg"]
    return [*({"uid": uid} for uid in uids), *({"url": url} for url in urls)]


def written(inputs: Path, output: Path) -> Results:
    more = output.parent / "more.jsonl"
    more.write_text(json.dumps({"url": "http://c.example/unmatched.jpg", "text": "zzz"}), "utf-8")
    config = CurationConfig(english_threshold=3)
    return curate([inputs / "pairs.parquet", more], output, metadata=ENTRIES, config=config, engine=HERE)


@pytest.mark.slow
def test_processes_and_object_storage_give_the_same_facts(inputs, tmp_path, s3_folder):
    run = written(inputs, tmp_path / "run")
    for path in run.path.rglob("*"):
        if path.is_file():
            to = s3_folder / path.relative_to(run.path)
            to.fs.pipe_file(to.path, path.read_bytes())
    for given in images_of_each_kind(run):
        expected = explained(run, given, HERE)
        assert explained(Results.open(s3_folder), given, HERE) == expected
        assert explained(run, given, Local(2)) == expected


@pytest.mark.spark
def test_spark_gives_the_same_facts(inputs, tmp_path, spark):
    run = written(inputs, tmp_path / "run")
    for given in images_of_each_kind(run):
        assert explained(run, given, spark) == explained(run, given, HERE)
