"""The command clip-find: what it prints, with which status it ends, and what it refuses."""

import json
import re
import shlex

import pyarrow.parquet as pq
import pytest

from curation import Results
from curation.plugins.find.clip_find import main
from runtime import packages
from runtime.folders.verify import verify
from tests.naive.searches import naive_found
from tests.support.hostile_strings import ACTING
from tests.support.refusals import refusal
from tests.support.searched_run import searched_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return searched_run(tmp_path_factory.mktemp("searched") / "run", number=150)


def printed(capsys, run, *words: object) -> str:
    main([str(run.path), *map(str, words)])
    return capsys.readouterr().out


def unfound(capsys, run, *words: object) -> str:
    """Return the sentence with which the command ends that finds nothing, with status 1."""
    with pytest.raises(SystemExit) as stopped:
        main([str(run.path), *map(str, words)])
    assert stopped.value.code == 1
    written = capsys.readouterr()
    assert written.out == ""
    return written.err.splitlines()[-1]


def test_an_entry_is_described(capsys, run):
    text = printed(capsys, run, "--entry", "dog")
    images = len(naive_found(run.images, ids=[0]))
    kept = len(naive_found(run.kept, ids=[0]))
    assert text.startswith(f"{images} matched images meet the search, and {kept} pair")
    assert f"'dog' is an entry of English (en), with the id 0.\n{run.counts[0]} texts of the run have it" in text
    assert re.search(r"English t +t of en +expected to be kept\n2 .*\n5 .*\n10 ", text)
    assert "most often with it" in text
    assert re.search(r"^kept +a dog$", text, re.MULTILINE) or "not kept" in text


def test_json_has_the_same_facts(capsys, run):
    facts = json.loads(printed(capsys, run, "--entry", "dog", "猫", "--json"))
    assert facts["asked"] == {"entry": ["dog", "猫"]}
    assert [entry["language"] for entry in facts["entries"]] == ["en", "ja"]
    for entry in facts["entries"]:
        assert entry["count"] == run.counts[entry["id"]]
        assert [row["english_t"] for row in entry["expected"]] == [2, 5, 10]
    assert facts["images"] == len(naive_found(run.images, ids=[0, 5]))
    facts = json.loads(printed(capsys, run, "--domain", "shop.co.uk", "--json"))
    assert len(facts["examples"]) > 0
    assert sum(row["kept"] for row in facts["languages"].values()) == facts["kept"]


def test_texts_of_the_web_do_nothing_on_a_terminal_and_secrets_stay_hidden(capsys, run):
    for words in (["--entry", "photo"], ["--language", "en"], ["--text", r"\x1b|\n"], ["--entry", "photo", "--json"]):
        text = printed(capsys, run, *words)
        assert not ACTING.search(text)
        assert "s3cr3tvalue" not in text
    url = run.images[0]["url"]
    text = printed(capsys, run, "--url", url, "--json")
    assert [path["uid"] for path in json.loads(text)["paths"]] == [run.images[0]["uid"]]
    assert "s3cr3tvalue" not in text


def test_urls_and_uids_print_the_paths_of_images_through_the_run(capsys, run):
    kept = {row["uid"] for row in run.kept}
    some = run.images[:20]
    facts = json.loads(printed(capsys, run, "--uid", *(row["uid"] for row in some), "--json"))
    assert facts["asked"] == {"uid": [row["uid"] for row in some]}
    assert [path["result"] == "kept" for path in facts["paths"]] == [row["uid"] in kept for row in some]
    for row in some:
        text = printed(capsys, run, "--url", row["url"])
        assert not ACTING.search(text)
        assert f"(uid {row['uid']})" in text.splitlines()[0]
        assert str(Results.open(run.path).why(row["url"])) == text.rstrip("\n")
    with pytest.raises(SystemExit) as stopped:
        main([str(run.path), "--url", "https://nowhere.example/a.jpg"])
    written = capsys.readouterr()
    assert (stopped.value.code, written.err.splitlines()[-1]) == (
        1,
        "clip-find: neither the run nor an input that can be read has a row about the image",
    )
    assert "no input of the run has it" in written.out


def test_rows_and_a_manifest_are_written(capsys, run, tmp_path):
    words = [
        "--entry",
        "dog",
        "--matched",
        "--output",
        tmp_path / "new",
        "--rows",
        tmp_path / "a.parquet",
        "--limit",
        2,
    ]
    text = printed(capsys, run, *words)
    images = len(naive_found(run.images, ids=[0]))
    assert text.endswith(f"wrote {images} pairs to {tmp_path}/new/curated\n\nwrote 2 rows to {tmp_path}/a.parquet\n")
    assert verify(tmp_path / "new")
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 2
    text = printed(capsys, run, "--rows", tmp_path / "all.csv")
    assert text == f"wrote {len(run.kept)} rows to {tmp_path}/all.csv\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--entry dogs", r"no text of the run has the entry 'dogs'; the nearest entries are dog \(en\)"),
        ("--entry cat --language ja", r"the languages that have it are English \(en\)"),
        ("--language tlh", "the run has no texts in the language tlh"),
        ("--domain nowhere.example", "nothing in the run meets the conditions of the search"),
        ("--text zzz", "nothing in the run meets the conditions of the search"),
        ("--entry dogs --output NEW --rows NEW.csv", "nearest"),
        ("--text zzz --output NEW --rows NEW.csv", "nothing"),
    ],
)
def test_a_search_without_an_answer_ends_with_status_1_and_writes_nothing(capsys, run, tmp_path, words, said):
    words = [word.replace("NEW", str(tmp_path / "new")) for word in shlex.split(words)]
    assert re.search(said, unfound(capsys, run, *words))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no condition is given; pass --entry, --language, --domain, --url, --uid or --text"),
        ("--text '(['", r"the regular expression '\(\[' is not valid in RE2"),
        (r"--text '(a)\1'", "is not valid in RE2"),
        ("--domain www.example.org", "host below the registered domain example.org; pass example.org"),
        ("--domain 'a b'", "'?a b'? is not a domain"),
        ("--domain page:", "is not a domain"),
        ("--entry ''", "--entry is empty"),
        ("--entry dog --matched", "pass --output or --rows with it"),
        ("--entry dog --limit 3", "pass --rows with it"),
        ("--entry dog --limit 0 --rows NEW.csv", "--limit is 0; it must be at least 1"),
        ("--entry dog --limit x --rows NEW.csv", "'x' is not an integer"),
        ("--entry dog --rows NEW.txt", "give a name that ends in .csv or .parquet"),
        ("--json --rows NEW.csv", "pass --entry or another condition with it"),
        ("--entry dog --output RUN", "is the output folder"),
        ("--entry dog --output OTHER", "holds files that clip-find did not write"),
        ("--entry dog --rows OTHER/letter.csv", "exists; give the name of a new file"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_and_nothing_is_written(capsys, run, tmp_path, words, said):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.csv").write_text("dear")
    places = {"NEW": tmp_path / "new", "RUN": run.path, "OTHER": tmp_path / "other"}
    given = shlex.split(words)
    for name, place in places.items():
        given = [word.replace(name, str(place)) for word in given]
    message = refusal(capsys, main, run.path, *given).splitlines()[-1]
    assert message.startswith("clip-find: ")
    assert re.search(said, message)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert (tmp_path / "other" / "letter.csv").read_text() == "dear"


def test_a_folder_that_is_no_run_is_refused(capsys, tmp_path):
    message = refusal(capsys, main, tmp_path, "--entry", "dog")
    assert "pass the output folder of a finished run" in message


def test_without_the_plugin_python_says_so(run, monkeypatch):
    monkeypatch.setattr("curation.run.results.load_own", lambda group: {})
    with pytest.raises(packages.InputError, match="has no plugin for Results.find"):
        Results.open(run.path).find(entry="dog")
