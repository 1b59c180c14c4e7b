"""A list is taken out of a finished manifest: the other rows stay, and a record says what went."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import CurationConfig, curate
from curation.exclusion import Exclusion
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import REMOVED, main, remove_from_manifest
from curation.run.results import Results
from curation.schemas import CURATED, GATE_REMOVED
from metadata import Entries, InputError
from runtime.folders.verify import verify
from runtime.storage.own_files import part_files
from runtime.storage.paths import names
from tests.naive.exclusion import naive_excluded
from tests.support.crawl_records import warc
from tests.support.downloaded import all_bytes
from tests.support.finished_run import finished_run, image, write_parts
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar
from tests.support.refusals import refusal

DOMAIN = "bücher.example"


@pytest.fixture
def run(tmp_path):
    """A run over 60 images, every third of them below DOMAIN."""
    urls = [f"https://{f'img.{DOMAIN}' if number % 3 == 0 else 'é.example'}/{number}.jpg" for number in range(60)]
    return finished_run(tmp_path / "run", [image(number, url) for number, url in enumerate(urls)], files=3)


def rows(folder: Path) -> list[list[dict]]:
    """The rows of each curated file."""
    return [pq.read_table(path).to_pylist() for path in part_files(folder / "curated")]


def facts(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text("utf-8"))


def test_what_stays_is_what_the_list_does_not_name_in_the_same_files_and_order(run, tmp_path):
    listed = {"uids": [run.kept[1]["uid"]], "domains": [DOMAIN]}
    remove_from_manifest(in_turn(), run.path, Exclusion.of(**listed), tmp_path / "new")
    before, after = rows(run.path), rows(tmp_path / "new")
    assert after == [[row for row in file if naive_excluded(row, **listed) is None] for file in before]
    assert sum(map(len, after)) < sum(map(len, before))
    assert [path.name for path in part_files(tmp_path / "new" / "curated")] == [
        path.name for path in part_files(run.path / "curated")
    ]


def test_what_went_is_listed_with_the_reason(run, tmp_path):
    listed = {"uids": [run.kept[1]["uid"]], "domains": [DOMAIN]}
    remove_from_manifest(in_turn(), run.path, Exclusion.of(**listed), tmp_path / "new")
    removed = pq.read_table(tmp_path / "new" / "removed")
    reasons = [(row, naive_excluded(row, **listed)) for file in rows(run.path) for row in file]
    assert removed.schema.equals(REMOVED)
    assert removed.to_pylist() == [{"uid": row["uid"], "url": row["url"], "why": why} for row, why in reasons if why]


def test_what_needs_matched_images_is_refused_of_a_removal(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / "new")
    images = tmp_path / "00000.tar"
    write_tar(images, run.images)
    for form in (MetaClip(), MetaClip([images])):
        with pytest.raises(InputError, match="removed, and has no matched images; pass the run that it came from, or"):
            export(in_turn(), tmp_path / "new", tmp_path / "out", form)
    with pytest.raises(InputError, match="has no matched images"):
        next(Results.open(tmp_path / "new").matched())


def test_where_nothing_goes_the_files_are_the_same_byte_for_byte(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(uids=["nobody"]), tmp_path / "new")
    assert all_bytes(tmp_path / "new" / "curated") == all_bytes(run.path / "curated")
    assert pq.read_table(tmp_path / "new" / "removed").num_rows == 0
    assert pq.read_metadata(part_files(tmp_path / "new" / "curated")[0]).row_group(0).num_rows == 10


def test_where_all_goes_the_files_are_empty_ones(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(regexes=["."]), tmp_path / "new")
    assert rows(tmp_path / "new") == [[], [], []]
    assert pq.read_schema(part_files(tmp_path / "new" / "curated")[0]).equals(CURATED)
    assert facts(tmp_path / "new")["rows"]["kept"] == 0
    said = remove_from_manifest(in_turn(), tmp_path / "new", Exclusion.of(regexes=["."]), tmp_path / "newer")
    assert said.startswith("removed 0 of 0 pairs;")


def test_removing_again_gives_the_same_bytes(run, tmp_path):
    for name in ("one", "other"):
        remove_from_manifest(in_turn(), run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / name)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "other")


def test_a_removal_that_is_repeated_says_that_it_is_complete(run, tmp_path):
    for _ in range(2):
        said = remove_from_manifest(in_turn(), run.path, Exclusion.of(), tmp_path / "out")
    assert said.startswith(f"output {tmp_path / 'out'} is already complete: the same command has made it (clip-verify ")


def test_the_figures_tell_what_is_kept_and_what_was_removed(run, tmp_path):
    exclusion = Exclusion.of(domains=[DOMAIN], uids=[run.kept[1]["uid"]])
    remove_from_manifest(in_turn(), run.path, exclusion, tmp_path / "new")
    old, new = facts(run.path), facts(tmp_path / "new")
    left = [row for file in rows(tmp_path / "new") for row in file]
    reasons = Counter(pq.read_table(tmp_path / "new" / "removed")["why"].to_pylist())
    assert new["rows"] == old["rows"] | {"kept": len(left)}
    languages = Counter(row["language"] for row in left)
    assert {code: row["kept"] for code, row in new["languages"].items()} == {c: languages[c] for c in old["languages"]}
    [removal] = new["removals"]
    assert (removal["exclusion"], removal["reasons"]) == (exclusion.digest, dict(reasons))
    assert removal["removed"] == old["rows"]["kept"] - len(left) == reasons.total()
    assert new["made_from"].items() > old["made_from"].items()
    assert (tmp_path / "new" / "counts.parquet").read_bytes() == (run.path / "counts.parquet").read_bytes()


def test_the_sample_of_what_a_gate_removed_is_copied_without_them(run, tmp_path):
    listed = {"uids": [run.images[1]["uid"]], "domains": [DOMAIN], "pages": ["p.example"]}
    sample = [
        {name: row[name] for name in ("uid", "url")}
        | {"text": text["text"], "language": text["language"], "page_url": page, "step": "conditions"}
        | {"rule": "junk:70", "why": f"7{number % 9} %: word é"}
        for number, row in enumerate(run.images)
        for text in row["candidates"]
        for page in [None if number % 5 else "https://www.p.example/about"]
    ]
    write_parts(run.path / "gate_removed", pa.RecordBatch.from_pylist(sample, GATE_REMOVED), 2)
    remove_from_manifest(in_turn(), run.path, Exclusion.of(**listed), tmp_path / "new")
    left = pq.read_table(tmp_path / "new" / "gate_removed")
    assert left.schema.equals(GATE_REMOVED)
    assert left.to_pylist() == [row for row in sample if naive_excluded(row, **listed) is None]
    assert {name for name in facts(tmp_path / "new")["checksums"] if name.startswith("gate_removed/")} == {
        "gate_removed/00000.parquet",
        "gate_removed/00001.parquet",
    }
    assert verify(tmp_path / "new").endswith("files are as they were written")


def test_each_removal_is_added_to_those_before(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(uids=[run.kept[0]["uid"]]), tmp_path / "one")
    remove_from_manifest(in_turn(), tmp_path / "one", Exclusion.of(uids=[run.kept[1]["uid"]]), tmp_path / "two")
    both = facts(tmp_path / "two")["removals"]
    assert [removal["removed"] for removal in both] == [1, 1]
    assert both[0]["from"] != both[1]["from"]
    assert facts(tmp_path / "two")["rows"]["kept"] == len(run.kept) - 2


def test_what_went_is_a_list_that_takes_the_same_out_again(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / "one")
    remove_from_manifest(
        in_turn(), run.path, Exclusion.read(part_files(tmp_path / "one" / "removed")), tmp_path / "other"
    )
    assert all_bytes(tmp_path / "one" / "curated") == all_bytes(tmp_path / "other" / "curated")


def test_a_manifest_with_rows_removed_is_a_finished_run_for_other_programs(run, tmp_path):
    remove_from_manifest(in_turn(), run.path, Exclusion.of(domains=[DOMAIN]), tmp_path / "new")
    assert Results.open(tmp_path / "new").kept().num_rows == facts(tmp_path / "new")["rows"]["kept"]
    export(in_turn(), tmp_path / "new", tmp_path / "card", HuggingFace())
    assert (
        f"{facts(tmp_path / 'new')['rows']['kept']:,} image-text pairs" in (tmp_path / "card" / "README.md").read_text()
    )


def broken_off(run, to: Path, exclusion: Exclusion, task: int) -> None:
    """Remove, and break off as a task is about to begin."""

    def interrupt(number: int) -> None:
        if number == task:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remove_from_manifest(in_turn(interrupt), run.path, exclusion, to)


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "task"), [("local", 0), ("local", 2), ("s3", 1)], indirect=["folder"])
def test_a_removal_that_broke_off_is_gone_on_with(run, folder, tmp_path, task):
    exclusion, begun = Exclusion.of(domains=[DOMAIN]), []
    remove_from_manifest(in_turn(), run.path, exclusion, tmp_path / "quiet")
    broken_off(run, folder / "new", exclusion, task)
    assert names(folder / "new") <= {".work", "curated", "removed"}
    remove_from_manifest(in_turn(begun.append), run.path, exclusion, folder / "new")
    assert len(begun) == 3 - task
    assert all_bytes(folder / "new") == all_bytes(tmp_path / "quiet")


def test_before_a_file_is_done_nothing_is_left_and_then_another_removal_is_refused(run, tmp_path):
    broken_off(run, tmp_path / "new", Exclusion.of(domains=[DOMAIN]), 0)
    assert names(tmp_path) == {"run"}
    broken_off(run, tmp_path / "new", Exclusion.of(domains=[DOMAIN]), 1)
    with pytest.raises(
        InputError,
        match=r"new already holds a manifest without some images made differently \(other removal exclusion\); specify",
    ):
        remove_from_manifest(in_turn(), run.path, Exclusion.of(), tmp_path / "new")


def test_a_run_at_a_url_is_removed_from_as_a_local_one_is(run, s3_folder, tmp_path):
    s3_folder.fs.put(str(run.path), str(s3_folder.path), recursive=True)
    for source, to in ((run.path, tmp_path / "one"), (s3_folder, tmp_path / "other")):
        remove_from_manifest(in_turn(), source, Exclusion.of(domains=[DOMAIN]), to)
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "other")


def test_a_folder_that_is_not_empty_or_in_the_run_is_refused_and_left_alone(run, tmp_path):
    before, exclusion = all_bytes(run.path), Exclusion.of(domains=[DOMAIN])
    for to, why in ((run.path, "is the output folder"), (run.path / "curated" / "new", "is in the input")):
        with pytest.raises(InputError, match=why):
            remove_from_manifest(in_turn(), run.path, exclusion, to)
    with pytest.raises(InputError, match="is in the input"):
        remove_from_manifest(in_turn(), run.path, exclusion, run.path / "run.json")
    assert all_bytes(run.path) == before


def test_what_is_no_whole_run_is_refused(run, tmp_path):
    with pytest.raises(InputError, match="pass the output folder of a finished run"):
        remove_from_manifest(in_turn(), tmp_path, Exclusion.of(), tmp_path / "new")
    part_files(run.path / "curated")[0].unlink()
    with pytest.raises(InputError, match=r"holds \d+ images, \d+ were written"):
        remove_from_manifest(in_turn(), run.path, Exclusion.of(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_disk_without_room_is_told_in_a_sentence(run, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", no_room)
    monkeypatch.setattr(shutil, "copyfile", no_room)
    with pytest.raises(InputError, match="no space left in .*new"):
        remove_from_manifest(in_turn(), run.path, Exclusion.of(), tmp_path / "new")
    assert not (tmp_path / "new" / "run.json").exists()


def test_the_command_writes_the_folder_and_says_what_went(run, tmp_path, capsys):
    (tmp_path / "list.txt").write_text(f"# on request\n{DOMAIN}\n", "utf-8")
    main([str(run.path), "--exclude", str(tmp_path / "list.txt"), "--output", str(tmp_path / "new")])
    removed = len(run.kept) - facts(tmp_path / "new")["rows"]["kept"]
    said, messages = capsys.readouterr()
    stages = messages.splitlines()
    assert [stage.partition(": ")[0] for stage in stages] == ["remove images of 3 of 3 files"]
    assert said.startswith(f"removed {removed} of {len(run.kept)} pairs ({removed} excluded_domain); ")
    assert removed > 0


def test_the_pairs_that_each_list_names_are_recorded_and_a_list_without_any_is_warned_of(run, tmp_path, capsys):
    lists = {
        "some.txt": DOMAIN,
        "http.txt": run.kept[1]["url"].replace("https:", "http:"),
        "one.txt": run.kept[1]["uid"],
    }
    for name, line in lists.items():
        (tmp_path / name).write_text(line, "utf-8")
    main([str(run.path), "--exclude", *[str(tmp_path / name) for name in lists], "--output", str(tmp_path / "new")])
    said, messages = capsys.readouterr()
    (removal,) = facts(tmp_path / "new")["removals"]
    found = {Path(row["name"]).name: row["found"] for row in removal["lists"]}
    assert found == {"some.txt": sum(DOMAIN in row["url"] for row in run.kept), "http.txt": 0, "one.txt": 1}
    assert f"{tmp_path / 'http.txt'} names 0 pairs. {tmp_path / 'one.txt'} names 1 pair." in said
    assert f"These lists name no pair: {tmp_path / 'http.txt'}. Check that the lists are about these images" in messages


def test_the_command_refuses_a_bad_list_in_one_sentence_and_writes_nothing(run, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("example.org\nregex:[\n")
    said = refusal(capsys, main, run.path, "--exclude", tmp_path / "list.txt", "--output", tmp_path / "new")
    assert said.startswith(f"clip-remove: {tmp_path / 'list.txt'}, line 2: 'regex:[' is not a regular expression")
    assert not (tmp_path / "new").exists()


def test_further_columns_of_the_manifest_stay(tmp_path):
    run = tmp_path / "run"
    config = CurationConfig(extra_columns=["license", "record"])
    page = warc("<link rel=license href=//creativecommons.org/licenses/by/4.0><img src=/a alt=dog><img src=/b alt=dog>")
    (tmp_path / "a.warc.gz").write_bytes(page)
    entries = Entries.build({"en": ["dog"]})
    curate([tmp_path / "a.warc.gz"], run, metadata=entries, config=config, engine=in_turn())
    remove_from_manifest(in_turn(), run, Exclusion.of(urls=["https://example.org/b"]), tmp_path / "less")
    [row] = pq.read_table(tmp_path / "less" / "curated").to_pylist()
    assert (row["license"], row["record"]) == ("cc-by", {"file": "a.warc.gz", "offset": 0})
    export(in_turn(), run, tmp_path / "hub", HuggingFace())
    card = (tmp_path / "hub" / "README.md").read_text("utf-8")
    assert "Pages state licences for themselves, not for each picture. Licences of the pairs kept: 2 cc-by." in card
    export(in_turn(), tmp_path / "less", tmp_path / "less-hub", HuggingFace())
    assert "Licences of the pairs kept: 1 cc-by." in (tmp_path / "less-hub" / "README.md").read_text("utf-8")
    assert "| `license` | The licence that pages of the image state for themselves, not for the picture" in card
    described = json.loads((tmp_path / "hub" / "croissant.json").read_text("utf-8"))
    *_, license, record = described["recordSet"][0]["field"]
    assert (license["name"], record["name"]) == ("license", "record")
    assert [part["source"]["transform"]["jsonPath"] for part in record["subField"]] == ["file", "offset"]
