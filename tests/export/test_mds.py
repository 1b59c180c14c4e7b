"""Shards in MDS format hold what tars for webdataset hold, whatever the tars, shards, captions and experts are."""

import json
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.leaves.export import webdataset as mds
from curation.leaves.export.clip_export import main
from curation.leaves.export.forms import ByCluster, export
from curation.leaves.export.webdataset import Mds, WebDataset
from runtime.errors import InputError
from tests.export.test_webdataset import samples_in
from tests.naive.mds import naive_mds
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.in_turn import in_turn
from tests.support.online_run import add, write_tar


def both(run, folder, *given, **more) -> tuple[list[dict], list[dict[str, bytes]]]:
    """Return what the exports of the same samples hold: in MDS, and in tars."""
    said = [
        export(in_turn(), run.path, folder / form.name, form(*given, **more)).partition(" in ")[0]
        for form in (Mds, WebDataset)
    ]
    assert said[0] == said[1]
    tars = sorted((folder / "webdataset").glob("*.tar"))
    return naive_mds(folder / "mds"), [sample for tar in tars for sample in samples_in(tar).values()]


def plain(members: dict[str, bytes]) -> dict:
    """What a sample of a tar is as one of MDS, without captions."""
    stated = members["json"].decode()
    text = members.get("alt.txt", members["txt"]).decode()
    return {"image": members["jpg"], "json": stated, "text": text, "uid": json.loads(stated)["uid"]}


@pytest.fixture
def sources(run, tmp_path) -> str:
    rows = [
        {"uid": row["uid"], "caption": f"{source} {row['uid']}", "source": source}
        for place, row in enumerate(run.images)
        for source in ("dfn", "org/altogether")
        if source == "dfn" or place % 3
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sources.parquet")
    return str(tmp_path / "sources.parquet")


def test_samples_are_those_of_webdataset(run, tars, tmp_path):
    found, expected = both(run, tmp_path, [tars])
    assert len(found) == len(run.kept) > 10
    assert found == [*map(plain, expected)]
    assert {path.name for path in (tmp_path / "mds").glob("[!.]*")} == {
        "00000.00000.mds",
        "00001.00000.mds",
        "index.json",
    }


def test_captions_stand_beside_the_text_and_the_drawn_one_is_that_of_webdataset(run, tars, captions, tmp_path):
    found, expected = both(run, tmp_path, [tars], [captions], caption_ratio=0.4, seed=3, epoch=2)
    known = {row["uid"]: f"説明 {row['uid']}" for row in run.images[::2]}
    assert found == [
        plain(each) | {"caption": known.get(plain(each)["uid"], ""), "txt": each["txt"].decode()} for each in expected
    ]
    assert 3 < sum(each["txt"] != each["text"] for each in found) < len(found) / 2


def test_captions_of_sources_have_a_column_each(run, tars, sources, tmp_path):
    found, expected = both(run, tmp_path, [tars], [sources], caption_sources=["dfn=0.3", "org/altogether=0.4"])
    for own, members in zip(found, expected, strict=True):
        stated = json.loads(members["json"])
        captions = {name: stated[name] or "" for name in ("caption_org--altogether", "caption_dfn")}
        assert {name: own[name] for name in captions} == captions
        assert (own["txt"], own["text"]) == (members["txt"].decode(), stated["text"])
        assert "text" not in json.loads(own["json"])
        assert own.keys() == {"image", "json", "text", "txt", "uid", *captions}
    assert {own["caption_org--altogether"] for own in found} > {""}


def test_samples_of_an_expert_are_those_of_webdataset(run, tars, tmp_path):
    rows = cluster_rows([row["uid"] for row in run.images], seed=2)
    clusters = ByCluster([write_folder(tmp_path / "clusters", rows)], [1, 2], 0.25, seed=3)
    found, expected = both(run, tmp_path, [tars], clusters=clusters)
    assert found == [*map(plain, expected)]
    assert 0 < len(found) < len(run.kept)


@pytest.mark.parametrize("most", [1, 900, 2000, 5000])
def test_a_tar_is_cut_into_shards_of_at_most_the_bytes_that_are_asked_for(run, tars, tmp_path, most):
    """One sample may have more bytes: it has a shard of its own."""
    paths = ["--tars", str(tars), "--output", str(tmp_path / "out"), "--shard-bytes", str(most)]
    main([str(run.path), "--format", "mds", *paths])
    found, _ = both(run, tmp_path, [tars])
    assert naive_mds(tmp_path / "out") == found
    shards = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))["shards"]
    sizes = [shard["raw_data"]["bytes"] for shard in shards]
    assert all(size <= most or shard["samples"] == 1 for size, shard in zip(sizes, shards, strict=True))
    stems = [shard["raw_data"]["basename"].partition(".")[0] for shard in shards]
    largest = max(len(sample["image"]) for sample in found) + 300
    full = [size for size, *pair in zip(sizes, stems, stems[1:], strict=False) if pair[0] == pair[1]]
    assert all(size > most - largest for size in full)
    assert len(shards) == len(found) if most == 1 else 2 < len(shards) < len(found) or most < 2000


def test_a_picture_of_any_kind_keeps_its_bytes_and_other_members_are_left_out(run, tmp_path):
    one, other = run.kept[:2]
    stated = json.dumps({"uid": other["uid"], "é": "犬"}, ensure_ascii=False)
    members = {"é b/01.PNG": b"\x89PNG\0\xff", "é b/01.json": stated.encode(), "é b/01.cls": b"1"}
    members |= {"2.webp": b"", "2.json": json.dumps({"uid": one["uid"]}).encode(), "3.jpg": b"JPEG", "3.json": b"{"}
    with tarfile.open(tmp_path / "犬 x.0.tar", "w") as tar:
        for name, content in members.items():
            add(tar, name, content)
    said = export(in_turn(), run.path, tmp_path / "out", Mds([tmp_path / "犬 x.0.tar"]))
    assert said.startswith("2 samples in 1 tar in ")
    assert naive_mds(tmp_path / "out") == [
        {"image": b"\x89PNG\0\xff", "json": stated, "text": other["text"], "uid": other["uid"]},
        {"image": b"", "json": members["2.json"].decode(), "text": one["text"], "uid": one["uid"]},
    ]
    assert (tmp_path / "out" / "犬 x.0.00000.mds").exists()


def test_shards_are_listed_by_tar_and_number(run, tmp_path):
    """Names of tars may be such that sorting names of shards would mix them, or that they look like those of shards."""
    for number, stem in enumerate(("a", "a.00000", "a-")):
        rows = [row | {"key": str(place)} for place, row in enumerate(run.images[number * 20 : (number + 1) * 20])]
        write_tar(tmp_path / f"{stem}.tar", rows)
    export(in_turn(), run.path, tmp_path / "out", Mds([str(tmp_path / "*.tar")], shard_bytes=1))
    index = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))["shards"]
    names = [shard["raw_data"]["basename"].rsplit(".", 2) for shard in index]
    stems = [stem for stem, *_ in names]
    assert list(dict.fromkeys(stems)) == ["a-", "a.00000", "a"]
    assert all(int(number) == stems[:place].count(stem) for place, (stem, number, _) in enumerate(names))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"tars": []}, r"the format mds is written of tars; .* \(--tars\)"),
        ({"tars": ["others.tar"]}, "none of the samples in 1 tar is in the manifest of"),
        ({"shard_bytes": 0}, "shard_bytes is 0; give 1 to 4294967295"),
        ({"shard_bytes": 1 << 32}, "shard_bytes is 4294967296"),
    ],
)
def test_what_cannot_be_written_is_refused(run, tmp_path, monkeypatch, given, fault):
    monkeypatch.chdir(tmp_path)
    write_tar(tmp_path / "others.tar", [{"uid": "f" * 32, "url": None}])
    with pytest.raises(InputError, match=fault):
        export(in_turn(), run.path, tmp_path / "out", Mds(**{"tars": ["others.tar"]} | given))
    assert not (tmp_path / "out").exists()


def test_a_sample_that_numbers_of_a_shard_cannot_count_is_refused(run, tars, tmp_path, monkeypatch):
    monkeypatch.setattr(mds, "MOST_BYTES", 500)
    with pytest.raises(
        InputError, match=r"a sample of 0000\d.tar has .* bytes; a shard counts to 500: leave the tar out"
    ):
        export(in_turn(), run.path, tmp_path / "out", Mds([tars], shard_bytes=500))
    assert not (tmp_path / "out" / "index.json").exists()
