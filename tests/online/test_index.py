"""Tars are read as the standard library reads them, and joined with the matched images of a run."""

import json
import os

import pytest

from curation import online
from curation.plugins.tars.samples import fault_of, tar_rows, texts
from runtime.errors import InputError
from tests.naive.online import naive_samples
from tests.support.in_turn import in_turn, killed_at
from tests.support.online_run import FORMATS, build, image, images, rows_of, write_run, write_tar


@pytest.mark.parametrize("form", FORMATS)
def test_a_tar_is_read_as_the_standard_library_reads_it(form, tmp_path):
    rows = images(5)
    rows[1]["key"] = "folder.d/" + "é" * 60 if form != "ustar" else "folder.d/" * 11 + "k" * 30
    rows[2]["uid"], rows[3]["uid"] = "своё", ""
    write_tar(tmp_path / "a.tar", rows, form)
    found = tar_rows(tmp_path / "a.tar").to_pylist()
    content = (tmp_path / "a.tar").read_bytes()
    for row in found:
        offset = row.pop("offset")
        row["bytes"] = content[offset : offset + row.pop("size")]
    assert found == naive_samples(tmp_path / "a.tar")
    assert len(found) == 5


def test_files_without_an_image_and_an_empty_tar_are_no_samples(tmp_path):
    write_tar(tmp_path / "a.tar", images(3), jpg=False)
    write_tar(tmp_path / "b.tar", [])
    assert tar_rows(tmp_path / "a.tar").num_rows == tar_rows(tmp_path / "b.tar").num_rows == 0


def test_the_index_counts_images_and_those_that_are_matched(made):
    assert (made.index.samples, made.index.matched) == (330, 300)
    assert [shard.name for shard in made.index.shards] == ["00000.tar", "00001.tar", "00002.tar"]
    assert made.index.first_blocks.tolist() == [0, 7, 14, 21]


def test_uids_are_compared_whole_where_their_halves_agree(tmp_path):
    rows = images(6)
    for number, row in enumerate(rows):
        row["uid"] = ["a" * 16 + f"{number:016x}", f"{number:016x}" + "a" * 16][number % 2]
    write_run(tmp_path / "run", rows[:4])
    write_tar(tmp_path / "a.tar", rows)
    index = build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    found = rows_of(index, 0)
    assert [(row["uid"], row["candidates"]) for row in found] == [(row["uid"], row["candidates"]) for row in rows[:4]]


def test_an_image_in_two_tars_has_its_texts_in_both(tmp_path):
    rows = images(8)
    write_run(tmp_path / "run", rows)
    for name in ("a", "b"):
        write_tar(tmp_path / f"{name}.tar", rows[2:5])
    index = build(str(tmp_path / "*.tar"), tmp_path / "run", tmp_path / "index")
    expected = [(row["uid"], row["candidates"]) for row in rows[2:5]]
    for shard in (0, 1):
        found = rows_of(index, shard)
        assert [(row["uid"], row["candidates"]) for row in found] == expected


def test_tars_of_another_download_are_refused(tmp_path):
    write_run(tmp_path / "run", [*images(3), image(3, []), image(4, None)])
    write_tar(tmp_path / "a.tar", [image(3, []), image(4, None), image(5, None)])
    write_tar(tmp_path / "b.tar", [])
    with pytest.raises(InputError, match="none of the samples in 2 tars is among the images of"):
        build(tmp_path, tmp_path / "run", tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_tar_of_nothing_that_matches_keeps_nothing(tmp_path):
    write_run(tmp_path / "run", [*images(3), image(3, []), image(4, None)])
    write_tar(tmp_path / "a.tar", [image(3, []), image(4, None), image(5, None)])
    write_tar(tmp_path / "b.tar", images(1))
    index = build(tmp_path, tmp_path / "run", tmp_path / "index")
    assert (index.samples, index.matched) == (4, 1)
    assert [len(rows_of(index, shard)) for shard in (0, 1)] == [0, 1]


def test_after_a_gate_only_the_images_that_passed_are_in_the_index(tmp_path):
    write_run(tmp_path / "run", images(6))
    write_run(tmp_path / "passed", images(4))
    (tmp_path / "passed" / "matched").rename(tmp_path / "run" / "gated")
    write_tar(tmp_path / "a.tar", images(6))
    assert build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "before").matched == 6
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps(facts | {"rows": facts["rows"] | {"gated": 4}}))
    index = build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    assert (index.samples, index.matched) == (6, 4)
    with pytest.raises(InputError, match=r"holds an index of tars made differently \(other matched\)"):
        build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "before")


def test_an_index_that_is_there_is_not_built_again(made):
    made_at = (made.folder / "index" / "index.json").stat().st_mtime_ns
    again = build([made.folder / "tars"], made.folder / "run", made.folder / "index", 16)
    assert again == made.index
    assert (made.folder / "index" / "index.json").stat().st_mtime_ns == made_at
    assert not (made.folder / "index" / ".work").exists()


def test_an_index_that_is_killed_before_any_task_is_gone_on_with_to_the_same_bytes(made, tmp_path):
    tars, run, number = made.folder / "tars", made.folder / "run", 0
    whole = {path.name: path.read_bytes() for path in (made.folder / "index").iterdir()}
    while True:
        folder = tmp_path / str(number)
        try:
            online.build(tars, run, folder, 16, engine=in_turn(killed_at(number)))
            break
        except KeyboardInterrupt:
            assert not (folder / "index.json").exists()
        build(tars, run, folder, 16)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
        number += 1
    assert number > 3 * len(made.index.shards)


def test_an_index_is_gone_on_with_where_the_tars_that_are_missing_state_no_uid(tmp_path):
    rows, number = images(6), 0
    write_run(tmp_path / "run", rows)
    write_tar(tmp_path / "a.tar", rows)
    write_tar(tmp_path / "b.tar", rows[:2], json=False)
    while True:
        folder, given = tmp_path / str(number), (tmp_path / "*.tar", tmp_path / "run")
        try:
            online.build(*given, folder, engine=in_turn(killed_at(number)))
            break
        except KeyboardInterrupt:
            assert build(*given, folder).samples == 8
        number += 1
    assert number > 4


def test_relative_paths_mean_the_same_to_tasks_in_another_folder(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tars, run = (os.path.relpath(made.folder / name) for name in ("tars", "run"))
    online.build(tars, run, "index", 16, engine=in_turn(lambda _: os.chdir("/")))
    assert online.Index.open(tmp_path / "index").matched == 300


def test_rows_that_stay_mapped_keep_no_file_open(tmp_path):
    """A process may have 1,024 files open, and as many files of rows stay mapped."""
    write_run(tmp_path / "run", images(4))
    write_tar(tmp_path / "a.tar", images(4))
    index = build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
    before = len(os.listdir("/dev/fd"))
    rows = index.rows(0)
    assert len(os.listdir("/dev/fd")) == before
    assert rows[0].num_rows == 4


def test_another_index_or_other_files_in_the_folder_are_refused(made, tmp_path):
    with pytest.raises(InputError, match="block_rows"):
        build(made.folder / "tars", made.folder / "run", made.folder / "index", 17)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"curation.plugins.online.build did not write \(notes.txt\)"):
        build(made.folder / "tars", made.folder / "run", tmp_path)


@pytest.mark.parametrize("content", ['{"version": 9}', '{"version": 1}'])
def test_an_index_of_another_version_is_refused(made, tmp_path, content):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(InputError, match=r"index\.json|again"):
        online.Index.open(tmp_path)


def test_tars_that_cannot_be_used_are_refused_by_name(tmp_path):
    write_tar(tmp_path / "whole.tar", images(3))
    content = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[:1000])
    (tmp_path / "text.tar").write_text("no tar at all" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "size.tar").write_bytes(content[:124] + b"nonsense" + content[132:])
    write_run(tmp_path / "run", images(3))
    for name in ("cut", "text", "empty", "size"):
        with pytest.raises(InputError, match=rf"{name}\.tar (is|has) .*; (download it again|pass tars)"):
            build([tmp_path / "whole.tar", tmp_path / f"{name}.tar"], tmp_path / "run", tmp_path / "index")
    with pytest.raises(InputError, match=r"4 of 5 tars are damaged: \S*cut\.tar is cut: .*, and 1 more"):
        build(tmp_path, tmp_path / "run", tmp_path / "index")
    with pytest.raises(InputError, match=r"missing\.tar cannot be read"):
        tar_rows(tmp_path / "missing.tar")


def test_samples_of_a_damaged_tar_are_those_before_the_damage(tmp_path):
    write_tar(tmp_path / "a.tar", images(6))
    content, whole = (tmp_path / "a.tar").read_bytes(), tar_rows(tmp_path / "a.tar").to_pylist()
    for size in range(0, len(content), 128):
        (tmp_path / "a.tar").write_bytes(content[:size])
        found = tar_rows(tmp_path / "a.tar")
        assert len(texts(tmp_path / "a.tar")) == found.num_rows
        assert found.to_pylist() == whole[: found.num_rows]
        assert fault_of(found) or found.num_rows == len(whole)


@pytest.mark.parametrize("without", [("json",), ("uid", "url")])
def test_samples_without_uid_are_passed_over_and_counted_and_nothing_but_these_is_refused(without, tmp_path, caplog):
    rows = images(6)
    write_run(tmp_path / "run", rows)
    write_tar(tmp_path / "a.tar", rows[:2], **dict.fromkeys(without))
    with pytest.raises(
        InputError, match=r"no sample states uid or url in its json \(samples: 2; the first: 'a0000' in .*\)"
    ):
        build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "none")
    write_tar(tmp_path / "b.tar", rows[2:])
    index = build([tmp_path / "a.tar", tmp_path / "b.tar"], tmp_path / "run", tmp_path / "index")
    assert (index.samples, index.matched) == (6, 4)
    assert "2 of 6 samples have no json that states uid or url, such as 'a0000' in " in caplog.text


@pytest.mark.parametrize(
    ("tars", "message"), [("s3://bucket/a.tar", "local"), ("nowhere/*.tar", "expected tars"), ([], "no tars")]
)
def test_paths_that_are_no_tars_are_refused(made, tmp_path, tars, message):
    with pytest.raises(InputError, match=message):
        build(tars, made.folder / "run", tmp_path / "index")


def test_a_folder_without_matched_images_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="output folder of a finished run"):
        build(made.folder / "tars", tmp_path, tmp_path / "index")


def test_an_image_that_is_matched_twice_is_refused(tmp_path):
    write_run(tmp_path / "run", [*images(4), images(4)[1]])
    write_tar(tmp_path / "a.tar", images(4))
    with pytest.raises(InputError, match="several images with the uid"):
        build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index")
