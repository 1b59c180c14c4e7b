"""Captions come from tables by uid, and stand beside the text in exports."""

import json
import pickle
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import captions as module
from curation.plugins.annotations.captions import Captions
from curation.plugins.export.clip_export import main
from curation.run.results import Results
from curation.schemas import CURATED
from runtime.errors import InputError
from runtime.folders.descriptor import DESCRIPTOR


def table(path, rows: list[dict]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def captions_of(captions: Captions, uids) -> list[str | None]:
    return captions.of(pa.array(uids, pa.string()))["caption"].to_pylist()


@pytest.fixture
def captioned(run, tmp_path) -> str:
    """Captions of two thirds of the images, in an order that is drawn, and of others."""
    rows = [
        {"uid": each["uid"], "caption": f"説明 {each['uid']}", "source": "a model"}
        for each in run.images
        if int(each["uid"], 16) % 3
    ]
    rows += [{"uid": "e" * 31 + str(number), "caption": "of another", "source": None} for number in range(5)]
    Random(0).shuffle(rows)
    return table(tmp_path / "captions.parquet", rows)


def test_each_image_finds_its_own_caption_whatever_the_order(run, captioned, tmp_path):
    found = module.build([captioned], Results.open(run.path), tmp_path / "store")
    uids = [row["uid"] for row in run.images] + ["x", "f" * 32]
    expected = [f"説明 {uid}" if uid[:1] != "x" and int(uid, 16) % 3 else None for uid in uids[:-1]] + [None]
    assert captions_of(found.captions, uids) == expected
    assert (found.images, found.without) == (60, expected[:60].count(None))
    assert captions_of(found.captions, []) == []
    assert found.captions.of(pa.array(uids).slice(7, 9))["caption"].to_pylist() == expected[7:16]
    assert captions_of(pickle.loads(pickle.dumps(found.captions)), uids) == expected


def test_keys_with_equal_halves_are_told_apart(run, tmp_path):
    uids = [f"{'a' * 16}{number:016x}" for number in range(6)] + [run.images[0]["uid"]]
    path = table(tmp_path / "t.parquet", [{"uid": uid, "caption": uid} for uid in uids if uid[-1] != "3"])
    found = module.build([path], Results.open(run.path), tmp_path / "store").captions
    assert captions_of(found, uids) == [None if uid[-1] == "3" else uid for uid in uids]


def test_of_several_captions_the_best_is_taken_or_the_first(run, tmp_path):
    uid = run.images[0]["uid"]
    rows = [("first", 0.1), ("best", 0.9), ("null", None), ("", 1.0), ("also best", 0.9)]
    scored = [{"uid": uid, "caption": caption, "score": score} for caption, score in rows]
    for columns, expected in ((["uid", "caption", "score"], "best"), (["uid", "caption"], "first")):
        path = table(tmp_path / "t.parquet", [{name: row[name] for name in columns} for row in scored])
        found = module.build([path], Results.open(run.path), tmp_path / "store")
        assert captions_of(found.captions, [uid]) == [expected]


def test_a_table_that_is_sorted_in_parts_gives_the_same_captions(run, tmp_path):
    chance = Random(1)
    uids = [row["uid"] for row in run.images] + [f"{chance.randrange(16**32):032x}" for _ in range(400)]
    rows = [{"uid": uid, "caption": f"{n} of {uid}", "score": n % 3 / 4} for n in range(5) for uid in uids]
    chance.shuffle(rows)
    path = table(tmp_path / "t.parquet", rows)
    sought = pa.array([*uids, *"xyz"])
    whole, *others = (
        module.build([path], Results.open(run.path), tmp_path / f"store{bytes}", bytes).captions
        for bytes in (1 << 30, 4000, 1)
    )
    best = {}
    for row in rows:
        best[row["uid"]] = max(best.get(row["uid"], row), row, key=lambda each: each["score"])
    assert captions_of(whole, sought) == [best[uid]["caption"] if uid in best else None for uid in sought.to_pylist()]
    for captions in others:
        assert captions.digest == whole.digest
        assert captions.of(sought).equals(whole.of(sought))


def test_score_and_source_stand_beside_a_caption_where_the_table_has_them(run, tmp_path):
    uid, other = (pa.array([row["uid"]]) for row in run.images[:2])
    rows = [{"uid": uid[0].as_py(), "caption": " a\ndog ", "score": 1, "source": "model 1"}]
    found = module.build([table(tmp_path / "t.parquet", rows)], Results.open(run.path), tmp_path / "store").captions
    assert found.of(uid).to_pylist() == [{"caption": "a dog", "score": 1.0, "source": "model 1"}]
    assert found.of(other).to_pylist() == [dict.fromkeys(("caption", "score", "source"))]
    rows = [{name: row[name] for name in ("uid", "caption")} for row in rows]
    found = module.build([table(tmp_path / "t.parquet", rows)], Results.open(run.path), tmp_path / "store").captions
    assert found.of(uid).to_pylist() == [{"caption": "a dog", "score": None, "source": None}]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([{"uid": "e" * 32, "caption": "x"}], "none of the 1 captions in .* belongs to an image of"),
        ([{"uid": "e" * 32, "text": "x"}], "has the columns uid, text; expected tables of captions"),
        ([{"caption": "x"}], "expected a column `uid` or `url`"),
        (
            [{"uid": "e" * 32, "caption": "x", "score": "high"}],
            "the column score of .* has the type string; pass numbers",
        ),
        ([{"uid": "e" * 32, "caption": 1}], "the column caption of .* has the type int64; pass strings"),
    ],
)
def test_tables_that_are_of_no_use_are_refused(run, tmp_path, rows, fault):
    with pytest.raises(InputError, match=fault):
        module.build([table(tmp_path / "t.parquet", rows)], Results.open(run.path), tmp_path / "store")
    with pytest.raises(InputError, match="the captions in .* cannot be checked: "):
        Captions.open(tmp_path / "t.parquet")


def test_the_export_has_a_column_of_captions(run, captioned, tmp_path, capsys):
    main([str(run.path), "--output", str(tmp_path / "out"), "--format", "huggingface", "--captions", captioned])
    rows = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert [{name: row[name] for name in CURATED.names} for row in rows] == run.kept
    assert [row["caption"] for row in rows] == [
        f"説明 {row['uid']}" if int(row["uid"], 16) % 3 else None for row in run.kept
    ]
    assert {row["caption_source"] for row in rows if row["caption"]} == {"a model"}
    assert {row["caption_score"] for row in rows} == {None}
    described = json.loads((tmp_path / "out" / "croissant.json").read_text("utf-8"))
    pairs = next(each for each in described["recordSet"] if each["@id"] == "pairs")
    fields = [field["@id"] for field in pairs["field"]]
    assert fields[-3:] == ["pairs/caption", "pairs/caption_score", "pairs/caption_source"]
    assert " of 60 images have no caption" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == {
        "README.md",
        "croissant.json",
        "funnel.svg",
        DESCRIPTOR,
        "data",
        "entries",
    }


def test_captions_are_refused_where_a_form_has_no_column_for_them(run, captioned, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([str(run.path), "--output", str(tmp_path / "o"), "--format", "datacomp", "--captions", captioned])
    assert (
        "only the formats huggingface and webdataset write --captions; leave it out for datacomp"
        in capsys.readouterr().err
    )
