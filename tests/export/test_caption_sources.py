"""Captions of several sources: all in each tar's json under stable keys, one drawn as txt; columns for Hugging Face."""

import json
from collections import Counter
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.export.clip_export import main
from curation.plugins.export.formats import export
from curation.plugins.export.huggingface import HuggingFace
from curation.plugins.export.webdataset import WebDataset
from runtime.errors import InputError
from tests.export.test_webdataset import samples_in
from tests.naive.captions import naive_best, naive_source
from tests.naive.loaders import open_clip_text
from tests.naive.sampling import naive_draw
from tests.support.in_turn import in_turn
from tests.support.online_run import write_tar

SOURCES = {"org/dfn-2": 0.3, "altogether": 0.4}
GIVEN = ["org/dfn-2=0.3", "altogether=0.4"]
DFN = "caption_org--dfn-2"  # the key of a source with a slash in its name


@pytest.fixture
def rows(run):
    """Captions of several rows an image, by two sources and others."""
    return [
        {"uid": row["uid"], "caption": f"{source} {number} {row['uid']}", "source": source, "score": number % 3 / 2}
        for number in range(4)
        for place, row in enumerate(run.images)
        for source in ("org/dfn-2", "altogether", None, "other")
        if source != "altogether" or place % 3
    ]


@pytest.fixture
def captions(rows, tmp_path):
    (tmp_path / "captions").mkdir()
    for number, part in enumerate((rows[:99], rows[99:])):
        pq.write_table(pa.Table.from_pylist(part), tmp_path / "captions" / f"{number}.parquet")
    return str(tmp_path / "captions")


def best(rows, uid):
    """The best caption of an image by each source."""
    return {source: naive_best([row for row in rows if row["source"] == source], uid) for source in SOURCES}


def test_a_tar_has_all_texts_in_its_json_and_the_drawn_one_as_txt(run, rows, captions, tmp_path, capsys):
    write_tar(tmp_path / "0.tar", run.images)
    paths = [str(run.path), "--format", "webdataset", "--output", str(tmp_path / "out")]
    main([*paths, "--tars", str(tmp_path / "0.tar"), "--captions", captions, "--caption-sources", *GIVEN, "--seed=3"])
    texts, before = {row["uid"]: row["text"] for row in run.kept}, samples_in(tmp_path / "0.tar")
    found, stand = samples_in(tmp_path / "out" / "0.tar"), 0
    assert len(found) == len(texts)
    for key, sample in found.items():
        stated = json.loads(before[key]["json"])
        uid, own = stated["uid"], best(rows, stated["uid"])
        more = {"text": texts[uid], "caption_altogether": own["altogether"], DFN: own["org/dfn-2"]}
        assert json.loads(sample["json"]) == stated | more
        drawn = own.get(naive_source(naive_draw(3, "caption", uid), SOURCES))
        stand += drawn is not None
        assert sample["txt"].decode() == (drawn or texts[uid])
        assert sample.get("alt.txt") == (texts[uid].encode() if drawn else None)
    assert f"with {stand} captions as txt (0 of 60 images have no caption)" in capsys.readouterr().out


def test_open_clip_draws_each_source_from_the_json_in_its_share(run, rows, captions, tmp_path):
    """By --json-text-key and --json-text-key-probs, as published; without the drawn caption, another text."""
    write_tar(tmp_path / "0.tar", run.images)
    sentence = export(in_turn(), run.path, tmp_path / "out", WebDataset([tmp_path / "0.tar"], [captions], [*SOURCES]))
    assert " with 0 captions as txt" in sentence
    keys = {"text": 0.85, "caption_altogether": 0.1, DFN: 0.05}
    joined, chances = ";".join(keys), " ".join(map(str, keys.values()))
    samples = [sample["json"] for sample in samples_in(tmp_path / "out" / "0.tar").values()]
    found, chance, passes = {True: Counter(), False: Counter()}, Random(0), 300
    for stated in samples:
        texts = {json.loads(stated)[key]: key for key in keys}
        for _ in range(passes):
            found[None in texts][texts[open_clip_text(stated, joined, chances, chance)]] += 1
    assert sum(map(Counter.total, found.values())) == passes * len(samples)  # none is dropped
    for lacks, drawn in found.items():
        there = {key: share for key, share in keys.items() if not lacks or key != "caption_altogether"}
        assert drawn.keys() == there.keys()
        for key, share in there.items():
            # A missing caption's share falls to the others in proportion to theirs: its key is drawn, then another.
            expected = share / sum(there.values())
            assert abs(drawn[key] - drawn.total() * expected) < 3 * (drawn.total() * expected * (1 - expected)) ** 0.5


@pytest.mark.parametrize(
    ("stated", "chances", "expected"),
    [
        (b'{"a": " x ", "b": "y"}', None, "x"),  # the order of the keys, where there are no chances
        (b'{"a": " ", "b": "y"}', None, "y"),
        (b'{"a": 3, "b": null}', None, None),
        (b'{"a": "x", "b": "y"}', "0 1", "y"),
        (b'{"a": "x", "b": ""}', "0 1", "x"),  # a weight of 0 is for what is left
        (b'{"a": "x"', None, None),
        (None, None, None),
    ],
)
def test_the_stand_in_of_open_clip_does_as_published(stated, chances, expected):
    assert open_clip_text(stated, "a;b", chances, Random(0)) == expected
    with pytest.raises(ValueError):  # noqa: PT011 - as open_clip's
        open_clip_text(stated, "a;b", "1 1 1", Random(0))


def test_a_dataset_for_hugging_face_has_a_column_of_each_source(run, rows, captions, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", HuggingFace(captions=[captions], caption_sources=[*SOURCES]))
    found = pq.read_table(tmp_path / "out" / "data").to_pylist()
    assert len(found) == len(run.kept)
    for row in found:
        own = best(rows, row["uid"])
        assert (row[DFN], row["caption_altogether"]) == (own["org/dfn-2"], own["altogether"])
        assert "caption" not in row
    assert f"| `{DFN}` | The caption of the image by the source in the name" in (tmp_path / "out/README.md").read_text()
    assert f"pairs/{DFN}" in (tmp_path / "out" / "croissant.json").read_text()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (["dfn=x"], "the share of dfn is x"),
        (["dfn=nan"], "caption_sources of dfn is nan; it must be a number from 0 to 1"),
        (["dfn=0.7", "b=0.7"], "caption_sources is dfn=0.7 b=0.7, whose shares add up to 1.4; .* at most 1"),
        (["dfn", "dfn"], "'dfn' is not a valid name of a source, or repeats one"),
        (["any=0.1", "dfn"], "any stands for all sources of captions; pass either any or names of sources"),
        (["any=2"], "caption_sources of any is 2; it must be a number from 0 to 1"),
        (["a b"], "not a valid name of a source, .* Rename a source with other characters in the tables"),
        (["a/b", "a--b"], "not a valid name of a source, or repeats one"),
        (["score"], "not a valid name of a source, or repeats one"),
    ],
)
def test_sources_that_cannot_be_are_refused(given, fault):
    with pytest.raises(InputError, match=fault):
        WebDataset(["0.tar"], ["captions"], given)


def test_sources_without_captions_or_of_no_image_are_refused(run, captions, tmp_path):
    with pytest.raises(InputError, match="sources of captions are chosen without captions"):
        WebDataset(["0.tar"], caption_sources=["dfn"])
    with pytest.raises(InputError, match="pass only the names of sources for huggingface"):
        HuggingFace(captions=["a"], caption_sources=["dfn=0.1"])
    with pytest.raises(InputError, match="has no captions of the source nobody; its sources are "):
        export(in_turn(), run.path, tmp_path / "out", HuggingFace(captions=[captions], caption_sources=["nobody"]))
