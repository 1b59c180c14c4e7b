"""A damaged file of a finished run is refused or changes nothing, and `clip-verify` names it."""

import json
import random

import pytest

from curation.commands.clip_verify import main
from curation.inputs.tables.columns import FOLDER
from curation.leaves.export.forms import export
from curation.leaves.export.metaclip import MetaClip
from curation.outputs.checkpoints import Stamps
from curation.run.results import Results
from curation.run.verify import verify
from curation.schemas import PAIRS
from metadata import Entries, InputError
from runtime.buckets import write_blocks
from runtime.storage.own_files import STAMP, content_digest, write_json
from runtime.storage.paths import files
from runtime.tallies import TaskResult
from tests.support.flips import SILENT, Kind, everything, flip, found_by_verify, outcomes
from tests.support.in_turn import in_turn
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["a", "dog"], "ja": ["犬"]})
IMAGES = [[("a dog", "en", [0, 1])], [("a", "en", [0]), ("犬", "ja", [2])], [("犬", "ja", [2])]] * 20
KINDS = ["run.json", "thresholds.json", "times.json", "report.html", "counts.parquet", "curated/*",
         "matched/*.parquet", "matched/_made_from.json"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "out", ENTRIES, IMAGES, t=10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_of_a_finished_run_changes_what_is_read_or_passes_verify(run, tmp_path, kind):
    found = outcomes(run, Kind(kind, kind, everything), 8, tmp_path, found_by_verify)
    assert (found.total(), found[SILENT]) == (8, 0)


def test_a_finished_run_that_nobody_touched_passes(run):
    assert verify(run) == f"{run}: all 9 files are as they were written"


@pytest.mark.parametrize("name", ["curated/00000.parquet", "matched/00001.parquet", "report.html", "times.json"])
def test_what_is_missing_is_named(tmp_path, name):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    (run / name).unlink()
    with pytest.raises(InputError, match=f"out is not as it was written: {name} is missing; delete .* curate again"):
        verify(run)


def test_files_that_the_run_did_not_write_are_named_and_not_read(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    (run / "curated" / "00000.parquet").rename(run / "curated" / "00001.parquet")
    (run / "matched" / "notes.txt").write_text("mine")
    with pytest.raises(
        InputError, match=r"00000.parquet is missing, curated/00001.parquet is not of this run, matched/n"
    ):
        verify(run)
    (run / "curated" / "00000.parquet").write_bytes((run / "curated" / "00001.parquet").read_bytes())
    with pytest.raises(InputError, match=r"00001.parquet is no file of this run; delete it"):
        Results.open(run).kept()


def test_a_folder_that_no_command_has_finished_is_refused(tmp_path):
    with pytest.raises(InputError, match="is empty; give a folder that a command of this project has finished"):
        verify(tmp_path)


def test_a_damaged_file_is_named_with_what_to_do(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    flip(run / "matched" / "00000.parquet", random.Random(0))
    with pytest.raises(InputError, match=r"00000.parquet is damaged \(.*\); delete \S*matched and run the same"):
        export(in_turn(), run, tmp_path / "new", MetaClip())
    assert not (tmp_path / "new").exists()


def test_what_stamps_and_names_say_of_files_is_verified(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    pairs, tables = run / "pairs", run / FOLDER / "mine"
    pairs.mkdir()
    tables.mkdir(parents=True)
    write_json(pairs / STAMP, {})
    write_blocks(pairs / "task.arrows.zst", PAIRS, [])
    Stamps(pairs, "").write([], TaskResult(files={"task.arrows.zst": "00000000"}))
    (tables / "part").write_text("rows")
    (tables / "part").rename(table := tables / f"00000-{content_digest(tables / 'part')}.parquet")
    assert verify(run).endswith("all 12 files are as they were written")
    for file in (*files(pairs, ".zst"), *(each for each in files(pairs, ".json") if each.name != STAMP), table):
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b":", b": ") if file.suffix == ".json" else whole[:-1])
        with pytest.raises(InputError, match=f"written: {file.relative_to(run)} is damaged; delete what is damaged or"):
            verify(run)
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "said"),
    [("run.json", r"run.json is damaged \(other programs"), ("times.json", "times.json is damaged; delete what is")],
)
def test_what_another_program_wrote_anew_is_not_as_it_was_written(tmp_path, name, said):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    (run / name).write_text(json.dumps(json.loads((run / name).read_text("utf-8"))), "utf-8")
    with pytest.raises(InputError, match=said):
        verify(run)


def test_a_name_that_is_damaged_is_not_taken_for_the_file_of_another_program(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    text = (run / "run.json").read_text("utf-8")
    for damaged in (text.replace('"checksum":', '"checksun":'), text.replace('"checksums":', '"checksumt":')):
        (run / "run.json").write_text(damaged, "utf-8")
        with pytest.raises(InputError, match="run.json is damaged"):
            Results.open(run)


def test_a_run_at_a_url_is_verified(s3_folder):
    run = write_run(s3_folder / "out", ENTRIES, IMAGES, t=10)
    assert verify(str(run)).endswith("all 9 files are as they were written")
    file = run / "curated" / "00000.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"2")
    with pytest.raises(InputError, match="curated/00000.parquet is damaged"):
        verify(str(run))


def test_metadata_is_verified_with_what_was_counted_for_it(tmp_path):
    ENTRIES.save(tmp_path / "metadata")
    part = tmp_path / "metadata" / "sources" / "ngrams" / "en"
    part.mkdir(parents=True)
    write_json(part / STAMP, {"made_from": {}, "checksums": {"unigrams.parquet": "00000000"}})
    (part / "unigrams.parquet").touch()
    assert verify(tmp_path / "metadata").endswith("all 4 files are as they were written")
    (part / "unigrams.parquet").write_text("rows")
    with pytest.raises(InputError, match="sources/ngrams/en/unigrams.parquet is damaged; build the metadata again"):
        verify(tmp_path / "metadata")


def test_the_command_verifies_a_folder(run, tmp_path, capsys):
    main([str(run)])
    assert capsys.readouterr().out == f"{run}: all 9 files are as they were written\n"
    with pytest.raises(SystemExit) as done:
        main([str(tmp_path)])
    assert done.value.code == 2
    assert capsys.readouterr().err.startswith(f"clip-verify: {tmp_path} is empty; give a folder")
