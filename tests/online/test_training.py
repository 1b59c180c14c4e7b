"""open_clip and webdataset train on curated tars and on a balanced dataset."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import clusters, online
from curation.run.results import Results
from tests.naive.experts import naive_chance, naive_takes
from tests.support.checkout import ROOT
from tests.support.cluster_tables import cluster_rows, write_folder, write_table
from tests.support.online_run import FORKS, build, pairs
from tests.support.stand_ins import needed
from tests.support.training import arguments, batches_of, decoded, falls, tiny_clip, trained

PAGES = [ROOT / "docs" / "how-to" / name for name in ("online-balancing.md", "batches.md", "weights.md")]


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
    model, *of_model = tiny_clip()
    index = build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.5), transform=decoded(*of_model))
    losses = trained(model, batches_of(dataset), arguments(), epochs=7)
    assert falls(losses)
    assert 50 < len(losses) < 100


@pytest.mark.feeds
def test_open_clip_learns_from_one_coarse_cluster_and_outsiders(patches):
    """Each colour is a cluster; the blue one is the expert's."""
    model, *of_model = tiny_clip()
    uids = pq.read_table(patches / "curated" / "matched", columns=["uid"])["uid"].to_pylist()
    coarse = {uid: number % 4 for number, uid in enumerate(uids)}
    rows = [{"uid": uid, "coarse": cluster} for uid, cluster in coarse.items()]
    table = write_table(patches / "clusters.parquet", rows, ["uid", "coarse"])
    found = clusters.build([table], Results.open(patches / "curated"), patches / "store").clusters
    config = online.OnlineConfig(mixed_blocks=4, expert=online.Expert(found, (2,), outsiders=0.1))
    seen, pair = [], decoded(*of_model)

    def transform(sample):
        seen.append((sample["__uid__"], sample["txt"].decode()))
        return pair(sample)

    index = build(patches / "images", patches / "curated", patches / "index", 16)
    dataset = online.BalancedDataset(index, np.full(5, 0.9), config, transform)
    losses = trained(model, batches_of(dataset), arguments(), epochs=20)
    assert falls(losses)
    assert 70 < len(losses) < 110
    kept = pq.read_table(patches / "curated" / "curated", columns=["uid"])["uid"].to_pylist()
    chance = naive_chance(kept, coarse, {2}, Fraction(1, 10))
    expected = {uid for uid, takes in zip(uids, naive_takes(uids, coarse, {2}, chance, 0), strict=True) if takes}
    assert {uid for uid, _ in seen} == expected  # in twenty epochs each is kept at least once
    assert 0 < sum("blue" not in text for _, text in seen) < 0.2 * len(seen)


@pytest.mark.feeds
def test_a_balanced_dataset_is_the_first_stage_of_a_webdataset_pipeline(patches):
    wds = needed("webdataset")
    index = build(patches / "images", patches / "curated", patches / "index", 16)
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
    uids = pq.read_table(patches / "curated" / "matched", columns=["uid"])["uid"].to_pylist()
    sources = ["altogether", "dfn"] * 20
    pq.write_table(pa.table({"uid": uids[:40], "caption": ["a patch"] * 40, "source": sources}), "captions.parquet")
    write_folder(patches / "clusters", cluster_rows(uids))
    pq.write_table(pa.table({"uid": uids, "weight": np.arange(len(uids)) % 3}), "weights.parquet")
    for page in PAGES:
        for example in page.read_text(encoding="utf-8").split("```python\n")[1:]:
            exec(example.partition("```")[0], names)
    assert names["index"].matched == 320
    assert 0 < len(names["found"].clusters) < 320
    assert len(batches) == names["done"] > 0
    assert len(trained(model, names["data"], names["args"], epochs=1)) == names["data"].dataloader.num_batches > 0
