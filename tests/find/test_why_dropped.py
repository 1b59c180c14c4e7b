"""Why an image is not in a manifest: made-up inputs have every reason for which a run drops rows before the gate."""

import gzip
import json
import shutil
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results
from curation.commands import clip_curate
from curation.inputs.crawl.wat import MAX_RECORD_BYTES
from curation.plugins.find.why import why
from curation.report.charts import DROPPED, UNDETERMINED
from runtime.engine.local import Local
from tests.support.crawl_records import image, record, warc, wat

SITE = "https://a.example/"
DOG = "a photo of a dog"  # a text with entries, of which the language model is sure enough
# Records and files with these faults are passed over before anything in them is read, so nobody knows which image they
# name; `bad_link` is about links that are no objects, and so have no URL.
NAMES_NO_IMAGE = {"bad_file", "corrupt_file", "corrupt_gzip", "truncated", "long_line", "bad_record", "bad_link"}


def at(reason: str) -> str:
    return f"{SITE}{reason}12345.jpg"


def uid_of(url: str) -> str:
    return md5(url.encode()).hexdigest()


def write_tables(folder) -> None:
    rows = [(at("kept"), DOG), (at("empty_text"), None), (at("no entry"), "zzz"), ("ftp://a/b", DOG), ("a\udcff", DOG)]
    rows += [(at("duplicate_text"), DOG)] * 2 + [("no URL", at("url_in_text"))]
    rows += [(at("text_over_limit"), f"a photo of {number} dogs") for number in range(3)]
    texts = ("IMG_2034.jpg", "www.dog.example", f"<p>{DOG}</p>", "1234", "ABONE OL", "xq dog vw")
    rows += [(at(name), text) for name, text in zip(UNDETERMINED, texts, strict=True)]
    raw = [[value and value.encode("utf-8", "surrogateescape") for value in row] for row in rows]
    pq.write_table(pa.table(dict(zip(("url", "text"), zip(*raw, strict=True), strict=True))), folder / "pairs.parquet")
    stated = {"url": [None, at("own")], "text": [DOG, "zzz"], "uid": ["own/empty_url", "own/uid"]}
    pq.write_table(pa.table(stated), folder / "stated.parquet")
    listed = [at(f"excluded_{kind}") for kind in ("uid", "url", "regex", "page")] + ["https://b.example/c.jpg"]
    pages = ["https://page.example/" if "page" in url else "https://c.example/" for url in listed]
    pq.write_table(pa.table({"url": listed, "text": [DOG] * 5, "page_url": pages}), folder / "listed.parquet")
    lines = [json.dumps({"url": at("json"), "text": "zzz"}), f'{{"url": "{at("bad_json")}", "text": ']
    lines += [json.dumps({"url": at("bad_utf8"), "text": f"{DOG} \udc80"})]
    (folder / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    lines = ["url,text", f"{at('csv')},zzz", f"{at('bad_row')},a,dog", f'{at("two lines")},"zzz\nzzz"']
    (folder / "rows.csv").write_text("\n".join(lines), "utf-8")


def write_crawls(folder) -> None:
    links = [image(at("no_text")), image(at("empty_wat"), alt=""), image(at("bad_text"), alt=7)]
    links += [image("https://[not12345/", alt=DOG), image("data:image/png;base64,12345", alt=DOG)]
    bad_page = wat(image(at("bad_page_url"), alt=DOG), url="https://[bad/")
    bad = gzip.compress(record("metadata", b'{"Envelope": "IMG@/src ' + at("bad_wat").encode() + b'" '))
    large = record("metadata", b'{"IMG@/src": "' + at("too_large").encode() + b" " * MAX_RECORD_BYTES + b'"}')
    relative = wat(image("../relative12345.jpg", alt="zzz"))
    (folder / "a.wat.gz").write_bytes(wat(*links) + bad_page + bad + gzip.compress(large) + relative)
    packed = "Content-Type: text/html\r\nContent-Encoding: gzip"
    pages = warc(f'<img src="{at("warc")}" alt="zzz"><img src="{at("no_warc_text")}">')
    pages += warc(gzip.compress(b"<p>")[:-9] + at("bad_encoding").encode(), packed)
    pages += gzip.compress(record("response", f"no answer {at('bad_http')}".encode()))
    (folder / "a.warc.gz").write_bytes(pages)


def lists(folder) -> list[str]:
    values = {
        "uid": uid_of(at("excluded_uid")),
        "url": at("excluded_url"),
        "regex": "excluded_regex",
        "domain": "b.example",
    }
    paths = []
    for kind, value in (values | {"page": "page.example"}).items():
        (folder / f"{kind}.txt").write_text(f"{kind}:{value}\n")
        paths.append(str(folder / f"{kind}.txt"))
    return paths


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("dropped")
    inputs = folder / "inputs"
    inputs.mkdir()
    write_tables(inputs)
    write_crawls(inputs)
    return curated(folder, "--exclude", *lists(folder))


def curated(folder, *more: str) -> Results:
    """Curate the inputs in a folder by the command, whose line run.json states."""
    (folder / "en.txt").write_text("dog\ndogs\nphoto\na\nof\n")
    given = ["--input", str(folder / "inputs"), "--output", str(folder / "run"), "--entries", f"en={folder / 'en.txt'}"]
    settings = ("max_bad_records=1", "max_bad_files=1", "max_texts=2", "no_language=other")
    given += [word for setting in settings for word in ("--set", setting)]
    given += ["--min-language-score", "0.15", "--english-threshold", "100", "--cores", "1", "--allow-empty", *more]
    clip_curate.main(given)
    return Results.open(folder / "run")


def explained(run: Results, url: str | None = None, uid: str | None = None) -> tuple[str, dict[str, int]]:
    """Return the result, and the reasons for which rows of the image were dropped, with their numbers."""
    facts = why(run, url, uid, Local(1)).facts
    return facts["result"], {row["reason"]: row["number"] for row in facts.get("dropped", [])}


URLS = {
    "url_in_text": at("url_in_text"),
    "bad_url": "https://[not12345/",
    "not_http": "data:image/png;base64,12345",
    "excluded_domain": "https://b.example/c.jpg",
}


def test_each_reason_for_which_rows_are_dropped_is_named(run):
    counted = {reason for reason, rows in run.facts["dropped"].items() if rows}
    assert {*DROPPED} - NAMES_NO_IMAGE - {"excluded_hash"} == counted
    # Texts over the limit are dropped before a run writes pairs/, so that a note says it.
    assert "text_over_limit" in str(why(run, at("text_over_limit"), engine=Local(1)))
    for reason in sorted(counted - {"empty_url", "text_over_limit"}):
        result, dropped = explained(run, URLS.get(reason, at(reason)))
        of_group = {"duplicate_text": "kept"}
        expected = "excluded" if reason.startswith("excluded") else of_group.get(reason, "dropped")
        assert result == expected, reason
        assert dropped == {reason: 1}, reason


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (at("kept"), "kept"),
        (at("no entry"), "no entry"),
        (at("json"), "no entry"),
        (at("csv"), "no entry"),
        (at("two lines"), "no entry"),
        (at("warc"), "no entry"),
        (at("own"), "no entry"),
        ("https://example.org/relative12345.jpg", "no entry"),
        (at("nowhere"), "not in the inputs"),
        ("ftp://a/b", "dropped"),
        (at("empty_wat"), "dropped"),
        (at("no_warc_text"), "dropped"),
    ],
)
def test_an_image_has_one_result_by_url_and_with_its_pairs_gone(run, tmp_path, url, expected):
    assert explained(run, url)[0] == expected
    copy = shutil.copytree(run.path, tmp_path / "copy")
    shutil.rmtree(copy / "pairs")
    assert explained(Results.open(copy), url)[0] == expected


def test_the_reason_is_found_by_uid_too(run):
    assert explained(run, uid="own/empty_url") == ("dropped", {"empty_url": 1})
    for name in ("empty_text", "bad_utf8", "no_text", "no_warc_text"):
        assert explained(run, uid=uid_of(at(name)))[1] == {name.replace("_warc", ""): 1}


def test_the_kind_of_a_text_in_no_language_is_named(run):
    assert {name for name, texts in run.facts["undetermined"].items() if texts} == {*UNDETERMINED}
    for reason, meaning in UNDETERMINED.items():
        (text,) = why(run, url=at(reason), engine=Local(1)).facts["texts"]
        assert (text["language"], text["evidence"]) == ("other", f"{reason}: {meaning}")


def test_the_lists_that_name_an_image_are_named(run):
    for kind in ("uid", "url", "page", "regex"):
        (listed,) = why(run, url=at(f"excluded_{kind}"), engine=Local(1)).facts["lists"]
        assert listed["list"].endswith(f"/{kind}.txt")
        assert listed["reason"] == f"excluded_{kind}"


def test_inputs_that_have_changed_or_are_gone_are_named(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"url": [at(name)], "text": [DOG]}), folder / f"{name}.parquet")
    run = curated(tmp_path)
    (folder / "a.parquet").unlink()
    pq.write_table(pa.table({"url": [at("c")] * 9, "text": ["zzz"] * 9}), folder / "b.parquet")
    shown = why(run, url=at("c"), engine=Local(1))
    assert shown.facts["result"] == "unknown"
    assert "the run cannot tell which" in str(shown)
    unread = shown.facts["inputs"]["unread"]
    assert "vanished" in unread[str(folder / "a.parquet")]
    assert "changed" in unread[str(folder / "b.parquet")]


def test_metadata_that_cannot_be_opened_any_more_are_named(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    pq.write_table(pa.table({"url": [at("a")], "text": ["zzz"]}), folder / "a.parquet")
    run = curated(tmp_path)
    shutil.rmtree(run.path / "pairs")
    (tmp_path / "en.txt").write_text("other\nwords\n")
    facts = why(run, url=at("a"), engine=Local(1)).facts
    assert facts["result"] == "unknown"
    assert facts["inputs"]["rows"][0]["text"] == "zzz"
    assert any("not what the run read" in note for note in facts["notes"])


def test_a_damaged_input_may_hide_the_image(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "rows.jsonl.gz").write_bytes(
        gzip.compress(json.dumps({"url": at("a"), "text": DOG}).encode() + b"\n" * 9)[:-4]
    )
    pq.write_table(pa.table({"url": [at("b")], "text": [DOG]}), folder / "b.parquet")
    run = curated(tmp_path)
    facts = why(run, url=at("c"), engine=Local(1)).facts
    assert facts["result"] == "unknown"
    assert [*facts["inputs"]["damaged"]] == [str(folder / "rows.jsonl.gz")]


def test_a_url_that_is_spelled_otherwise_is_answered_with_the_spelling_of_the_run(run):
    for url in (at("kept").replace("https", "http"), f"{at('kept')}?width=100", at("kept").replace("12", "%312")):
        facts = why(run, url, engine=Local(1)).facts
        assert (facts["result"], facts["near"]) == ("not in the inputs", [at("kept")])
        assert at("kept") in str(why(run, url, engine=Local(1)))


def test_inputs_that_the_run_did_not_read_are_noted(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name in ("a", "b"):
        pq.write_table(pa.table({"url": [at(name)], "text": [DOG]}), folder / f"{name}.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    run = curated(tmp_path, "--skip-unreadable", "--sample-files", "2")
    notes = " ".join(why(run, url=at("c"), engine=Local(1)).facts["notes"])
    assert "The run read only 2 files, drawn from its inputs (--sample-files)." in notes
    assert ("skipped 1 input (unreadable file)" in notes) == (run.facts["passed_over"] != {})


def test_by_uid_alone_records_that_cannot_be_read_may_hide_the_image(run):
    facts = why(run, uid=uid_of(at("bad_row")), engine=Local(1)).facts
    assert facts["result"] == "unknown"
    damaged = {Path(path).name: reasons for path, reasons in facts["inputs"]["damaged"].items()}
    assert damaged["rows.csv"] == {"bad_row": 1}
    assert damaged["rows.jsonl"] == {"bad_json": 1}
    assert damaged["a.wat.gz"] == {"bad_json": 1, "too_large": 1}
    assert damaged["a.warc.gz"] == {"bad_encoding": 1, "bad_http": 1}


def test_a_text_that_inputs_state_in_two_languages_has_the_language_of_the_run(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    for code in ("tr", "bg"):
        columns = {"url": [at("a")] * 2, "text": ["zzz", DOG], "language": [code, code]}
        pq.write_table(pa.table(columns), folder / f"{code}.parquet")
    run = curated(tmp_path)
    texts = why(run, url=at("a"), engine=Local(1)).facts["texts"]
    assert sorted((text["text"], text["language"]) for text in texts) == [(DOG, "bg"), ("zzz", "bg")]
    assert run.facts["languages"]["bg"]["texts"] == 2


def test_an_image_with_a_listed_hash_is_excluded(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    pq.write_table(pa.table({"url": [at("excluded_hash"), at("b")], "text": [DOG] * 2}), folder / "a.parquet")
    hashes = {"url": [at("excluded_hash"), at("b")], "md5": [uid_of("a picture"), uid_of("another")]}
    pq.write_table(pa.table(hashes), tmp_path / "hashes.parquet")
    (tmp_path / "list.txt").write_text(f"md5:{uid_of('a picture')}\n")
    run = curated(tmp_path, "--exclude", str(tmp_path / "list.txt"), "--images", str(tmp_path / "hashes.parquet"))
    assert run.facts["dropped"]["excluded_hash"] == 1
    assert explained(run, at("excluded_hash")) == ("excluded", {"excluded_hash": 1})
    assert explained(run, at("b")) == ("kept", {})
