"""A run that goes on in a folder with damaged files refuses them, or makes them again with the same bytes."""

import random
import shutil

import pytest

from curation import CurationConfig, Results, curate
from metadata import Entries
from runtime.console import sentence_for
from tests.support.flips import bytes_of, flip, write_pairs

ENTRIES = Entries.build({"en": ["a", "photo", "dog", "cat"], "ja": ["犬", "猫"]})


@pytest.mark.slow
@pytest.mark.spark
def test_a_run_that_goes_on_refuses_damaged_files_or_makes_them_again(engine, tmp_path):
    inputs = [write_pairs(tmp_path / f"{n}.parquet", range(n * 200, n * 200 + 200)) for n in range(2)]

    def run(folder, t=5):
        curate(inputs, folder, metadata=ENTRIES, config=CurationConfig(english_threshold=t), engine=engine)
        written = bytes_of(folder, without=("times.json", "run.json", "report.html"))
        return written | {"run.json": Results.open(folder).digest}  # run.json and the report also say when

    def refused(folder):
        with pytest.raises(Exception, match="is damaged") as refusal:
            run(folder)
        return sentence_for(refusal.value)

    before, other = run(tmp_path / "out"), run(tmp_path / "other", t=9)
    assert other != before
    # A flip that only the checksum of the whole file shows: in the bytes that say who wrote it.
    matched = tmp_path / "out" / "matched" / "00000.parquet"
    whole = matched.read_bytes()
    matched.write_bytes(whole.replace(b"parquet-cpp", b"parquet-cqp"))
    sentence = f"{matched} is damaged (its checksum differs); delete {matched.parent} and run the same command"
    assert refused(tmp_path / "out") == (f"{sentence} again to go on", 2)
    shutil.rmtree(matched.parent)
    assert run(tmp_path / "out") == before
    flip(matched.parent / "_made_from.json", random.Random(0))
    for name in ("counts.parquet", "thresholds.json", "curated/00000.parquet"):
        flip(tmp_path / "out" / name, random.Random(0))
    assert run(tmp_path / "out") == before
    assert run(tmp_path / "out", t=9) == other
