"""A caption stands for the alt text of some samples while training, drawn by seed, epoch and uid."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import captions as module
from curation import online
from curation.plugins.annotations.captions import CaptionDraw
from curation.plugins.online.epochs import Epoch, read
from curation.run.results import Results
from runtime.errors import InputError
from tests.naive.sampling import naive_draw
from tests.support.online_run import ENTRIES

RATIO = 0.3


@pytest.fixture(scope="module")
def captions(made, tmp_path_factory):
    """Captions of every second image."""
    folder = tmp_path_factory.mktemp("captions")
    rows = [{"uid": row["uid"], "caption": f"of {row['uid']}"} for row in made.images[::2]]
    captions = pa.Table.from_pylist(rows)
    pq.write_table(captions, folder / "t.parquet")
    facts = {"rows": {"matched": len(made.images)}, "languages": {}, "made_from": {"metadata": ENTRIES.digest}}
    return module.build([folder / "t.parquet"], Results(made.folder / "run", facts), folder / "store").captions


def test_a_caption_stands_for_the_text_as_the_draw_for_seed_epoch_and_uid_says(made, captions):
    captioned = {row["uid"] for row in made.images[::2]}
    config = online.OnlineConfig(5, caption_ratio=RATIO)
    for number in (0, 3):
        kept = Epoch(made.index, made.rates, config, number, captions).kept(range(21))
        plain = Epoch(made.index, made.rates, config, number).kept(range(21))
        assert kept.drop_columns("caption").equals(plain.drop_columns("caption"))
        purpose = f"caption in epoch {number}" if number else "caption"
        expected = {uid for uid in captioned if naive_draw(5, purpose, uid) < RATIO}
        found = {row["uid"] for row in kept.to_pylist() if row["caption"] is not None}
        assert found == expected & set(kept["uid"].to_pylist())
        for sample, row in zip(read(made.index, kept), kept.to_pylist(), strict=True):
            if row["uid"] in expected:
                assert (sample["txt"], sample["__alt__"]) == (f"of {row['uid']}".encode(), row["text"].encode())
            else:
                assert sample["txt"] == row["text"].encode()
                assert "__alt__" not in sample


def test_over_many_epochs_the_ratio_of_captions_is_the_one_asked_for(made, captions):
    uids = pa.array([row["uid"] for row in made.images])
    draws = [CaptionDraw(RATIO, 1, epoch) for epoch in range(200)]
    drawn = sum(len(uids) - draw.of(captions, uids).null_count for draw in draws)
    expected = 200 * len(captions) * RATIO
    assert abs(drawn - expected) < 4 * np.sqrt(expected * (1 - RATIO))


def test_a_dataset_with_captions_resumes_only_with_the_same_ones(made, captions, needs_torch):
    state, plain = made.dataset(captions=captions).state_dict(), made.dataset().state_dict()
    made.dataset(captions=captions).load_state_dict(state)
    with pytest.raises(InputError, match="caption_ratio"):
        made.dataset(captions=captions).load_state_dict(plain)
    with pytest.raises(InputError, match="caption_ratio"):
        made.dataset().load_state_dict(state)
    assert "caption_ratio" not in plain["layout"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.decimal128(22, 2)])
def test_an_image_gets_the_caption_with_the_highest_score_of_any_kind_of_number(made, tmp_path, kind):
    uid, scores = made.images[0]["uid"], [-5, (1 << 62) + 1, 1, None]  # the second is no float
    rows = {"uid": [uid] * 4, "caption": [*"abcd"], "score": pa.array(scores, pa.int64()).cast(kind, safe=False)}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    built = module.build([tmp_path / "t.parquet"], Results.open(made.folder / "run"), tmp_path / "store").captions
    assert CaptionDraw(1.0, 0, 0).of(built, pa.array([uid])).to_pylist() == ["b"]


@pytest.mark.parametrize("ratio", [-0.1, 1.5])
def test_a_ratio_that_is_no_share_is_refused(ratio):
    with pytest.raises(InputError, match="caption_ratio"):
        online.OnlineConfig(caption_ratio=ratio)
