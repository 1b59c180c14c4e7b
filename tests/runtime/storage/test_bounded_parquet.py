"""Row groups larger than memory are read in pieces."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.storage import parquet as module
from runtime.storage import remote
from runtime.storage.parquet import BoundedParquet
from tests.fuzz.target import FOUND
from tests.support.remote_files import forbidden, parquet


def test_of_a_row_group_only_pieces_of_the_wanted_columns_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    noise = np.random.default_rng(0).bytes(8 << 20)
    column = [noise[i : i + 1000] for i in range(0, len(noise), 1000)]
    pq.write_table(pa.table({"url": column, "text": column, "other": column}), path, row_group_size=1 << 20)
    monkeypatch.setattr(module, "PIECE", 1 << 16)
    with Counting(path) as file:
        rows = sum(batch.num_rows for batch in BoundedParquet(file).batches(["url", "text"], 8192, [0]))
    assert rows == len(column)
    assert max(file.sizes) < 2 << 20  # a page has 1 MB
    assert 2 * len(noise) < sum(file.sizes) < 2.2 * len(noise)


def test_a_column_chunk_that_makes_no_sense_ends_in_an_error_not_in_the_end_of_the_process():
    content = (FOUND / "tables" / "chunk-of-another-depth").read_bytes().partition(b"\n")[2]
    file = BoundedParquet(io.BytesIO(content))
    for ask in (file.group_bytes, lambda: [*file.batches(["url"], 10)]):
        with pytest.raises(OSError, match="histogram size mismatch"):
            ask()
    assert [batch.num_rows for batch in BoundedParquet(io.BytesIO(parquet())).batches(["url"], 10)] != []


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("has_dictionary", [True, False])
def test_the_largest_page_is_found_wherever_it_stands(compression, version, has_dictionary):
    texts = [f"{number} " * 500 for number in range(9000)]
    texts[7000] = "x" * 3_000_000
    table, how = pa.table({"text": texts, "b": texts[::-1]}), {"compression": compression, "data_page_version": version}
    pq.write_table(table, sink := io.BytesIO(), row_group_size=5000, use_dictionary=has_dictionary, **how)
    found = BoundedParquet(io.BytesIO(sink.getvalue()))
    assert 3_000_000 < found.largest_page("text", 1 << 20) < 8_000_000
    assert found.largest_page("text", 1 << 30) == 0
    pages = [sum(found._page_sizes(chunks["text"])) for chunks in map(found._chunks, range(2))]
    whole = [chunks["text"].total_uncompressed_size for chunks in map(found._chunks, range(2))]
    assert pages == pytest.approx(whole, rel=0.01)  # which also has the headers


def in_groups(noise: np.random.Generator, groups: int, texts: int, others: int) -> bytes:
    """Return a table in row groups of ten rows, whose texts and other values have so many bytes."""
    sizes = {"note": others, "url": texts, "more": others // 9, "text": texts, "hash": others}
    columns = {name: [noise.bytes(size) for _ in range(groups * 10)] for name, size in sizes.items()}
    pq.write_table(pa.table(columns), sink := io.BytesIO(), row_group_size=10, compression="none", use_dictionary=False)
    return sink.getvalue()


def by_request(content: bytes, columns: list[str], groups: list[int] | None = None) -> tuple[list[dict], list[int]]:
    """Return the rows of a remote table, and the bytes of each request after those for its footer."""
    sizes: list[int] = []

    class Asked(io.BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    with remote.RemoteFile("a", lambda: Asked(content), len(content), forbidden, remote.AS_ASKED) as file:
        table = BoundedParquet(file)
        sizes.clear()
        return [row for batch in table.batches(columns, 8192, groups) for row in batch.to_pylist()], sizes


def test_chunks_of_a_remote_table_that_lie_near_come_in_one_request():
    content = in_groups(np.random.default_rng(1), groups=200, texts=100, others=100)
    rows, sizes = by_request(content, ["text", "url"])
    assert (len(rows), len(sizes)) == (2000, 1)
    assert sizes[0] < len(content)


def test_of_columns_that_lie_between_wanted_ones_nothing_is_fetched_if_they_are_large():
    content = in_groups(np.random.default_rng(2), groups=20, texts=100, others=60_000)
    rows, sizes = by_request(content, ["text", "url"])
    assert (len(rows), len(sizes)) == (200, 20)  # url and text of a group lie near
    assert sum(sizes) < 20 * 1.1 * (2 * 10 * 100 + 10 * 60_000 // 9)


@pytest.mark.parametrize("seed", range(12))
def test_merged_requests_change_no_row(monkeypatch, seed):
    noise = np.random.default_rng(seed)
    content = in_groups(noise, *map(int, noise.integers(1, [30, 3000, 3000])))
    monkeypatch.setattr(remote, "NEAR", int(noise.integers(0, 30_000)))
    monkeypatch.setattr(remote, "MOST_MERGED", int(noise.integers(1, 90_000)))
    monkeypatch.setattr(module, "PIECE", int(noise.integers(1, 40_000)))
    monkeypatch.setattr(module, "FEW_BYTES", int(noise.integers(128, 1 << 20)))  # so that headers of chunks are read
    columns = list(noise.permutation(["note", "url", "more", "text", "hash"])[: noise.integers(1, 6)])
    local = BoundedParquet(io.BytesIO(content))
    groups = sorted(map(int, noise.permutation(len(local.group_bytes()))[: noise.integers(1, 31)]))
    rows, sizes = by_request(content, columns, groups)
    assert rows == [row for batch in local.batches(columns, 8192, groups) for row in batch.to_pylist()]
    assert max(sizes) <= max(remote.MOST_MERGED, module.PIECE, 3000 * 10 + 100)


class Counting(io.FileIO):
    """A file that knows how much was read of it at once."""

    def __init__(self, path):
        super().__init__(path)
        self.sizes = []

    def read(self, size=-1):
        self.sizes.append(size)
        return super().read(size)


def test_texts_that_a_dictionary_repeats_come_in_small_batches(tmp_path):
    path = tmp_path / "a.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["犬" * 30_000]))
    pq.write_table(pa.table({"text": texts}), path, store_schema=False)
    assert path.stat().st_size < 200_000
    with open(path, "rb") as file:
        found = BoundedParquet(file).batches(["text"], 8192, [0])
        sizes = [(batch.num_rows, batch.nbytes) for batch in found]
    assert sum(rows for rows, _ in sizes) == 5000
    assert max(size for _, size in sizes) <= module.BATCH_BYTES


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 129, 4000])
@pytest.mark.parametrize("groups", [[0], []])
def test_small_rows_come_in_few_batches_in_their_order(rows, groups):
    table = BoundedParquet(io.BytesIO(parquet(rows)))
    groups = groups[: len(table.group_bytes())]
    found = list(table.batches(["text"], 8192, groups))
    assert [text for batch in found for text in batch["text"].to_pylist()] == [f"犬 {i}" for i in range(rows) if groups]
    assert len(found) == (1 if rows and groups else 0)


def test_batches_have_as_many_rows_as_are_asked_for():
    found = BoundedParquet(io.BytesIO(parquet())).batches(["text"], 1500, [0])
    assert [batch.num_rows for batch in found] == [1500, 1500, 1000]
