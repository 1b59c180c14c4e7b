"""A sentence of a caption stands for a text: the first, or another in each draw, by source."""

import json
from collections import Counter, defaultdict
from itertools import islice
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import captions as module
from curation import online
from curation.plugins.annotations.captions import CaptionDraw, sentences
from curation.plugins.online.epochs import Epoch
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.captions import naive_cut, naive_sentence, naive_source
from tests.naive.sampling import naive_draw
from tests.support.online_run import FORKS, pairs
from tests.support.stand_ins import needed

SHARES = {"long": 0.6, "short": 0.3}
ASKED = {"long": "random", "short": "first"}
SENTENCES = ["A dog runs over 3.5 fields.", "Is it old?", "犬が走る。", "It barks… loudly!", "ΑΒΓ δεζ", "No end"]
LIMITS = {2: 8.62, 3: 11.41, 4: 13.71}  # χ² of p = 0.01 / 3, corrected for three tests, by the number of sentences


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
    ("text", "expected"),
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
        (" \u2003 ", [""]),
        ("Dr. Who is here.", ["Dr.", "Who is here."]),  # ICU's boundaries know no abbreviations
    ],
)
def test_a_caption_is_cut_at_the_ends_of_its_sentences(text, expected):
    places = (np.arange(len(expected)) + 0.5) / len(expected)
    assert sentences([text] * len(places), places) == expected
    assert sentences([text], np.array([1 - 2.0**-53])) == expected[-1:]


def test_captions_that_are_cut_together_are_cut_as_each_alone():
    parts = [*"Abßé犬。！.!?…3,;:—(”)」\u0301\u00ad\u200d\ufeff\u0964\u203d\t\u2003\u3000  ", "Dr. ", " the ", "🐕"]
    chance = Random(0)
    for _ in range(500):
        texts = ["".join(chance.choices(parts, k=chance.randint(1, 15))).strip() for _ in range(chance.randint(0, 9))]
        draws = [chance.random() for _ in texts]
        cut = [naive_cut(text) or [""] for text in texts]
        expected = [own[int(draw * len(own))] for own, draw in zip(cut, draws, strict=True)]
        assert sentences(texts, np.array(draws)) == expected


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
    numbers = {row["uid"]: number for number, row in enumerate(made.images)}
    uids, seen = pa.array([*numbers]), defaultdict(Counter)
    for epoch in range(20):
        drawn = CaptionDraw(SHARES, 1, epoch, ASKED | {"short": "random"}).of(captions, uids)
        for uid, sentence in zip(uids.to_pylist(), drawn.to_pylist(), strict=True):
            seen[numbers[uid] % 4 + 1][sentence] += sentence is not None
    for length, limit in LIMITS.items():
        expected = seen[length].total() / length
        found = [seen[length][sentence] for sentence in SENTENCES[:length]]
        assert sum(found) == expected * length
        assert sum((each - expected) ** 2 for each in found) / expected < limit


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
    [("last", "caption_sentence is 'last'; pass whole, first, random"), ({"long": 1}, "is 1; pass"), (None, "is None")],
)
def test_what_is_no_sentence_is_refused(sentence, fault):
    with pytest.raises(InputError, match=fault):
        online.OnlineConfig(caption_ratio=SHARES, caption_sentence=sentence)


def test_sentences_of_a_source_without_a_share_are_refused():
    for ratio in (0.1, {"dfn": 0.1}):
        with pytest.raises(InputError, match="caption_sentence names long; also give captions and a share"):
            online.OnlineConfig(caption_ratio=ratio, caption_sentence={"long": "first"})
