"""A sentence of a caption stands for a text: the first, or another in each draw, by source."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import captions as module
from curation import online
from curation.leaves.by_uid.choices import CaptionDraw, sentence_at
from curation.leaves.online.epochs import Epoch
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.captions import naive_sentence, naive_source
from tests.naive.sampling import naive_draw
from tests.support.online_run import FORKS, pairs
from tests.support.stand_ins import needed

SHARES = {"long": 0.6, "short": 0.3}
ASKED = {"long": "random", "short": "first"}
SENTENCES = ["A dog runs over 3.5 fields.", "Is it old?", "犬が走る。", "It barks… loudly!", "ΑΒΓ δεζ", "No end"]
CHI_OF_3 = 11.34  # p = 0.01 at three degrees of freedom


def parts_of(number: int) -> list[str]:
    """The sentences of an image's caption: one to four."""
    return SENTENCES[: number % 4 + 1]


@pytest.fixture(scope="module")
def captions(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    rows = [
        {"uid": row["uid"], "caption": " ".join(parts_of(number)), "source": source}
        for number, row in enumerate(made.images)
        for source in SHARES
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "t.parquet")
    run = Results.open(made.folder / "run")
    return {name: module.build([folder / "t.parquet"], run, folder / name, source=name).captions for name in SHARES}


def dataset(made, captions, sentence, rank=0, ranks=1, **more):
    config = online.OnlineConfig(3, 2, caption_ratio=SHARES, caption_sentence=sentence, **more)
    return online.BalancedDataset(made.index, made.rates, config, world=online.World(rank, ranks), captions=captions)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (" ".join(SENTENCES[:4]), SENTENCES[:4]),
        (
            "犬が走る。「はい!」と言う。",
            ["犬が走る。「", "はい!」", "と言う。"],
        ),  # an opening bracket is one that closes
        ("It is 3.5 m, e.g. here. Next", ["It is 3.5 m, e.g. here.", "Next"]),
        ("यह कुत्ता है। वह दौड़ता है।", ["यह कुत्ता है।", "वह दौड़ता है।"]),
        ("no end at all", ["no end at all"]),
        ("ends. lower", ["ends. lower"]),
        (" \u2003 ", [" \u2003 "]),
        ("Dr. Who is here.", ["Dr.", "Who is here."]),  # ICU's boundaries know no abbreviations
    ],
)
def test_a_caption_is_cut_at_the_ends_of_its_sentences(text, sentences):
    places = (np.arange(len(sentences)) + 0.5) / len(sentences)
    assert [sentence_at(text, draw) for draw in places] == sentences
    assert sentence_at(text, 1 - 2.0**-53) == sentences[-1]


@pytest.mark.parametrize("asked", ["whole", "first", "random", ASKED, {"short": "random"}])
def test_an_epoch_shows_what_the_definition_says(made, captions, asked):
    numbers = {row["uid"]: number for number, row in enumerate(made.images)}
    config = online.OnlineConfig(5, caption_ratio=SHARES, caption_sentence=asked)
    plain = online.OnlineConfig(5, caption_ratio=SHARES)
    for epoch in (0, 3):
        kept = Epoch(made.index, made.rates, config, epoch, captions).kept(range(21))
        whole = Epoch(made.index, made.rates, plain, epoch, captions).kept(range(21))
        assert kept.drop_columns("caption").equals(whole.drop_columns("caption"))
        purpose = f"%s in epoch {epoch}" if epoch else "%s"
        for row in kept.to_pylist():
            source = naive_source(naive_draw(5, purpose % "caption", row["uid"]), SHARES)
            kind = asked if isinstance(asked, str) else asked.get(source, "whole")
            draw = naive_draw(5, purpose % "sentence", row["uid"])
            assert row["caption"] == (source and naive_sentence(parts_of(numbers[row["uid"]]), kind, draw))


def test_over_twenty_epochs_each_sentence_comes_as_often(made, captions):
    uids = pa.array([row["uid"] for number, row in enumerate(made.images) if number % 4 == 3])
    seen = Counter()
    for epoch in range(20):
        seen.update(
            CaptionDraw(SHARES, 1, epoch, ASKED | {"short": "random"}).of(captions, uids).drop_null().to_pylist()
        )
    assert {*seen} == {*SENTENCES[:4]}
    expected = seen.total() / 4
    assert sum((found - expected) ** 2 for found in seen.values()) / expected < CHI_OF_3


def test_repeats_of_an_image_show_sentences_of_their_own(captions, made):
    uids = pa.array([made.images[3]["uid"]] * 50)
    found = CaptionDraw(SHARES, 1, 0, "random").of(captions, uids, np.arange(50)).drop_null().to_pylist()
    assert {*found} == {*SENTENCES[:4]}


def test_without_rows_nothing_is_cut(captions):
    assert CaptionDraw(SHARES, 1, 0, "random").of(captions, pa.array([], pa.string())).to_pylist() == []


@FORKS
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more workers than cores
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("workers", [0, 2, 4])
def test_every_number_of_workers_draws_the_same_and_goes_on_in_the_middle(made, captions, needs_torch, workers):
    loaders = needed("torchdata.stateful_dataloader")
    whole, own = pairs(dataset(made, captions, ASKED)), dataset(made, captions, ASKED)
    begun = loaders.StatefulDataLoader(own, batch_size=None, num_workers=workers)
    before = pairs(islice(iter(begun), 25))
    resumed = loaders.StatefulDataLoader(dataset(made, captions, ASKED), batch_size=None, num_workers=workers)
    resumed.load_state_dict(begun.state_dict())
    assert len(before) == 25
    assert sorted(before + pairs(resumed)) == sorted(whole)


def test_a_state_belongs_to_its_sentences(made, captions, needs_torch):
    state = json.loads(json.dumps(dataset(made, captions, ASKED).state_dict()))
    dataset(made, captions, ASKED).load_state_dict(state)
    with pytest.raises(InputError, match="resume with the same"):
        dataset(made, captions, "random").load_state_dict(state)
    assert "caption_sentence" not in dataset(made, captions, "whole").state_dict()["layout"]  # as in states of before


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [("last", "caption_sentence is 'last'; give whole, first, random"), ({"long": 1}, "is 1; give"), (None, "is None")],
)
def test_what_is_no_sentence_is_refused(sentence, fault):
    with pytest.raises(InputError, match=fault):
        online.OnlineConfig(caption_ratio=SHARES, caption_sentence=sentence)


def test_sentences_of_a_source_without_a_share_are_refused():
    for ratio in (0.1, {"dfn": 0.1}):
        with pytest.raises(InputError, match="caption_sentence names long; give captions and a share"):
            online.OnlineConfig(caption_ratio=ratio, caption_sentence={"long": "first"})
