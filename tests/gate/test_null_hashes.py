"""A null is no hash of zeros, and a picture that is nearly plain finds no plain one."""

import pyarrow as pa
import pyarrow.parquet as pq

from curation.plugins.gate.evaluation import EvaluationSets

NINE_BITS, EIGHT_BITS = 0x1FF, 0xFF


def test_hashes_of_zeros_and_of_few_bits_match_only_what_they_should(tmp_path):
    rows = {"sha256": ["0" * 64], "phash": [NINE_BITS]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    sets = EvaluationSets.read([tmp_path / "a.parquet"], 4)
    assert sets.by_hash("sha256", pa.array([None, "0" * 64, "1" + "0" * 63])).tolist() == [0, 1, 0]
    assert sets.by_hash("phash", pa.array([None, NINE_BITS, NINE_BITS << 1, EIGHT_BITS])).tolist() == [0, 1, 1, 0]
