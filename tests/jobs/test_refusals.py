"""curate refuses bad input in one sentence with status 2, before Spark starts and without touching the output."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem

from curation.commands import clip_curate as curate
from curation.commands.clip_curate import parse_curate
from curation.config import CurationConfig
from curation.inputs.limits import DAMAGED
from curation.run.output_folder import Output
from curation.run.request import Options
from metadata import Entries, InputError
from runtime.arguments import made
from runtime.engine.local import Local
from runtime.folders.stamps import Input, Ledger
from runtime.storage.json_files import read_json, write_json
from runtime.tallies import TaskResult
from tests.support.asked import request_of
from tests.support.outputs import A, with_inputs_done
from tests.support.refusals import refusal


@pytest.fixture
def words(tmp_path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("dog\ncat\n")
    return path


@pytest.fixture
def pairs(tmp_path) -> Path:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"url": ["http://a/1.jpg"], "text": ["a dog"]}), path)
    return path


@pytest.fixture
def refused(capsys, monkeypatch):
    """Run the job; return the sentence with which it refused."""
    monkeypatch.setattr(Local, "_each", lambda *_: pytest.fail("a task was started"))
    return lambda *arguments: refusal(capsys, curate.main, *arguments).splitlines()[-1]


def test_a_path_that_does_not_exist(refused, words, tmp_path):
    sentence = refused("--input", tmp_path / "none.wat.gz", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "none.wat.gz" in sentence
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(refused, words, tmp_path):
    (tmp_path / "empty").mkdir()
    sentence = refused("--input", tmp_path / "empty", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "empty" in sentence


def test_a_table_without_a_url_column(refused, words, tmp_path):
    pq.write_table(pa.table({"picture": ["x"], "text": ["a dog"]}), tmp_path / "pairs.parquet")
    sentence = refused("--input", tmp_path / "pairs.parquet", "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "picture" in sentence
    assert "--url-column" in sentence


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--english-threshold", "0"], "--english-threshold is 0"),
        (["--target-size", "0"], "--target-size is 0"),
        (["--set", "tail_share=1.5"], "--set tail_share is 1.5"),
        (["--set", "tail_share=0.1", "--target-size", "10"], "--target-size and --set tail_share are both"),
        (["--set", "metadata_of=en", "--set", "merge_languages=true"], "--set metadata_of and --set merge_languages"),
        (["--set", "metadata_of=ja"], "there are no entries of ja; choose one of the languages en"),
        (["--set", "balance=false", "--target-size", "10"], "--target-size is only for balancing"),
        (["--set", "balance=false", "--english-threshold", "10"], "--english-threshold is only for balancing"),
        (["--set", "max_texts=0"], "--set max_texts is 0; it must be at least 1"),
        (["--set", "max_bad_files=2"], "--set max_bad_files is 2; it must be a number from 0 to 1"),
        (["--set", "max_bad_records=-0.1"], "--set max_bad_records is -0.1"),
        (["--sample-files", "0"], "--sample-files is 0"),
        (["--english-threshold", "many"], "'many' is not an integer; write one such as"),
        (["--rules", "loose"], "'loose' is not one of the choices; choose unicode or meta"),
        (["--set", "matcher=tire"], "argument --set matcher: 'tire' is not one of the choices; did you mean trie?"),
        (["--set", "metadata_of=germann"], "'germann' is not the code of a metadata language; did you mean de?"),
        (["--policy", "htlm"], "'htlm' is not a rule; did you mean html?"),
        (["--policy", "min_wods:3"], "'min_wods:3' is not a rule; did you mean min_words?"),
        (["--policy", "license:cc-bye"], ",other,rsl; did you mean cc-by?"),
        (
            ["--judge", "j.json"],
            "--judge j.json is used only by the rules junk and headline; pass one of them by --policy",
        ),
        (
            ["--policy", "junk:70", "--judge", "j.json"],
            "--judge j.json is not a file of weights; specify one that tools/",
        ),
        (["--policy", "junk"], "'junk': the rule junk takes a number from 1 to 99, such as junk:70"),
        (["--text-column", "txt"], "has no column txt; it has url, text: name the column of the text with "),
        (["--text-column", "txt"], "; did you mean text?"),
        (["--keep-removed", "20"], "--keep-removed is 20; it is a share of images, above 0 and at most 1, as 0.01"),
        (
            ["--keep-removed", "nan", "--keep-removed", "nan"],
            "argument --keep-removed: 'nan' is not a number; write one",
        ),
        (
            ["--set", "max_bad_files=inf"],
            "argument --set max_bad_files: 'inf' is not a number; write one such as 0.01 or 1%",
        ),
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
    ],
)
def test_a_wrong_number_or_flag(refused, words, pairs, tmp_path, flags, named):
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out", *flags)
    assert named in sentence


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("xx={words}", "'xx' is not the code of a metadata language"),
        ("{words}", "write LANGUAGE=FILE"),
        ("en={words}.none", "cannot read the entries"),
        ("en=", "write LANGUAGE=FILE"),
    ],
)
def test_entries_that_cannot_be_read(refused, words, pairs, tmp_path, argument, named):
    sentence = refused("--input", pairs, "--entries", argument.format(words=words), "--output", tmp_path / "out")
    assert named in sentence


def test_a_list_that_repeats_an_entry(refused, words, pairs, tmp_path):
    words.write_text("dog\ncat\ndog\n")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "'dog' of en is repeated" in sentence


def test_metadata_of_another_digest(refused, pairs, tmp_path):
    Entries.build({"en": ["dog"]}).save(tmp_path / "metadata")
    facts = read_json(tmp_path / "metadata" / "metadata.json")
    write_json(tmp_path / "metadata" / "metadata.json", facts | {"digest": "0" * 32})
    sentence = refused("--input", pairs, "--metadata", tmp_path / "metadata", "--output", tmp_path / "out")
    assert "0" * 32 in sentence


def test_a_model_that_is_no_fasttext_model(refused, words, pairs, tmp_path):
    (tmp_path / "model.bin").write_bytes(b"no model" * 100)
    sentence = refused(
        "--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out", "--model", tmp_path / "model.bin"
    )
    assert "model.bin" in sentence


def test_a_bad_line_in_a_list_of_exclusions(refused, words, pairs, tmp_path):
    (tmp_path / "lists.txt").write_text("example.org\nno domain\n")
    output = tmp_path / "out"
    sentence = refused(
        "--input", pairs, "--entries", f"en={words}", "--output", output, "--exclude", tmp_path / "lists.txt"
    )
    assert "lists.txt, line 2: 'no domain'" in sentence
    assert not output.exists()


def test_more_damage_than_is_allowed_in_images_matched_before(refused, words, pairs, tmp_path, monkeypatch):
    """They are used again with any threshold, but not with a smaller share of damage."""
    output = tmp_path / "out"
    monkeypatch.setattr(curate, "engine_for", lambda args, name: Local(1))
    read = TaskResult(facts={DAMAGED: [["/data/ü.wat.gz", 1, 0]]})
    read.count({"files": 4, ("dropped", "truncated"): 1})
    monkeypatch.setattr(Output, "matched_result", lambda self: read)
    arguments = ("--input", pairs, "--entries", f"en={words}", "--output", output, "--set", "max_bad_files=0.2")
    assert "1 of 4 files are damaged (1 truncated), most of them in /data/ü.wat.gz (1)" in refused(*arguments)
    assert {path.name for path in output.iterdir()} == {".work"}


def test_a_crawl_that_does_not_exist(refused, words, tmp_path, monkeypatch):
    monkeypatch.setenv("COMMON_CRAWL_URL", str(tmp_path))
    sentence = refused(
        "--input", "commoncrawl:CC-MAIN-2024-10", "--entries", f"en={words}", "--output", tmp_path / "out"
    )
    assert "there is no crawl CC-MAIN-2024-10" in sentence


def test_sampled_files_of_a_crawl_are_those_of_the_seed(words, tmp_path, monkeypatch):
    folder = tmp_path / "crawl-data" / "CC-MAIN-2024-10"
    folder.mkdir(parents=True)
    names = [f"crawl-data/CC-MAIN-2024-10/{number}.warc.wat.gz" for number in range(9)]
    (folder / "wat.paths.gz").write_bytes(gzip.compress("\n".join(names).encode()))
    monkeypatch.setenv("COMMON_CRAWL_URL", str(tmp_path))
    command = ["--input", "commoncrawl:CC-MAIN-2024-10", "--sample-files", "3", "--entries", f"en={words}"]
    asked = [parse_curate([*command, "--output", "out", "--seed", seed]) for seed in "001"]
    requests = [
        request_of(made(CurationConfig, args), args.input, Entries.build({"en": ["dog"]}), Options()) for args in asked
    ]
    one, again, other = ([file.path for file in request.files] for request in requests)
    assert one == again != other
    assert {len(one), len(other)} == {3}
    assert {*one, *other} <= {f"{tmp_path}/{name}" for name in names}


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({}, "holds no file *.parquet; expected results of img2dataset"),
        ({"uid": ["a"]}, "expected results of img2dataset, such as 00000.parquet"),
    ],
)
def test_a_folder_without_results_of_a_download(refused, words, pairs, tmp_path, columns, named):
    (tmp_path / "images").mkdir()
    if columns:
        pq.write_table(pa.table(columns), tmp_path / "images" / "00000.parquet")
    inputs = ["--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out"]
    assert named in refused(*inputs, "--status", tmp_path / "images")


def test_an_output_that_holds_something_else(refused, words, pairs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "--overwrite" in sentence
    assert (tmp_path / "out" / "thesis.txt").read_text() == "dear to someone"


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_an_output_into_which_another_run_is_writing(refused, words, pairs, tmp_path, flags):
    with Output.claim(tmp_path / "out", {"inputs": []}) as other:
        sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out", *flags)
        assert (
            sentence
            == f"clip-curate: another run is writing to {other.path}; wait until it has ended, or specify another "
            "folder"
        )
        assert (other.path / ".work" / "claim.json").exists()


@pytest.mark.parametrize(
    ("output", "named"),
    [
        ("gs://bucket/out", "install gcsfs"),
        ("s3://no-such-bucket/out", "create the bucket first"),
        ("http://127.0.0.1:9/out", "cannot be written to"),
    ],
)
def test_an_output_at_a_url_that_cannot_be_used(refused, words, pairs, s3_server, output, named):
    assert named in refused("--input", pairs, "--entries", f"en={words}", "--output", output)


@pytest.mark.parametrize("output", ["/proc/out", "/dev/null/out", "words.txt/out", "a" * 300])
def test_an_output_that_cannot_be_made(refused, words, pairs, tmp_path, output):
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / output)
    assert sentence.startswith(f"clip-curate: output {tmp_path / output} cannot be created (")
    assert sentence.endswith("); specify another folder")


@pytest.fixture
def new_s3():
    """A file system of S3 that looks at the environment anew."""
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


def test_an_output_at_a_url_whose_server_is_not_there(refused, words, pairs, new_s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", "s3://bucket/out")
    assert sentence.startswith("clip-curate: s3://bucket/out cannot be used (Could not connect to the endpoint URL")


def test_an_output_at_a_url_for_which_there_are_no_credentials(refused, words, pairs, s3_server, new_s3, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", "s3://bucket/out")
    assert "Unable to locate credentials" in sentence


def test_an_output_that_holds_another_run(refused, words, pairs, tmp_path):
    with_inputs_done(tmp_path / "out", A)
    sentence = refused("--input", pairs, "--entries", f"en={words}", "--output", tmp_path / "out")
    assert "contains a run made differently (" in sentence
    assert sentence.endswith("; pass another folder, or replace it with --overwrite")


def test_an_output_in_a_folder_that_is_read(refused, words, pairs, tmp_path):
    for given, output in ((tmp_path, "out"), (tmp_path / "*", "out"), (pairs, ".")):
        sentence = refused("--input", given, "--entries", f"en={words}", "--output", tmp_path / output)
        assert str(given) in sentence
        assert "output folder" in sentence
    assert {path.name for path in tmp_path.iterdir()} == {"words.txt", "pairs.parquet"}


def test_an_output_that_does_not_hold_what_workers_wrote(tmp_path):
    inputs = [Input(f"{name}.wat.gz", "wat", 10) for name in "ab"]
    with pytest.raises(InputError, match="workers wrote the results of 2 inputs, but the files are missing from out"):
        Ledger.open(tmp_path, {}, inputs).completed(Path("out"))
