"""What clip-verify says of folders, beside damage: `test_damage` has that of each kind."""

import json

import pytest

from curation.commands.clip_verify import main
from curation.inputs.tables.columns import TABLES_FOLDER
from curation.run.catalog import TABLE
from curation.run.results import Results
from metadata import Entries, InputError
from runtime.folders.descriptor import complete
from runtime.folders.verify import verify
from runtime.storage.checksums import checksum_of, content_digest
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["a", "dog"], "ja": ["犬"]})
IMAGES = [[("a dog", "en", [0, 1])], [("a", "en", [0]), ("犬", "ja", [2])], [("犬", "ja", [2])]] * 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "out", ENTRIES, IMAGES, t=10)


def test_a_finished_run_that_nobody_touched_passes(run):
    assert verify(run) == f"{run}: all 9 files are as they were written"


def test_files_that_the_run_did_not_write_are_named_and_not_read(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    (run / "curated" / "00000.parquet").rename(run / "curated" / "00001.parquet")
    with pytest.raises(
        InputError,
        match=r"00000.parquet is missing, curated/00001.parquet is not of this folder; delete the files that are",
    ):
        verify(run)
    (run / "curated" / "00000.parquet").write_bytes((run / "curated" / "00001.parquet").read_bytes())
    with pytest.raises(InputError, match=r"00001.parquet does not belong to this run; delete it"):
        Results.open(run).kept()


def test_a_folder_that_no_command_has_finished_is_refused(tmp_path):
    with pytest.raises(InputError, match="is empty; specify a folder that a command of this project has finished"):
        verify(tmp_path)


def test_a_copied_table_is_verified(tmp_path):
    run = write_run(tmp_path / "out", ENTRIES, IMAGES, t=10)
    tables = run / TABLES_FOLDER / "mine"
    tables.mkdir(parents=True)
    (tables / "part").write_text("rows")
    (tables / "part").rename(table := tables / f"00000-{content_digest(tables / 'part')}.parquet")
    complete(tables, TABLE.content("mine", {table.name: checksum_of(table)}, {}))
    assert verify(run).endswith("all 11 files are as they were written")
    table.write_text("row")
    with pytest.raises(
        InputError, match=f"written: {table.relative_to(run)} is damaged; delete the files that are damaged or"
    ):
        verify(run)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run.json", r"run.json is damaged \(other programs"),
        ("times.json", "times.json is damaged; delete the files that are"),
    ],
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


def test_the_command_verifies_a_folder(run, tmp_path, capsys):
    main([str(run)])
    assert capsys.readouterr().out == f"{run}: all 9 files are as they were written\n"
    with pytest.raises(SystemExit) as done:
        main([str(tmp_path)])
    assert done.value.code == 2
    assert capsys.readouterr().err.startswith(f"clip-verify: {tmp_path} is empty; specify a folder")
