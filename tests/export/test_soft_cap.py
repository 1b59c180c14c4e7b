"""An export draws images by scores as soft cap sampling is defined, and writes them as DataComp reads them."""

import math
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.leaves.export.clip_export import main
from curation.leaves.export.datacomp import DataComp
from curation.leaves.export.forms import export
from runtime.errors import InputError
from tests.naive.soft_cap import naive_logits, naive_soft_cap
from tests.support.finished_run import finished_run, image
from tests.support.in_turn import in_turn, killed_at

DRAWN = {"--format": ["datacomp"], "--weights": ["clip=10", "looks=-0.5"], "--draws": ["90"], "--seed": ["4"]}


def flags_with(*given: str) -> list[str]:
    """Return the flags of a draw; those that are given take the place of its own."""
    return [*given, *(word for flag, values in DRAWN.items() if flag not in given for word in (flag, *values))]


def score_rows(uids: list[str]) -> list[dict]:
    """Scores of most images, some missing, null or no number, and one image with a second row."""
    chance = random.Random(3)
    rows = [{"uid": uid, "clip": chance.random(), "looks": chance.gauss(5, 1)} for uid in uids[2:]]
    rows[1]["clip"], rows[2]["looks"], rows[3]["looks"] = None, math.nan, -math.inf
    return [*rows, rows[5] | {"clip": 30.0}]


@pytest.fixture
def scored(run, tmp_path) -> SimpleNamespace:
    """Tables of scores of a run, one of each column, the first in two files; and what is drawn by them."""
    kept = [row["uid"] for row in run.kept]
    rows = score_rows(kept)
    for name, own in (("a", rows[:10]), ("b", rows[10:])):
        pq.write_table(
            pa.Table.from_pylist([{k: row[k] for k in ("uid", "clip")} for row in own]), tmp_path / f"{name}.parquet"
        )
    pq.write_table(pa.Table.from_pylist(rows).select(["looks", "uid"]), tmp_path / "looks.parquet")
    of_image = {row["uid"]: row for row in reversed(rows)}
    none = {"clip": None, "looks": None}
    logits, without, not_finite = naive_logits(
        [{"uid": uid} | of_image.get(uid, none) for uid in kept], {"clip": 10.0, "looks": -0.5}
    )
    counts = naive_soft_cap(logits, 90, 0.15, 4)
    paths = [str(tmp_path / f"{name}.parquet") for name in ("a", "looks", "b")]
    return SimpleNamespace(paths=paths, counts=counts, without=without, not_finite=not_finite)


def read_subset(path: Path) -> Counter:
    """How often each uid is in DataComp's subset file, read as the format is published: pairs of u8, sorted."""
    found = np.load(path)
    assert found.dtype == np.dtype("u8,u8")
    assert found.tolist() == sorted(found.tolist())
    return Counter(f"{first:016x}{last:016x}" for first, last in found.tolist())


def weights_in(folder: Path) -> dict[str, int]:
    rows = pq.read_table(folder / "weights").to_pylist()
    return {row["uid"]: row["weight"] for row in rows}


def test_the_subset_file_has_each_uid_as_often_as_it_is_drawn(run, scored, tmp_path, capsys):
    main([str(run.path), "--output", str(tmp_path / "out"), *flags_with("--scores", *scored.paths)])
    drawn = {uid: number for uid, number in scored.counts.items() if number}
    assert read_subset(tmp_path / "out" / "uids.npy") == drawn
    assert weights_in(tmp_path / "out") == drawn
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {"uids.npy", "weights"}
    assert (scored.without, scored.not_finite) == (3, 2)
    said = (
        f"uids.npy with 90 uids (of {len(drawn)} images; 3 without a score and 2 with one that is not finite are left"
    )
    assert said in capsys.readouterr().out


def test_images_of_an_expert_are_drawn_among_themselves(run, scored, tmp_path):
    clusters = pa.table(
        {"uid": [*scored.counts], "coarse": pa.array([n % 2 for n in range(len(scored.counts))], pa.int32())}
    )
    pq.write_table(clusters, tmp_path / "clusters.parquet")
    clusters = ["--clusters", str(tmp_path / "clusters.parquet"), "--expert", "1"]
    main([str(run.path), "--output", str(tmp_path / "out"), *flags_with("--scores", *scored.paths, *clusters)])
    found = read_subset(tmp_path / "out" / "uids.npy")
    assert found.total() == 90
    assert {*found} <= {*[*scored.counts][1::2]}


def test_logits_may_be_huge(run, scored, tmp_path):
    flags = flags_with("--scores", *scored.paths, "--weights", "clip=1e307", "looks=1")
    main([str(run.path), "--output", str(tmp_path / "out"), *flags])
    assert [*read_subset(tmp_path / "out" / "uids.npy").values()] == [90]


@pytest.mark.parametrize("files", [1, 5])
def test_files_and_rows_in_any_order_give_the_same_bytes(tmp_path, files):
    rows = [image(number) for number in range(60)]
    given = flags_with("--scores", str(tmp_path / "scores.parquet"))
    table = pa.Table.from_pylist([{"uid": row["uid"], "clip": n / 60, "looks": n % 7} for n, row in enumerate(rows)])
    written = []
    for name, images, number in (("one", rows, 2), ("other", rows[::-1], files)):
        pq.write_table(table if name == "one" else table.take(list(range(59, -1, -1))), tmp_path / "scores.parquet")
        finished_run(tmp_path / name, images, number)
        main([str(tmp_path / name), "--output", str(tmp_path / f"out of {name}"), *given])
        written.append((tmp_path / f"out of {name}" / "uids.npy").read_bytes())
    assert written[0] == written[1]


@pytest.mark.slow
def test_an_export_that_broke_off_is_gone_on_with(run, scored, tmp_path):
    form = DataComp(scores=scored.paths, weights=["clip=10", "looks=-0.5"], draws=90, seed=4)
    export(in_turn(), run.path, tmp_path / "whole", form)
    tasks = []
    export(in_turn(tasks.append), run.path, tmp_path / "counted", form)
    for number in range(0, len(tasks), 5):
        out = tmp_path / f"out{number}"
        with pytest.raises(KeyboardInterrupt):
            export(in_turn(killed_at(number)), run.path, out, form)
        assert not (out / "uids.npy").exists()
        export(in_turn(), run.path, out, form)
        for name in ("uids.npy", "weights/00000.parquet", "weights/00001.parquet"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_uids_are_repeated_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("curation.leaves.export.datacomp.WRITTEN_ROWS", 7)
    run = finished_run(tmp_path / "run", [image(number) for number in range(4)], t=1000)
    uids = [row["uid"] for row in run.kept]
    pq.write_table(pa.table({"uid": uids, "a": [0.0] * len(uids)}), tmp_path / "scores.parquet")
    form = DataComp(scores=[tmp_path / "scores.parquet"], weights=["a=1"], draws=100, penalty=0.0)
    export(in_turn(), run.path, tmp_path / "out", form)
    assert read_subset(tmp_path / "out" / "uids.npy") == naive_soft_cap(dict.fromkeys(uids, 0.0), 100, 0.0, 0)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--draws", "0"], "--draws is 0; it must be at least 1"),
        (["--draws", "2000000000000"], "--draws is 2,000,000,000,000; it must be at most 100,000,000,000"),
        (["--penalty", "-1"], "--penalty is -1; it must be a number from 0 to 100"),
        (["--weights", "clip"], "'clip' is no weight of a column of scores; give each column once, as NAME=NUMBER"),
        (["--weights", "clip=1", "clip=2"], "'clip=2' is no weight of a column of scores"),
        (["--weights", "clip=inf"], "'clip=inf' is no weight of a column of scores"),
        (["--weights", "looks=1", "other=1"], "has no column looks or other; it has uid, clip: weigh one of its"),
        (["--weights", "clip=1", "looks=1", "other=1"], "column other of scores is in no table"),
        (["--weights", "clip=1"], "looks.parquet has no column clip; it has looks, uid: weigh one of"),
        (["--weights", "uid=1"], "column uid of"),
        (["--format", "huggingface"], "leave out --scores, --weights, --draws, or give --format datacomp"),
    ],
)
def test_what_cannot_be_drawn_is_refused(run, scored, tmp_path, capsys, flags, fault):
    command = [str(run.path), "--output", str(tmp_path / "out"), "--scores", *scored.paths]
    with pytest.raises(SystemExit):
        main([*command, *flags_with(*flags)])
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_scores_of_no_image_are_refused(run, tmp_path):
    pq.write_table(pa.table({"uid": ["0" * 32, run.kept[0]["uid"]], "a": [1.0, math.nan]}), tmp_path / "scores.parquet")
    form = DataComp(scores=[tmp_path / "scores.parquet"], weights=["a=1"], draws=1)
    with pytest.raises(InputError, match=f"of {len(run.kept)} images none has a finite score"):
        export(in_turn(), run.path, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_files_of_a_table_may_have_numbers_of_other_types(run, tmp_path):
    uids = [row["uid"] for row in run.kept]
    columns = [pa.array([2**60, 1]), pa.array([0.5, 2.0]), pa.array([3, 2**64 - 1], pa.uint64()), pa.nulls(2)]
    for number, column in enumerate(columns):
        own = pa.table({"uid": uids[2 * number : 2 * number + 2], "a": column})
        pq.write_table(own, tmp_path / f"scores{number}.parquet")
    form = DataComp(scores=[tmp_path / "scores*.parquet"], weights=["a=1e-18"], draws=30)
    export(in_turn(), run.path, tmp_path / "out", form)
    logits = [1e-18 * score for score in (2.0**60, 1.0, 0.5, 2.0, 3.0, 2.0**64)]
    drawn = naive_soft_cap(dict(zip(uids, logits, strict=False)), 30, 0.15, 0)
    assert read_subset(tmp_path / "out" / "uids.npy") == {uid: number for uid, number in drawn.items() if number}


def test_a_table_with_two_columns_of_one_name_is_refused(run, tmp_path):
    columns = [pa.array([run.kept[0]["uid"]]), pa.array([1.0]), pa.array([2.0])]
    pq.write_table(pa.Table.from_arrays(columns, ["uid", "a", "a"]), tmp_path / "scores.parquet")
    form = DataComp(scores=[tmp_path / "scores.parquet"], weights=["a=1"], draws=1)
    with pytest.raises(InputError, match="has several columns a"):
        export(lambda: pytest.fail("Spark is started"), run.path, tmp_path / "out", form)


def test_scores_without_a_number_of_draws_are_refused():
    with pytest.raises(InputError, match="give all three"):
        DataComp(scores=["scores"], weights=["a=1"])
    with pytest.raises(InputError, match="give all three"):
        DataComp(penalty=0.3)
