"""Tars of a download are written anew with the curated pairs, and captions in place of some texts."""

import json
import os
import tarfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

from curation.exclusion import Exclusion
from curation.plugins.export.clip_export import main
from curation.plugins.export.formats import export
from curation.plugins.export.metaclip import MetaClip
from curation.plugins.export.removal import remove_from_manifest
from curation.plugins.export.webdataset import WebDataset
from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR
from runtime.storage.paths import files_below, names, read_bytes
from tests.export.conftest import NUMBERS
from tests.naive.sampling import naive_draw
from tests.support.downloaded import all_bytes
from tests.support.finished_run import image
from tests.support.in_turn import in_turn, killed_at
from tests.support.online_run import add, write_tar

RATIO, SEED = 0.4, 3


def samples_in(tar: Path) -> dict[str, dict[str, bytes]]:
    """Return the members of each key of a tar, in its order."""
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    with tarfile.open(tar) as file:
        for member in file:
            key, extension = member.name.split(".", 1)
            found[key][extension] = file.extractfile(member).read()
    return dict(found)


def naive_samples(tar: Path, texts: dict[str, str], captions: dict[str, str]) -> dict[str, dict[str, bytes]]:
    """Return what is to be written of a tar, given the curated text and the drawn caption of each uid."""
    expected = {}
    for key, sample in samples_in(tar).items():
        uid = json.loads(sample["json"])["uid"]
        if uid in texts:
            text = {"txt": texts[uid].encode()}
            if uid in captions:
                text = {"txt": captions[uid].encode(), "alt.txt": texts[uid].encode()}
            expected[key] = {"jpg": sample["jpg"], "json": sample["json"]} | text
    return expected


def written(run, tars, to: Path, **given) -> str:
    return export(in_turn(), run.path, to, WebDataset([tars], **given))


def test_a_tar_has_the_curated_samples_in_its_order_with_the_curated_text(run, tars, tmp_path):
    sentence = written(run, tars, tmp_path / "out")
    texts = {row["uid"]: row["text"] for row in run.kept}
    assert 10 < len(texts) < 60
    for tar in tars.iterdir():
        expected = naive_samples(tar, texts, {})
        found = samples_in(tmp_path / "out" / tar.name)
        assert [*found.items()] == [*expected.items()]
    assert sentence.startswith(f"{len(texts)} samples in 3 tars in ")
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {
        "sizes.json",
        DESCRIPTOR,
        *(f"{stem}.tar" for stem in NUMBERS),
    }


def test_captions_stand_where_the_draw_for_seed_and_uid_says(run, tars, captions, tmp_path, capsys):
    draw = ["--caption-sources", f"any={RATIO}", "--seed", str(SEED)]
    paths = [str(run.path), "--output", str(tmp_path / "out"), "--tars", str(tars), "--captions", captions]
    main([*paths, "--format", "webdataset", *draw])
    texts = {row["uid"]: row["text"] for row in run.kept}
    captioned = (row["uid"] for row in run.images[::2])
    drawn = {uid: f"説明 {uid}" for uid in captioned if naive_draw(SEED, "caption", uid) < RATIO}
    for tar in tars.iterdir():
        assert samples_in(tmp_path / "out" / tar.name) == naive_samples(tar, texts, drawn)
    stand = len(drawn.keys() & texts.keys())
    assert stand > 3
    said = f"{len(texts)} samples in 3 tars with {stand} captions as txt (30 of 60 images have no caption)"
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_an_export_that_is_killed_before_any_task_is_gone_on_with_to_the_same_bytes(run, tars, captions, tmp_path):
    form, number = WebDataset([tars], captions=[captions], caption_sources=[f"any={RATIO}"]), 0
    export(in_turn(), run.path, tmp_path / "whole", form)
    while True:
        try:
            export(in_turn(killed_at(number)), run.path, tmp_path / str(number), form)
            break
        except KeyboardInterrupt:
            assert not (tmp_path / str(number) / "sizes.json").exists()
        export(in_turn(), run.path, tmp_path / str(number), form)
        assert all_bytes(tmp_path / str(number)) == all_bytes(tmp_path / "whole")
        number += 1
    assert number > 3 * len(NUMBERS)


def checksums_in(files: dict[str, bytes]) -> dict[str, str]:
    """Take the list of checksums out of the files of an export; the digest in it depends on where inputs lie."""
    return json.loads(files.pop(DESCRIPTOR))["checksums"]


FORMS = {
    "webdataset": lambda tars, captions: WebDataset([str(tars)], captions=[captions], caption_sources=[f"any={RATIO}"]),
    "metaclip of tars": lambda tars, _: MetaClip([str(tars)]),
    "metaclip": lambda *_: MetaClip(),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_run_tars_and_a_folder_at_urls_give_the_same_bytes_after_a_kill(
    run, tars, captions, s3_folder, tmp_path, form
):
    form_of, tasks = FORMS[form], []
    export(in_turn(tasks.append), run.path, tmp_path / "quiet", form_of(tars, captions))
    for path in (run.path, tars):
        s3_folder.fs.put(str(path), (s3_folder / path.name).path, recursive=True)
    given = s3_folder / run.path.name, s3_folder / "out", form_of(s3_folder / tars.name, captions)
    with suppress(KeyboardInterrupt):
        export(in_turn(killed_at(tasks[-1])), *given)  # files are written before the last task
    assert ".work" in names(s3_folder / "out")
    export(in_turn(), *given)
    written = {name: read_bytes(s3_folder / "out" / name) for name in files_below(s3_folder / "out")}
    quiet = all_bytes(tmp_path / "quiet")
    assert checksums_in(written) == checksums_in(quiet)
    assert written == quiet
    assert ".work" not in names(s3_folder / "out")


def test_relative_paths_mean_the_same_to_tasks_in_another_folder(run, tars, captions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own, *given = (os.path.relpath(path) for path in (run.path, tars, captions))
    export(in_turn(lambda _: os.chdir("/")), own, "out", WebDataset(given[:1], captions=given[1:]))
    assert (tmp_path / "out" / "sizes.json").exists()


def test_what_was_written_can_be_written_anew_with_other_captions(run, tars, captions, tmp_path):
    written(run, tars, tmp_path / "plain")
    written(run, tars, tmp_path / "first", captions=[captions], caption_sources=["any=1"])
    written(run, tmp_path / "first", tmp_path / "again")
    plain, again = all_bytes(tmp_path / "plain"), all_bytes(tmp_path / "again")
    assert checksums_in(plain) == checksums_in(again)
    assert plain == again


def test_a_manifest_that_images_were_removed_from_is_written_with_captions_too(run, tars, captions, tmp_path):
    removed = run.kept[0]["uid"]
    (tmp_path / "opt-outs.txt").write_text(f"{removed}\n")
    remove_from_manifest(in_turn(), run.path, Exclusion.read([str(tmp_path / "opt-outs.txt")]), tmp_path / "less")
    sentence = export(in_turn(), tmp_path / "less", tmp_path / "out", WebDataset([tars], captions=[captions]))
    left = len(run.kept) - 1
    assert sentence.startswith(f"{left} samples in 3 tars with ")
    assert f" of {left} images have no caption" in sentence
    assert not any(removed in str(samples_in(path)) for path in (tmp_path / "out").glob("*.tar"))


def test_open_clip_finds_the_number_of_samples_of_each_tar(run, tars, tmp_path):
    written(run, tars, tmp_path / "out")
    sizes = json.loads((tmp_path / "out" / "sizes.json").read_text("utf-8"))
    assert sizes == {f"{stem}.tar": len(samples_in(tmp_path / "out" / f"{stem}.tar")) for stem in NUMBERS}
    assert sizes["00002.tar"] == 0


def test_all_members_but_texts_keep_their_names_and_bytes(run, tmp_path):
    row = run.kept[0]
    names = {"a b/01.JPG": b"JPEG", "a b/01.json": json.dumps({"uid": row["uid"]}).encode(), "a b/01.cls": b"\0\1"}
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, content in names.items():
            add(tar, name, content)
    written(run, tmp_path / "t.tar", tmp_path / "out")
    with tarfile.open(tmp_path / "out" / "t.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}
        assert {(member.uid, member.gid, member.mtime, member.uname) for member in tar} == {(0, 0, 0, "")}
    assert found == names | {"a b/01.txt": row["text"].encode()}


def test_a_sample_without_json_is_passed_over_and_counted(run, tmp_path, caplog):
    kept = run.kept[0]
    members = {"0.jpg": b"JPEG", "1.jpg": b"JPEG", "1.json": json.dumps({"uid": kept["uid"]}).encode()}
    members |= {"2.jpg": b"JPEG", "2.json": b"{", "3.jpg": b"JPEG", "3.json": b"[]"}
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        for name, content in members.items():
            add(tar, name, content)
    assert written(run, tmp_path / "t.tar", tmp_path / "out").startswith("1 sample in 1 tar")
    assert [*samples_in(tmp_path / "out" / "t.tar")] == ["1"]
    assert "3 of 4 samples have no json that states uid or url, such as '0' in " in caplog.text


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, r"the format webdataset copies samples from tars; .* \(tars\)"),
        ({"tars": "others"}, "none of the samples in 1 tar is in the manifest of"),
        ({"tars": "twice"}, "2 tars are called 00000.tar; pass the tars of a single download"),
        ({"tars": "compressed"}, "is not an uncompressed tar"),
        ({"tars": "images", "caption_sources": ["any=0.5"]}, r"pass tables of captions \(captions\)"),
    ],
)
def test_what_cannot_be_written_is_refused(run, tars, tmp_path, given, fault):
    for folder, rows in (("others", [image(95)]), ("twice/a", run.images), ("twice/b", run.images)):
        (tmp_path / folder).mkdir(parents=True)
        write_tar(tmp_path / folder / "00000.tar", rows)
    (tmp_path / "compressed").mkdir()
    with tarfile.open(tmp_path / "compressed" / "00000.tar", "w:gz") as tar:
        add(tar, "0.jpg", b"JPEG")
    if "tars" in given:
        folder = tmp_path / given["tars"]
        given = given | {"tars": sorted(folder.glob("*/*.tar")) or [folder]}
    with pytest.raises(InputError, match=fault):
        export(in_turn(), run.path, tmp_path / "out", WebDataset(**given))
    assert not (tmp_path / "out").exists()
