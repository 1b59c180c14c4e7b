"""open_clip trains on captions in place of some texts: from a balanced dataset, and from tars that it reads itself."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results, captions, online
from curation.plugins.export.formats import export
from curation.plugins.export.webdataset import WebDataset
from tests.support.in_turn import in_turn
from tests.support.online_run import build
from tests.support.stand_ins import needed
from tests.support.training import arguments, batches_of, decoded, falls, tiny_clip, trained

EPOCHS = 7
RATIO = 0.15  # the default
pytestmark = pytest.mark.feeds


@pytest.fixture
def captioned(patches) -> str:
    """A table with a caption of every image."""
    rows = pq.read_table(patches / "curated" / "matched").to_pylist()
    texts = [row["candidates"][0]["text"].split() for row in rows]
    table = {"uid": [row["uid"] for row in rows], "caption": [f"written: {each[0]} at {each[-1]}" for each in texts]}
    pq.write_table(pa.table(table), patches / "captions.parquet")
    return str(patches / "captions.parquet")


def balanced(patches, captioned, transform=None) -> online.BalancedDataset:
    store = captions.build([captioned], Results.open(patches / "curated"), patches / "captions.arrow").captions
    index = build(patches / "images", patches / "curated", patches / "index", 16)
    return online.BalancedDataset(index, np.full(5, 0.5), transform=transform, captions=store)


class Seen:
    """A tokenizer that remembers which texts are captions."""

    def __init__(self, tokenizer):
        self.tokenizer, self.captions = tokenizer, []

    def __call__(self, text):
        self.captions.append(text.startswith("written:"))
        return self.tokenizer(text)

    def require_ratio(self):
        number = len(self.captions)
        assert number > 900
        assert abs(np.mean(self.captions) - RATIO) < 4 * np.sqrt(RATIO * (1 - RATIO) / number)


def test_open_clip_learns_from_captions_in_a_balanced_dataset(patches, captioned):
    model, tokenizer, preprocess = tiny_clip()
    seen = Seen(tokenizer)
    dataset = balanced(patches, captioned, decoded(seen, preprocess))
    assert falls(trained(model, batches_of(dataset), arguments(), EPOCHS))
    seen.require_ratio()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves tars open
def test_open_clip_learns_from_the_tars_that_it_reads_itself(patches, captioned):
    model, tokenizer, preprocess = tiny_clip()
    from open_clip_train.data import get_wds_dataset

    seen, losses = Seen(tokenizer), []
    for epoch in range(EPOCHS):
        to = patches / f"epoch{epoch}"
        export(in_turn(), patches / "curated", to, WebDataset([patches / "images"], [captioned], epoch=epoch))
        args = arguments(train_data=str(to / "00000.tar"), train_num_samples=None)  # sizes.json says it
        data = get_wds_dataset(args, preprocess, is_train=True, tokenizer=seen)
        losses += trained(model, data, args, epochs=1)
    assert falls(losses)
    seen.require_ratio()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tars_hold_what_the_online_loader_reads_in_epoch_0(patches, captioned):
    wds = needed("webdataset")
    export(in_turn(), patches / "curated", patches / "out", WebDataset([patches / "images"], [captioned]))
    samples = list(wds.WebDataset(str(patches / "out" / "00000.tar"), shardshuffle=False).decode())
    found = {each["json"]["uid"]: (each["jpg"], each["txt"], each.get("alt.txt")) for each in samples}
    assert len(found) == len(samples)
    expected = {
        each["__uid__"]: (each["jpg"], each["txt"].decode(), each["__alt__"].decode() if "__alt__" in each else None)
        for each in balanced(patches, captioned)
    }
    assert found == expected
