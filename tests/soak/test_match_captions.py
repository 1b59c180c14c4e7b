"""Captions are matched alike on any number of cores, in any parts, and together with other gates."""

import hashlib
import json
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.config import MAX_TEXT_LENGTH
from runtime.engine.local import Local
from runtime.errors import InputError
from tests.naive.captions import naive_captioned
from tests.support.captions import captions_of, find, rows_of, run, write_captions, write_pairs

pytestmark = pytest.mark.soak
PARTS = ("gated", "curated")


@pytest.fixture
def made(tmp_path) -> tuple[list[dict], list[dict]]:
    """The matched images of a run over pairs, and captions."""
    write_pairs(tmp_path / "pairs.parquet")
    run(Local(1), tmp_path)
    matched = rows_of(tmp_path / "run" / "matched")
    return matched, captions_of(matched, Random(4))


def bytes_of(folder: Path) -> str:
    return hashlib.md5(b"".join(path.read_bytes() for path in sorted(folder.glob("*.parquet")))).hexdigest()


def test_bytes_are_the_same_on_any_cores_and_in_any_parts(made, tmp_path):
    _, rows = made
    written, digests = [], []
    for cores, files in ((2, 1), (1, 1), (2, 5), (1, 9)):
        results = run(Local(cores), tmp_path, write_captions(rows, tmp_path / f"{cores}-{files}", files))
        written.append([bytes_of(tmp_path / "run" / part) for part in PARTS])
        digests.append(results.facts["gate"]["captions"]["table"]["digest"])
    assert written == written[:1] * 4
    assert digests[0] == digests[1]
    assert len({*digests}) == 3


def test_other_gates_see_captions_and_a_run_without_captions_is_as_before(made, engine, tmp_path):
    matched, rows = made
    expected, _ = naive_captioned(matched, rows, find, MAX_TEXT_LENGTH)
    default = bytes_of(tmp_path / "run" / "curated")
    table = write_captions(rows, tmp_path / "captions", 2)
    policy = run(engine, tmp_path, table, policy=["min_words:7"])
    left = [row for row in expected if any(_words(text) >= 7 for text in row["candidates"])]
    assert policy.facts["rows"]["gated"] == len(left) > 0
    asked = [each["text"] for each in policy.facts["gate"]["conditions"]]
    assert asked == ["an entry in the caption", "a text is left"]
    run(engine, tmp_path)
    assert bytes_of(tmp_path / "run" / "curated") == default
    assert "gated" not in json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["rows"]
    assert not (tmp_path / "run" / "gated").exists()
    pq.write_table(pa.table({"uid": ["x"], "caption": ["the dog"]}), tmp_path / "others.parquet")
    with pytest.raises(InputError, match="has no caption of a matched image: no image of this run has one of its uids"):
        run(engine, tmp_path, tmp_path / "others.parquet")


def _words(text: dict) -> int:
    return len(text["text"]) // 2 if text["language"] == "ja" else len(text["text"].split())
