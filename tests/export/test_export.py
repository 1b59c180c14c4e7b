"""What is made from a finished run, compared with the definitions of the formats, and what is refused."""

import json
import os
import re
import subprocess
import sys
from hashlib import md5
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.export.card import About, card
from curation.export.datacomp import SUBSET, write_subset
from curation.export.forms import export
from curation.export.metaclip import local_ids
from curation.images.downloads import Downloads, existing, find_results, require_success, write_existing
from curation.runs.results import Results
from curation.schemas import CANDIDATE, MATCHED
from metadata import InputError
from runtime.arrow.uid_keys import LABELLED, hex_keys, keys_of, labelled, labels, save_sorted
from runtime.storage.parquet import part_files
from runtime.tallies import Tallies
from tests.naive.export import naive_existing, naive_shard, naive_statuses, naive_subset
from tests.support.checkout import ROOT
from tests.support.finished_run import LISTS, curated_rows, finished_run, image, write_parts

sys.path.insert(0, str(ROOT / "jobs"))  # where Python puts it
import export as job  # noqa: E402

MD5 = st.text("0123456789abcdef", min_size=32, max_size=32)
LANGUAGE_SLICES = {"en": slice(0, 4), "ja": slice(4, 6)}
PARQUET_COLUMNS = ["uid", "url", "status"]


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", [image(number) for number in range(60)])


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def results(folder: Path, rows: list[dict], columns=PARQUET_COLUMNS) -> Path:
    """A folder as img2dataset leaves it, without the tars."""
    folder.mkdir(exist_ok=True)
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns})
    pq.write_table(table, folder / "00000.parquet")
    (folder / "00000_stats.json").write_text("{}")
    return folder


def matched(images: list[dict]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(images, MATCHED)


# Uids as numbers


@settings(deadline=None)  # the machine may be busy
@given(st.lists(MD5, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_keys_are_the_numbers_that_uids_spell_in_every_slice(uids, start, length):
    array = pa.array(uids, pa.string()).slice(min(start, len(uids)), length)
    keys = hex_keys(array)
    assert [int.from_bytes(key.ljust(16, b"\0"), "big") for key in keys.tolist()] == [
        int(uid, 16) for uid in array.to_pylist()
    ]


@settings(deadline=None)  # the machine may be busy
@given(st.lists(MD5, max_size=30))
def test_keys_sort_as_numbers_do(uids):
    in_order = np.argsort(hex_keys(uids), kind="stable").tolist()
    assert [uids[place] for place in in_order] == sorted(uids)


def test_capital_digits_spell_the_same_number_but_another_uid():
    capital, small = "AB" * 16, "ab" * 16
    assert hex_keys([capital]) == hex_keys([small])
    assert keys_of([capital]) != keys_of([small])


@pytest.mark.parametrize("uid", ["", "12", "g" * 32, "é" * 16, "0" * 31 + "x", None])
def test_a_uid_that_is_no_32_digits_is_refused_by_name(uid):
    with pytest.raises(InputError, match=rf"uid {re.escape(repr(uid))} is no 32 hexadecimal digits"):
        hex_keys(pa.array(["0" * 32, uid], pa.string()))


def test_uids_of_an_input_have_keys_of_their_own():
    uids = ["0" * 32, "12", "", "é" * 16, "laion/7", "0" * 31 + "A"]
    assert len(set(keys_of(uids).tolist())) == len(uids)
    assert keys_of(pa.array(uids).slice(2, 2)).tolist() == keys_of(uids)[2:4].tolist()
    assert len(keys_of([])) == 0
    with pytest.raises(InputError, match="1 of 2 uids are null"):
        keys_of(["a", None])


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(MD5 | st.just("0" * 32), st.integers(0, 255)), max_size=20), st.lists(MD5, max_size=20))
def test_a_key_has_the_smallest_of_its_labels(rows, others):
    uids = [uid for uid, _ in rows]
    asked = others + uids[::2]
    found = labels(np.sort(labelled(hex_keys(uids), [label for _, label in rows])), hex_keys(asked))
    assert found.tolist() == [min((label for own, label in rows if own == uid), default=-1) for uid in asked]


def test_keys_come_sorted_from_disk_in_whatever_batches_they_went(tmp_path):
    uids = [f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}" for number in range(500)] + ["0" * 32]
    keys = hex_keys(uids)
    for cut in (1, 250, 501):
        save_sorted([keys[:cut], keys[cut:]], tmp_path / f"{cut}.npy")
    assert np.load(tmp_path / "1.npy").tolist() == sorted(keys.tolist())
    assert len({path.read_bytes() for path in tmp_path.glob("*.npy")}) == 1
    assert len(list(tmp_path.iterdir())) == 3  # and nothing else stays
    behind = labelled(keys, np.arange(501) % 256)
    save_sorted([behind[:250], behind[250:]], tmp_path / "labelled.npy", kind=LABELLED)
    assert np.load(tmp_path / "labelled.npy").tolist() == sorted(behind.tolist())


# DataComp


@pytest.mark.parametrize("uids", [[], ["f" * 32], [f"{n * 7919 % 1000:016x}{n:016x}" for n in range(1000)]])
def test_the_subset_file_holds_the_uids_as_sorted_pairs_of_numbers(tmp_path, uids):
    write_parts(tmp_path / "curated", curated_rows(uids), files=3)
    assert write_subset(part_files(tmp_path / "curated"), tmp_path / "uids.npy") == len(uids)
    subset = np.load(tmp_path / "uids.npy", mmap_mode="r")
    assert subset.dtype == np.dtype([("f0", "u8"), ("f1", "u8")]) == SUBSET
    assert subset.tolist() == naive_subset(uids)


def test_the_subset_of_a_run_is_its_manifest(run, tmp_path):
    said = export(run.path, tmp_path / "out", "datacomp", About())
    assert np.load(tmp_path / "out" / "uids.npy").tolist() == naive_subset([row["uid"] for row in run.kept])
    assert said == f"uids.npy with {len(run.kept)} uids in {tmp_path / 'out'}"


# Counts, probabilities and texts


def test_arrays_per_language_are_the_counts_and_rates_of_its_entries(run, tmp_path):
    export(run.path, tmp_path / "out", "metaclip", About())
    begin = 0
    for code, entries in LISTS.items():
        end = begin + len(entries)
        probabilities = np.load(tmp_path / "out" / "entry_probs" / f"{code}.npy")
        assert probabilities.dtype == np.float32
        assert probabilities.tolist() == run.rates[begin:end].tolist()
        assert np.load(tmp_path / "out" / "entry_counts" / f"{code}.npy").tolist() == run.counts[begin:end]
        assert json.loads((tmp_path / "out" / "metadata" / f"{code}.json").read_text("utf-8")) == entries
        begin = end


def test_shards_hold_the_texts_of_all_images_with_ids_of_their_language(run, tmp_path):
    export(run.path, tmp_path / "out", "metaclip", About())
    shards = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out" / "texts").iterdir())]
    assert len(shards) == 2
    assert shards[0] | shards[1] == naive_shard(run.images, LISTS)
    index = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))
    assert index["languages"] == {code: len(entries) for code, entries in LISTS.items()}
    assert [shard["images"] for shard in index["shards"].values()] == [len(shard) for shard in shards]
    assert [shard["texts"] for shard in index["shards"].values()] == [sum(map(len, s.values())) for s in shards]


def test_several_processes_write_the_bytes_that_one_writes(run, tmp_path):
    for workers in (1, 2):
        export(run.path, tmp_path / str(workers), "metaclip", About(), workers=workers)
    assert all_bytes(tmp_path / "1") == all_bytes(tmp_path / "2")


def test_a_run_without_matches_gives_shards_without_texts(tmp_path):
    finished_run(tmp_path / "run", [], files=1)
    export(tmp_path / "run", tmp_path / "out", "metaclip", About())
    assert json.loads((tmp_path / "out" / "texts" / "00000.json").read_text()) == {}


def test_ids_are_local_in_slices_and_where_lists_are_null_or_empty():
    texts = [("en", [0, 3]), ("ja", [5]), ("ja", None), (None, []), ("xx", []), ("ja", [4, 5]), ("en", [])]
    array = pa.array([{"text": "é", "language": code, "entries": ids} for code, ids in texts], CANDIDATE)
    local = [[0, 3], [1], [], [], [], [0, 1], []]
    assert local_ids(array, LANGUAGE_SLICES).to_pylist() == local
    assert local_ids(array.slice(1, 5), LANGUAGE_SLICES).to_pylist() == local[1:6]
    assert local_ids(array.slice(0, 0), LANGUAGE_SLICES).to_pylist() == []


@pytest.mark.parametrize(("code", "id"), [("en", 4), ("ja", 3), ("ja", 6), ("xx", 0), (None, 0), ("en", -1)])
def test_an_entry_of_another_language_is_refused(code, id):
    array = pa.array([{"language": "en", "entries": [0]}, {"language": code, "entries": [id]}], CANDIDATE)
    with pytest.raises(InputError, match=f"entry {id} is none of its text's language"):
        local_ids(array, LANGUAGE_SLICES)


# Folders


@pytest.mark.parametrize("form", ["datacomp", "huggingface", "metaclip"])
def test_the_same_run_gives_the_same_bytes(run, tmp_path, form):
    for name in ("one", "two"):
        export(run.path, tmp_path / name, form, About(name="pairs"))
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_an_export_that_fails_leaves_nothing(tmp_path):
    run = finished_run(tmp_path / "run", [image(1) | {"uid": "laion/7"}] * 20, t=1000)
    with pytest.raises(InputError, match="uid 'laion/7' is no 32"):
        export(run.path, tmp_path / "out", "datacomp", About())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_folder_is_refused_and_replaced_only_when_told(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("dear to someone")
    with pytest.raises(InputError, match="out is not empty; give a new folder, or --overwrite"):
        export(run.path, tmp_path / "out", "datacomp", About())
    export(run.path, tmp_path / "out", "datacomp", About(), overwrite=True)
    assert list(all_bytes(tmp_path / "out")) == ["uids.npy"]


@pytest.mark.parametrize("to", [".", "run", "run/curated", "run/new"])
def test_the_run_itself_is_never_written_over(run, tmp_path, to):
    with pytest.raises(InputError, match="holds the run or is in it"):
        export(run.path, tmp_path / to, "datacomp", About(), overwrite=True)


def test_a_damaged_file_is_refused(run, tmp_path):
    file = run.path / "curated" / "00000.parquet"
    content = bytearray(file.read_bytes())
    content[40:60] = b"\xff" * 20
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"00000.parquet is damaged .*curate again"):
        export(run.path, tmp_path / "out", "datacomp", About())


# The command line


@pytest.fixture
def refused(capsys):
    """Run the job; return the sentence with which it refused."""

    def run(*arguments) -> str:
        with pytest.raises(SystemExit) as stopped:
            job.main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        return capsys.readouterr().err.strip()

    return run


def test_the_job_runs_as_a_user_runs_it(run, tmp_path):
    command = [sys.executable, ROOT / "jobs" / "export.py", "--from", run.path, "--to", tmp_path / "out"]
    done = subprocess.run([*command, "--format", "datacomp"], cwd=ROOT, env=with_packages(), capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith("uids.npy with ")
    assert (tmp_path / "out" / "uids.npy").exists()


def with_packages() -> dict:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def test_a_folder_without_a_run_is_refused_in_one_line(refused, tmp_path):
    sentence = refused("--from", tmp_path, "--to", tmp_path / "out", "--format", "datacomp")
    assert sentence.startswith(f"export: {tmp_path} holds no run.json of a finished run")
    assert "\n" not in sentence


def test_what_a_card_says_is_refused_where_there_is_no_card(refused, run, tmp_path):
    sentence = refused("--from", run.path, "--to", tmp_path / "o", "--format", "datacomp", "--license", "mit")
    assert sentence == "export: --license would be said on a dataset card; --format datacomp writes none"


def test_no_workers_are_refused(refused, run, tmp_path):
    sentence = refused("--from", run.path, "--to", tmp_path / "o", "--format", "metaclip", "--workers", 0)
    assert sentence == "export: the number of workers is 0; it must be at least 1"


# After the download


def collected(folder: Path, *of_folders: list[dict], columns=PARQUET_COLUMNS) -> Downloads:
    """What img2dataset's results say that hold these rows, one list for each of its folders."""
    folder.mkdir()
    folders = [results(folder / str(number), rows, columns) for number, rows in enumerate(of_folders)]
    return Downloads.collect(find_results(folders), folder / "tried.npy")


def existing_of(batch: pa.RecordBatch, downloads: Downloads) -> tuple[pa.RecordBatch, dict[str, int]]:
    tallies = Tallies()
    kept = existing(batch, np.load(downloads.path), downloads.statuses, tallies)
    return kept, tallies.beginning("status.")


def test_matched_images_exist_where_a_try_succeeded(run, tmp_path):
    words = ("failed_to_download", "success", "failed_to_resize")
    rows = [{"uid": row["uid"], "status": words[n % 3]} for n, row in enumerate(run.images[:48])]
    again = [{"uid": row["uid"], "status": words[n % 2]} for n, row in enumerate(run.images[:10])]
    downloads = collected(tmp_path / "images", rows, again)
    batch, there = matched(run.images), naive_existing(run.images, rows + again)
    kept, statuses = existing_of(batch, downloads)
    named = list(naive_statuses(run.images, rows + again).values())
    assert kept.to_pylist() == there
    assert statuses["success"] == len(there) == named.count("success") > 16
    assert statuses["not_tried"] == 12
    assert sum(statuses.values()) == 60
    halves = [existing_of(part, downloads)[0].to_pylist() for part in (batch.slice(0, 7), batch.slice(7))]
    assert halves[0] + halves[1] == there
    empty, none = existing_of(batch.slice(0, 0), downloads)
    assert (empty.schema, none) == (MATCHED, {})


def test_without_a_uid_the_md5_of_the_url_tells_the_image(tmp_path):
    images = [image(0, "http://é/0") | {"uid": "5d1d4fbd0dc0a8a0f5c8f8f3b8a6b2bd"}, image(1, "http://é/1")]
    images[1]["uid"] = md5("http://é/1".encode()).hexdigest()
    rows = [{"url": row["url"], "status": "success"} for row in images]
    downloads = collected(tmp_path / "images", rows, columns=["url", "status"])
    assert existing_of(matched(images), downloads)[0].to_pylist() == [images[1]]


def test_a_download_in_which_nothing_succeeded_leaves_no_image_and_is_refused(run, tmp_path):
    statuses = (None, "failed_to_download")
    rows = [{"uid": row["uid"], "status": status} for row in run.images for status in statuses]
    kept, by_status = existing_of(matched(run.images), collected(tmp_path / "images", rows))
    assert (kept.num_rows, by_status) == (0, {"no_status": 60})  # of several failures the first that was met
    with pytest.raises(InputError, match=r"no matched image was downloaded \(60 no_status\); give the results"):
        require_success(by_status)


@pytest.mark.parametrize("rows", [[], [{"uid": "laion/7", "status": "success"}]])
def test_images_in_no_result_were_not_tried(run, tmp_path, rows):
    kept, by_status = existing_of(matched(run.images), collected(tmp_path / "images", rows))
    assert (kept.num_rows, by_status) == (0, {"not_tried": 60})


def test_existing_images_are_written_file_by_file(run, tmp_path):
    rows = [{"uid": row["uid"], "status": "success"} for row in run.images[20:30]]
    downloads = collected(tmp_path / "images", rows)
    tried, (first, second) = np.load(downloads.path, mmap_mode="r"), part_files(run.path / "matched")
    for file, images, found in ((first, run.images[20:30], {"success": 10, "not_tried": 20}), (second, [], None)):
        tallies = write_existing(file, tried, downloads.statuses, tmp_path / file.name, row_group_rows=4)
        assert tallies.beginning("status.") == dict(sorted((found or {"not_tried": 30}).items(), key=lambda x: -x[1]))
        assert pq.read_table(tmp_path / file.name).to_pylist() == images
        assert pq.read_schema(tmp_path / file.name).equals(MATCHED)


def test_what_is_made_of_matched_images_is_made_of_those_that_exist(run, tmp_path):
    """After a run over existing images the loader's texts are theirs: counts and probabilities are, too."""
    facts = json.loads((run.path / "run.json").read_text("utf-8"))
    there = run.images[5:25]
    write_parts(run.path / "existing", matched(there), files=2)
    facts["rows"] |= {"existing": len(there)}
    (run.path / "run.json").write_text(json.dumps(facts), "utf-8")
    export(run.path, tmp_path / "out", "metaclip", About())
    shards = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out" / "texts").iterdir())]
    assert [uid for shard in shards for uid in shard] == [row["uid"] for row in there]
    assert sum(batch.num_rows for batch in Results.open(run.path).matched()) == len(there)
    assert f"with a matching text: 60; of these downloaded: {len(there)}; kept" in card(facts, About(), "Pairs")


def test_many_words_for_a_status_are_refused(tmp_path):
    rows = [{"uid": f"{n:032x}", "status": f"word {n}"} for n in range(300)]
    with pytest.raises(InputError, match="more than 256 different words for a status"):
        collected(tmp_path / "images", rows)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no results of img2dataset"):
        find_results([tmp_path])


@pytest.mark.parametrize("columns", [["uid", "url"], ["status"]])
def test_tables_that_are_no_results_are_refused(tmp_path, columns):
    with pytest.raises(InputError, match="results of img2dataset have status and uid or url"):
        collected(tmp_path / "images", [{}], columns=columns)


def test_an_unfinished_shard_is_refused(tmp_path):
    folder = results(tmp_path / "images", [{"uid": "a", "status": "success"}])
    (folder / "00001.parquet").write_bytes((folder / "00000.parquet").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"00001.parquet cannot be read .* its shard is unfinished"):
        Downloads.collect(find_results([folder]), tmp_path / "tried.npy")
