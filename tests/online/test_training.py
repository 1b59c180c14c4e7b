"""open_clip and webdataset train on curated tars and on a balanced dataset."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import online
from tests.support.checkout import ROOT
from tests.support.online_run import FORKS, pairs
from tests.support.stand_ins import needed
from tests.support.training import arguments, falls, tiny_clip, trained

PAGE = ROOT / "docs" / "online-balancing.md"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves tars open
@pytest.mark.feeds
def test_open_clip_learns_from_the_tars_of_a_curated_manifest(patches):
    model, tokenizer, preprocess = tiny_clip()
    from open_clip_train.data import get_wds_dataset

    args = arguments(train_data=str(patches / "kept" / "00000.tar"), train_num_samples=160)
    data = get_wds_dataset(args, preprocess, is_train=True, tokenizer=tokenizer)
    assert falls(trained(model, data, args, epochs=7))


@pytest.mark.feeds
def test_open_clip_learns_from_balancing_while_it_trains(patches):
    model, tokenizer, preprocess = tiny_clip()
    import torch
    from open_clip_train.data import DataInfo
    from PIL import Image

    def pair(sample):
        picture = Image.open(io.BytesIO(sample["jpg"])).convert("RGB")
        return preprocess(picture), tokenizer(sample["txt"].decode())[0]

    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5), transform=pair)
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, drop_last=True)
    loader.num_batches = dataset.steps(16)
    loader.num_samples = 16 * loader.num_batches
    data = DataInfo(loader)
    data.set_epoch = dataset.set_epoch
    losses = trained(model, data, arguments(), epochs=7)
    assert falls(losses)
    assert 50 < len(losses) < 100


@pytest.mark.feeds
def test_a_balanced_dataset_is_the_first_stage_of_a_webdataset_pipeline(patches):
    wds = needed("webdataset")
    index = online.build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5))
    stages = [wds.decode("pilrgb"), wds.rename(image="jpg;png", text="txt"), wds.to_tuple("image", "text")]
    found = list(wds.DataPipeline(dataset, *stages))
    assert [text for _, text in found] == [text for _, text in pairs(dataset)]
    assert {picture.size for picture, _ in found} == {(32, 32)}


@FORKS
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.feeds
def test_the_examples_of_the_page_on_online_balancing_run(patches, monkeypatch):
    needed("torchdata")
    model, tokenizer, preprocess = tiny_clip()
    batches = []
    names = {"tokenizer": tokenizer, "preprocess": preprocess, "args": arguments(), "train": batches.append}
    monkeypatch.chdir(patches)
    uids = pq.read_table(patches / "curated" / "matched", columns=["uid"])["uid"].to_pylist()[:40]
    pq.write_table(pa.table({"uid": uids, "caption": ["a patch"] * 40}), "captions.parquet")
    for example in PAGE.read_text(encoding="utf-8").split("```python\n")[1:]:
        exec(example.partition("```")[0], names)
    assert names["index"].matched == 320
    assert len(batches) == names["done"] > 0
    assert len(trained(model, names["data"], names["args"], epochs=1)) == names["loader"].num_batches > 0
