"""Captions of several sources stand for texts, each in its share, drawn once an image by seed, epoch and uid."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import captions as module
from curation import online
from curation.plugins.annotations.captions import CaptionDraw
from curation.plugins.online.epochs import Epoch
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.captions import naive_source
from tests.naive.sampling import naive_draw

SHARES = {"dfn": 0.3, "altogether": 0.2}
EVERY = {"dfn": 1, "altogether": 2}  # of the images have a caption of the source


@pytest.fixture(scope="module")
def files(made, tmp_path_factory):
    """A file of captions of each source, built from one table that has several rows an image."""
    folder = tmp_path_factory.mktemp("sources")
    rows = [
        {"uid": row["uid"], "caption": f"{source} {row['uid']}", "source": source, "score": score}
        for source, every in EVERY.items()
        for row in made.images[::every]
        for score in (0.5, 0.1)
    ]
    rows += [{"uid": made.images[0]["uid"], "caption": "of no name", "source": None, "score": 2.0}]
    pq.write_table(pa.Table.from_pylist(rows[::-1]), folder / "t.parquet")
    run = Results.open(made.folder / "run")
    found = {name: module.build([folder / "t.parquet"], run, folder / name, source=name) for name in SHARES}
    assert [(each.images, each.without) for each in found.values()] == [(400, 0), (400, 200)]
    with pytest.raises(InputError, match="has no captions of the source none; its sources are altogether, dfn"):
        module.build([folder / "t.parquet"], run, folder / "none", source="none")
    return {name: folder / name for name in SHARES}


@pytest.fixture(scope="module")
def captions(files):
    return {name: online.Captions.open(path) for name, path in files.items()}


def test_the_caption_is_of_the_source_in_whose_part_the_draw_lies(made, captions):
    config = online.OnlineConfig(5, caption_ratio=SHARES)
    has = {source: {row["uid"] for row in made.images[::every]} for source, every in EVERY.items()}
    for number in (0, 3):
        purpose = f"caption in epoch {number}" if number else "caption"
        for row in Epoch(made.index, made.rates, config, number, captions).kept(range(21)).to_pylist():
            source = naive_source(naive_draw(5, purpose, row["uid"]), SHARES)
            stands = source if source and row["uid"] in has[source] else None
            assert row["caption"] == (stands and f"{stands} {row['uid']}")


def test_over_many_epochs_each_source_has_its_share(made, captions):
    uids, epochs = pa.array([row["uid"] for row in made.images]), 200
    found = [
        text.partition(" ")[0]
        for epoch in range(epochs)
        for text in CaptionDraw(SHARES, 1, epoch).of(captions, uids).drop_null().to_pylist()
    ]
    for source, share in SHARES.items():
        trials = epochs * len(captions[source])
        assert abs(found.count(source) - trials * share) < 4 * (trials * share * (1 - share)) ** 0.5


def test_one_source_draws_as_a_ratio_does(made, captions):
    uids = pa.array([row["uid"] for row in made.images])
    own = captions["altogether"]
    by_source, plain = CaptionDraw({"altogether": 0.3}, 2, 1), CaptionDraw(0.3, 2, 1)
    assert by_source.of({"altogether": own}, uids).equals(plain.of(own, uids))


def dataset(made, captions, ratio):
    config = online.OnlineConfig(caption_ratio=ratio)
    return online.BalancedDataset(made.index, made.rates, config, captions=captions)


def test_a_state_belongs_to_its_sources_and_shares(made, captions, files, needs_torch):
    state = json.loads(json.dumps(dataset(made, captions, SHARES).state_dict()))
    dataset(made, files, dict(reversed(SHARES.items()))).load_state_dict(state)
    for other, ratio in ((captions, SHARES | {"dfn": 0.1}), ({"dfn": captions["altogether"]}, {"dfn": 0.3})):
        with pytest.raises(InputError, match="resume with the same"):
            dataset(made, other, ratio).load_state_dict(state)


def test_captions_and_shares_that_do_not_belong_together_are_refused(made, captions, needs_torch):
    for own, ratio in ((captions, 0.1), (captions, {"dfn": 0.1})):
        with pytest.raises(InputError, match="there are captions of dfn, altogether, but caption_ratio is"):
            dataset(made, own, ratio)
    for own in (None, captions["dfn"]):
        with pytest.raises(InputError, match="has shares of .*; pass a file of captions for each of them"):
            dataset(made, own, SHARES)


@pytest.mark.parametrize(
    ("ratio", "fault"),
    [
        ({}, "is empty; pass the share"),
        ({"a": 0.6, "b": 0.5}, "at most 1"),
        ({"a": -0.1}, "caption_ratio of a is -0.1"),
    ],
)
def test_shares_that_are_none_are_refused(ratio, fault):
    with pytest.raises(InputError, match=fault):
        online.OnlineConfig(caption_ratio=ratio)


def test_a_table_without_sources_is_refused(made, tmp_path):
    pq.write_table(pa.table({"uid": ["a"], "caption": ["b"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="has no column source"):
        module.build([tmp_path / "t.parquet"], Results.open(made.folder / "run"), tmp_path / "x", source="dfn")
