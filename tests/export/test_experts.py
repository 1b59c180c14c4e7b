"""Exports of an expert hold the images of its clusters and the outsiders that are drawn, the same in every form."""

import json
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from curation.exclusion import Exclusion
from curation.plugins.export.clip_export import main
from curation.plugins.export.formats import ByCluster
from curation.plugins.export.removal import remove_from_manifest
from curation.schemas import CURATED
from runtime.errors import InputError
from tests.naive.experts import naive_chance, naive_clusters, naive_takes
from tests.naive.export import naive_subset
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar

CHOSEN, SHARE = {1, 2}, Fraction(1, 4)
EXPERT = ["--expert", "2", "1", "--outsiders", "0.25", "--seed", "3"]


@pytest.fixture
def rows(run):
    return cluster_rows([row["uid"] for row in run.images], seed=2)


@pytest.fixture
def folder(rows, tmp_path) -> str:
    return write_folder(tmp_path / "clusters", rows)


@pytest.fixture
def export(run, folder, tmp_path):
    """Run the command into a new folder; return it."""

    def run_command(form: str, *flags: str, source=run.path) -> Path:
        to = tmp_path / f"out of {form}{len(list(tmp_path.iterdir()))}"
        main([str(source), "--output", str(to), "--format", form, "--clusters", folder, *flags])
        return to

    return run_command


def of_expert(kept: list[str], rows: list[dict], uids: list[str]) -> list[str]:
    """The uids that are the expert's, by its definition."""
    coarse = {row["uid"]: row["coarse"] for row in rows}
    chance = naive_chance(kept, coarse, CHOSEN, SHARE)
    takes = naive_takes(uids, coarse, CHOSEN, chance, seed=3)
    return [uid for uid, is_taken in zip(uids, takes, strict=True) if is_taken]


@pytest.fixture
def expected(run, rows) -> list[str]:
    kept = [row["uid"] for row in run.kept]
    found = of_expert(kept, rows, kept)
    coarse = {row["uid"]: row["coarse"] for row in rows}
    assert CHOSEN < {coarse[uid] for uid in found}  # outsiders, too
    return found


def test_the_subset_file_holds_the_uids_of_the_expert(export, expected, rows, capsys):
    out = export("datacomp", *EXPERT)
    assert np.load(out / "uids.npy").tolist() == naive_subset(expected)
    assert [path.name for path in out.glob("[!_]*")] == ["uids.npy"]
    said = f"(of coarse clusters 1, 2, with 25.0 % of outsiders; {60 - len(rows)} images of the pool have no cluster)"
    assert f"uids.npy with {len(expected)} uids {said} in" in capsys.readouterr().out


def test_the_folder_for_hugging_face_holds_the_rows_of_the_expert_with_their_clusters(run, export, expected, rows):
    out = export("huggingface", *EXPERT)
    written = pq.read_table(out / "data").to_pylist()
    assert [{name: row[name] for name in CURATED.names} for row in written] == [
        row for row in run.kept if row["uid"] in expected
    ]
    clusters = naive_clusters(rows, [row["uid"] for row in written])
    assert [(row["coarse"], row["fine"]) for row in written] == [(row["coarse"], row["fine"]) for row in clusters]
    card = (out / "README.md").read_text("utf-8")
    assert f"; images kept of coarse clusters 1, 2, with 25.0 % of outsiders: {len(expected)}\n" in card
    assert f"{len(expected)} image-text pairs in" in json.loads((out / "croissant.json").read_text())["description"]
    assert {path.name for path in out.glob("[!_]*")} == {"README.md", "croissant.json", "data", "entries", "funnel.svg"}


def test_without_a_chosen_cluster_all_rows_have_theirs(run, export, rows, tmp_path):
    captions = tmp_path / "captions.parquet"
    pq.write_table(
        pq.read_table(run.path / "curated", columns=["uid", "text"]).rename_columns(["uid", "caption"]), captions
    )
    out = export("huggingface", "--captions", str(captions))
    written = pq.read_table(out / "data")
    assert written.select(CURATED.names).to_pylist() == run.kept
    clusters = naive_clusters(rows, [row["uid"] for row in run.kept])
    assert written["fine"].to_pylist() == [row["fine"] for row in clusters]
    assert written["caption"].to_pylist() == [row["text"] for row in run.kept]
    described = json.loads((out / "croissant.json").read_text("utf-8"))
    pairs = next(each for each in described["recordSet"] if each["@id"] == "pairs")
    columns = [field["@id"].removeprefix("pairs/") for field in pairs["field"]]
    assert columns == written.column_names
    card = (out / "README.md").read_text("utf-8")
    assert f"; images kept: {len(run.kept)}\n" in card
    assert "| `fine` | The fine cluster of the image; null if there is none. |\n\n| column of the entries" in card


def test_loaders_get_texts_of_the_expert_alone(run, export, rows, tmp_path):
    tar = tmp_path / "00000.tar"
    write_tar(tar, run.images)
    out = export("metaclip", "--tars", str(tar), *EXPERT)
    uids = [row["uid"] for row in run.images]
    taken = of_expert([row["uid"] for row in run.kept], rows, uids)
    keys = [f"00000{number:04d}" for number, uid in enumerate(uids) if uid in taken]
    for loader in ("text_probabilities", "text_entries"):
        assert [*json.loads((out / loader / "0" / "0.json").read_text("utf-8"))] == keys != []
    assert not [path for path in out.iterdir() if path.name.startswith(("clusters", "tmp"))]


def test_tars_have_the_samples_of_the_expert_alone(run, export, expected, tmp_path):
    write_tar(tmp_path / "00000.tar", run.images)
    out = export("webdataset", "--tars", str(tmp_path / "00000.tar"), *EXPERT)
    with tarfile.open(out / "00000.tar") as tar:
        stated = [json.load(tar.extractfile(member)) for member in tar if member.name.endswith(".json")]
    assert sorted(each["uid"] for each in stated) == sorted(expected)
    assert {path.name for path in out.glob("[!_]*")} == {"00000.tar", "sizes.json"}


def test_a_manifest_from_which_images_were_removed_has_experts_too(run, export, rows, tmp_path):
    gone = run.kept[0]["uid"]
    remove_from_manifest(in_turn(), run.path, Exclusion.of(uids=[gone]), tmp_path / "less")
    kept = [row["uid"] for row in run.kept[1:]]
    out = export("datacomp", *EXPERT, source=tmp_path / "less")
    assert np.load(out / "uids.npy").tolist() == naive_subset(of_expert(kept, rows, kept))


@pytest.mark.parametrize(
    ("form", "flags", "fault"),
    [
        ("datacomp", [], "the format datacomp uses --clusters only with --expert; choose clusters with --expert"),
        ("metaclip", ["--expert", "1"], "the format metaclip chooses clusters only if it reads tars"),
        ("datacomp", ["--expert", "8"], "the run kept no image of cluster 8; it kept images of clusters 0, 1, 2, 3"),
        ("datacomp", ["--expert", "1", "--outsiders", "1"], "--outsiders is 1.0; it must be at most 0."),
        ("huggingface", ["--outsiders", "0.1"], "outsiders are asked for, but no clusters are chosen"),
    ],
)
def test_what_makes_no_expert_is_refused(export, form, flags, fault, tmp_path, capsys):
    with pytest.raises(SystemExit):
        export(form, *flags)
    assert fault in capsys.readouterr().err
    assert not list(tmp_path.glob("*out of*"))


def test_a_cluster_without_clusters_is_refused():
    with pytest.raises(InputError, match="clusters are chosen without a table of clusters"):
        ByCluster(coarse=[1])
