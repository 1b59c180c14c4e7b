"""DataComp subsets and MetaCLIP folders agree with the definitions of their formats."""

import json
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from curation.plugins.export.datacomp import SUBSET, DataComp, sorted_pieces, write_subset
from curation.plugins.export.formats import export
from curation.plugins.export.metaclip import MetaClip, local_ids, renumbered
from curation.schemas import CANDIDATE
from metadata import InputError
from runtime.storage.own_files import own_files
from tests.naive.export import naive_shard, naive_subset
from tests.naive.matching import naive_meta_matches
from tests.support.finished_run import LISTS, curated_rows, finished_run, write_parts
from tests.support.in_turn import in_turn

LANGUAGE_SLICES = {"en": slice(0, 4), "ja": slice(4, 6)}


@pytest.mark.parametrize("uids", [[], ["f" * 32], [f"{n * 7919 % 1000:016x}{n:016x}" for n in range(1000)]])
def test_the_subset_file_holds_the_uids_as_sorted_pairs_of_numbers(tmp_path, uids):
    write_parts(tmp_path / "curated", curated_rows(uids), files=3)
    (tmp_path / "pieces").mkdir()
    pieces = sorted_pieces(in_turn(), own_files(tmp_path / "curated", None, ""), tmp_path / "pieces")
    assert write_subset(pieces, tmp_path / "uids.npy") == len(uids)
    subset = np.load(tmp_path / "uids.npy", mmap_mode="r")
    assert subset.dtype == np.dtype([("f0", "u8"), ("f1", "u8")]) == SUBSET
    assert subset.tolist() == naive_subset(uids)


def test_the_subset_of_a_run_is_its_manifest(run, tmp_path):
    said = export(in_turn(), run.path, tmp_path / "out", DataComp())
    assert np.load(tmp_path / "out" / "uids.npy").tolist() == naive_subset([row["uid"] for row in run.kept])
    assert said == f"uids.npy with {len(run.kept)} uids in {tmp_path / 'out'}"


def test_arrays_per_language_are_the_counts_and_rates_of_its_entries(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", MetaClip())
    begin = 0
    for code, entries in LISTS.items():
        end = begin + len(entries)
        probabilities = np.load(tmp_path / "out" / "entry_probs" / f"{code}.npy")
        assert probabilities.dtype == np.float32
        ids = [id for id in range(begin, end) if run.counts[id]]
        assert probabilities.tolist() == run.rates[ids].tolist()
        counts = np.load(tmp_path / "out" / "entry_counts" / f"{code}.npy")
        assert counts.tolist() == [run.counts[id] for id in ids]
        written = json.loads((tmp_path / "out" / "metadata" / f"{code}.json").read_text("utf-8"))
        assert written == [entries[id - begin] for id in ids]
        begin = end


def test_a_program_that_matches_texts_with_the_written_entries_finds_the_written_ids(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", MetaClip())
    lists = {path.stem: json.loads(path.read_text("utf-8")) for path in (tmp_path / "out" / "metadata").iterdir()}
    unseen = [entry for entry, count in zip(chain(*LISTS.values()), run.counts, strict=True) if not count]
    assert unseen == ["cat"]
    for path in (tmp_path / "out" / "texts").iterdir():
        for texts in json.loads(path.read_text("utf-8")).values():
            for text in texts:
                found = naive_meta_matches([text["text"]], lists[text["language"]])
                assert found == [text["matched_entry_ids"]]


def test_shards_hold_the_texts_of_all_images_with_ids_of_their_language(run, tmp_path):
    export(in_turn(), run.path, tmp_path / "out", MetaClip())
    shards = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out" / "texts").iterdir())]
    assert len(shards) == 2
    assert shards[0] | shards[1] == naive_shard(run.images, LISTS)
    index = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))
    lists = {path.stem: json.loads(path.read_text("utf-8")) for path in (tmp_path / "out" / "metadata").iterdir()}
    assert index["languages"] == {code: len(entries) for code, entries in lists.items()}
    assert [shard["images"] for shard in index["shards"].values()] == [len(shard) for shard in shards]
    assert [shard["texts"] for shard in index["shards"].values()] == [sum(map(len, s.values())) for s in shards]


def test_a_run_without_matches_gives_shards_without_texts(tmp_path):
    finished_run(tmp_path / "run", [], files=1)
    export(in_turn(), tmp_path / "run", tmp_path / "out", MetaClip())
    assert json.loads((tmp_path / "out" / "texts" / "00000.json").read_text()) == {}


def test_ids_are_local_in_slices_and_where_lists_are_null_or_empty():
    texts = [("en", [0, 3]), ("ja", [5]), ("ja", None), (None, []), ("xx", []), ("ja", [4, 5]), ("en", [])]
    array = pa.array([{"text": "é", "language": code, "entries": ids} for code, ids in texts], CANDIDATE)
    local = [[0, 3], [1], [], [], [], [0, 1], []]
    assert local_ids(array, LANGUAGE_SLICES).to_pylist() == local
    assert local_ids(array.slice(1, 5), LANGUAGE_SLICES).to_pylist() == local[1:6]
    assert local_ids(array.slice(0, 0), LANGUAGE_SLICES).to_pylist() == []


def test_entries_get_their_indices_among_those_that_a_text_has():
    array = pa.array([{"language": "en", "entries": ids} for ids in ([3, 9], None, [], [5])], CANDIDATE)
    listed = np.array([3, 5, 9], np.int32)
    assert renumbered(array, listed).field("entries").to_pylist() == [[0, 2], [], [], [1]]
    assert renumbered(array.slice(1, 3), listed).field("entries").to_pylist() == [[], [], [1]]
    assert renumbered(array.slice(0, 0), listed).field("entries").to_pylist() == []


@pytest.mark.parametrize("id", [0, 4, 10])
def test_an_entry_that_was_not_counted_is_refused(id):
    array = pa.array([{"language": "en", "entries": [5, id]}], CANDIDATE)
    with pytest.raises(InputError, match=f"entry {id} is in a text, but not in counts.parquet"):
        renumbered(array, np.array([3, 5, 9], np.int32))


@pytest.mark.parametrize(("code", "id"), [("en", 4), ("ja", 3), ("ja", 6), ("xx", 0), (None, 0), ("en", -1)])
def test_an_entry_of_another_language_is_refused(code, id):
    array = pa.array([{"language": "en", "entries": [0]}, {"language": code, "entries": [id]}], CANDIDATE)
    with pytest.raises(InputError, match=f"entry {id} does not belong to the language of its text"):
        local_ids(array, LANGUAGE_SLICES)
