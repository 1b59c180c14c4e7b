"""Only one run at a time writes to an output folder."""

import signal as signals
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock

import pytest

from curation.run.output_folder import Output
from metadata import InputError
from runtime.folders import ownership
from runtime.storage.paths import files, is_url, names
from tests.support.outputs import TALLIES, A, claimed, description


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("http://example.org/out", "cannot be written to"),
        ("memory://out", "cannot be written to"),
        ("s3://", "cannot be written to"),
        ("foo://bucket/out", "no installed package opens URLs that begin with foo://"),
        ("gs://bucket/out", "install gcsfs"),
        ("s3://no-such-bucket/out", "bucket does not exist.*create the bucket first"),
        ("s3://Ü/out", "cannot be used .*Ü"),
    ],
)
def test_a_url_to_which_nothing_can_be_written_is_refused(s3_server, path, reason):
    with pytest.raises(InputError, match=reason):
        claimed(path)


def test_wrong_credentials_are_refused(s3_folder, s3_server, monkeypatch):
    s3_server.forbidden = True
    with pytest.raises(InputError, match=r"s3://outputs/.* cannot be used \(.*Access Denied"):
        claimed(s3_folder)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_run_into_a_local_folder_is_refused_while_the_first_goes_on(tmp_path, overwrite):
    with Output.claim(tmp_path / "out", description(A)) as first:
        (first.parts.begin("matched") / "00000.parquet").write_text("rows")
        with pytest.raises(InputError, match=r"another run is writing to .*out; wait"):
            Output.claim(tmp_path / "out", description(A), overwrite)
        first.finish_matched(TALLIES)
    assert claimed(tmp_path / "out").matched_result()["images"] == 7


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_a_folder_is_free_when_the_process_that_had_it_is_gone_however_it_ended(tmp_path, signal):
    program = (
        "import sys, time; from curation.run.output_folder import Output; "
        "output = Output.claim(sys.argv[1], {'inputs': []}); print('has it', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "out"], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"has it\n"
        with pytest.raises(InputError, match="another run is writing"):
            Output.claim(tmp_path / "out", {"inputs": []})
        process.send_signal(getattr(signals, signal))
    Output.claim(tmp_path / "out", {"inputs": []}).release()


def test_of_many_runs_that_begin_at_once_one_has_a_folder_and_another_when_it_has_ended(tmp_path):
    (tmp_path / "out").mkdir()

    def run(number: int) -> int | None:
        try:
            with Output.claim(tmp_path / "out", description(A)) as output:
                assert held.acquire(blocking=False)
                held.release()
                output.remove_work()
                return number
        except InputError:
            return None

    held = Lock()
    with ThreadPoolExecutor(8) as pool:
        had = [number for number in pool.map(run, range(200)) if number is not None]
    assert had
    assert names(tmp_path / "out") <= {".work"}


def test_a_second_run_takes_a_url_over_and_the_first_ends_before_it_names_anything(s3_folder):
    first = Output.claim(s3_folder, description(A))
    (first.parts.begin("matched") / "00000.parquet").write_text("rows of the first")
    second = Output.claim(s3_folder, description(A))
    (second.parts.begin("matched") / "00000.parquet").write_text("rows of the second")
    for name_something in (lambda: first.finish_matched(TALLIES), lambda: first.finish("curated", {})):
        with pytest.raises(InputError, match=r"another run has taken over s3://outputs/.*, so this run ends"):
            name_something()
    first.release()
    second.finish_matched(TALLIES)
    assert files(second.path / "matched", ".parquet")[0].read_text() == "rows of the second"
    second.release()


def test_a_task_that_outlives_its_driver_writes_nothing_into_the_next_run(folder):
    first = Output.claim(folder / "out", description(A))
    outlived = first.parts.begin("matched")
    (outlived / "00000.parquet").write_text("rows of the first")
    first.owner.release()  # as the end of its process does
    with Output.claim(folder / "out", description(A)) as second:
        (second.parts.begin("matched") / "00000.parquet").write_text("rows of the second")
        with nullcontext() if is_url(folder) else pytest.raises(FileNotFoundError):
            (outlived / "00001.parquet").write_text("rows of the first")
        second.finish_matched(TALLIES)
        assert [file.read_text() for file in files(second.path / "matched", ".parquet")] == ["rows of the second"]


def test_where_the_file_system_has_no_locks_a_second_run_takes_over(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "take", lambda path, wait=False: None)
    first, second = (Output.claim(tmp_path / "out", description(A)) for _ in range(2))
    with pytest.raises(InputError, match=r"another run has taken over .*out, so this run ends"):
        first.finish("curated", {})
    second.parts.begin("curated")
    second.finish("curated", {})
    second.remove_work()
    assert names(tmp_path / "out") == {"curated"}


def test_that_another_run_has_taken_over_explains_what_goes_wrong_then(s3_folder):
    def run():
        with Output.claim(s3_folder, description(A)):
            claimed(s3_folder)
            raise OSError("a file is gone")

    with pytest.raises(InputError, match="another run has taken over"):
        run()


def test_artefacts_are_local_and_go_with_the_run(folder):
    with Output.claim(folder / "out", description(A)) as output:
        assert not is_url(output.artefacts)
        (output.artefacts / "rates.npy").write_text("rates")
        assert is_url(folder) or output.artefacts.parent == folder / "out" / ".work"
    assert not output.artefacts.exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        claimed(tmp_path / "out")
