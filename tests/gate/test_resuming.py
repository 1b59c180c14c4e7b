"""A gate that is killed at any moment continues after its last finished step; a finished gate is reused.

The files are those of a run that nobody disturbed, and so is run.json, but for when it was written.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.caption_replacement import CaptionStep
from curation.plugins.gate.gate import Gate, GateFolder
from curation.run.output_folder import Output
from runtime.errors import InputError
from runtime.folders.verify import verify
from tests.support.checkout import ROOT
from tests.support.gate_inputs import CONFIG, STEPS, gate_of, left_by, run_gate, write_inputs
from tests.support.in_turn import in_turn

SLOW = pytest.mark.slow


class Watched:
    """Says which steps of gates ran and which finished; ends a run, as Ctrl-C does, at a moment of its gate.

    The moments of a gate are numbered: before each of its tasks, before and after each of its stamps and parts. With
    `of_tasks` false, tasks are not counted.
    """

    def __init__(self, of_tasks: bool = False):
        self.ran: list[str] = []
        self.finished: list[str] = []
        self.moments = 0
        self.last: int | None = None
        self.is_gating = False
        self.of_tasks = of_tasks

    def until(self, moment: int | None = None) -> None:
        """Begin anew; the next run ends at this moment."""
        self.ran, self.finished, self.moments, self.last, self.is_gating = [], [], 0, moment, False

    def moment(self, task: int = 0) -> None:
        """Count a moment."""
        if self.is_gating:
            if self.moments == self.last:
                raise KeyboardInterrupt
            self.moments += 1

    def task(self, number: int) -> None:
        """Count the beginning of a task."""
        if self.of_tasks:
            self.moment()

    def watch(self, patched: pytest.MonkeyPatch) -> None:
        """Count the moments of gates from now on."""
        self._around(patched, Gate, "let_pass", before=lambda *_: setattr(self, "is_gating", True))
        self._around(patched, Gate, "_write", before=lambda gate, name, *_: self.ran.append(name))
        self._around(patched, GateFolder, "finish", self._moment, lambda folder, step, _: self._finish(step))
        self._around(patched, Output, "finish", self._moment, self._moment)
        self._around(patched, Output, "write_results", self._moment)

    def _finish(self, step: str) -> None:
        self.finished.append(step)
        self.moment()

    def _moment(self, *args: object, **named: object) -> None:
        self.moment()

    @staticmethod
    def _around(
        patched: pytest.MonkeyPatch,
        owner: type,
        name: str,
        before: Callable[..., object],
        after: Callable[..., object] = lambda *args, **named: None,
    ) -> None:
        original = getattr(owner, name)

        def changed(*args, **named):
            before(*args, **named)
            result = original(*args, **named)
            after(*args, **named)
            return result

        patched.setattr(owner, name, changed)


@pytest.fixture
def watched(monkeypatch) -> Watched:
    watched = Watched()
    watched.watch(monkeypatch)
    return watched


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory, engine) -> Path:
    """The output of a run that nobody disturbed."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    facts = run_gate(inputs, output, engine=engine).facts
    assert all(condition["removed"] for condition in facts["gate"]["conditions"] if condition["failed"])
    assert 20 < facts["rows"]["gated"] < 100
    assert {row["step"] for row in pq.read_table(output / "gate_removed").to_pylist()} == {*STEPS} - {"hosts"}
    return output


def broken_off(watched: Watched, inputs: Path, output: Path, moment: int | None, **more) -> None:
    """Run a gate until a moment."""
    watched.until(moment)
    with suppress(KeyboardInterrupt):
        run_gate(inputs, output, engine=in_turn(watched.task), **more)


def finished_again(watched: Watched, inputs: Path, output: Path, **more) -> list[str]:
    """Run a gate to its end; return the steps that ran."""
    watched.until()
    run_gate(inputs, output, engine=in_turn(watched.task), **more)
    return watched.ran


@pytest.mark.parametrize(
    ("of_tasks", "every"), [(False, 5), pytest.param(False, 1, marks=SLOW), pytest.param(True, 3, marks=SLOW)]
)
def test_a_gate_that_is_killed_continues_in_that_step(inputs, undisturbed, watched, tmp_path, of_tasks, every):
    watched.of_tasks, whole = of_tasks, left_by(undisturbed)
    broken_off(watched, inputs, tmp_path / "quiet", None)
    moments, seen = watched.moments, set()
    assert left_by(tmp_path / "quiet") == whole
    broken_off(watched, inputs, tmp_path / "matched", 0)
    for moment in range(0, moments, every):
        output = tmp_path / str(moment)
        shutil.copytree(tmp_path / "matched", output)
        broken_off(watched, inputs, output, moment)
        finished = watched.finished
        assert finished_again(watched, inputs, output) == STEPS[len(finished) :]
        assert left_by(output) == whole
        seen.add(len(finished))
        shutil.rmtree(output)
    assert len(seen) == len(STEPS) + 1 or every > 1


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_gate_whose_process_is_killed_continues_in_that_step(inputs, undisturbed, watched, tmp_path, step):
    code = "import sys; from tests.gate.test_resuming import kill_in; kill_in(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, step, inputs, tmp_path / "run"], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert finished_again(watched, inputs, tmp_path / "run") == STEPS[STEPS.index(step) :]
    assert left_by(tmp_path / "run") == left_by(undisturbed)


def kill_in(step: str, inputs: str, output: str) -> None:
    """Run a gate, and kill this process once the step has written its files, before they have a stamp."""
    original = GateFolder.finish

    def finish(folder, name, finished):
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)
        original(folder, name, finished)

    GateFolder.finish = finish  # type: ignore[method-assign]
    run_gate(Path(inputs), Path(output))


@pytest.mark.slow
@pytest.mark.parametrize("moment", [4, *range(11, 16)])  # in a step, and while parts are finished
def test_a_gate_at_a_url_continues_in_that_step(inputs, undisturbed, watched, s3_folder, moment):
    broken_off(watched, inputs, s3_folder, moment)
    assert watched.moments == moment
    finished = watched.finished
    assert finished_again(watched, inputs, s3_folder) == STEPS[len(finished) :]
    assert left_by(s3_folder) == left_by(undisturbed)


def test_a_step_that_is_done_is_not_prepared(inputs, watched, tmp_path, monkeypatch):
    broken_off(watched, inputs, tmp_path / "run", 3)
    assert watched.finished == ["captions", "hosts"]
    monkeypatch.setattr(CaptionStep, "prepare", lambda step, context: pytest.fail("captions are read"))
    assert finished_again(watched, inputs, tmp_path / "run") == STEPS[2:]


def stopped_before_gated(watched: Watched, inputs: Path, output: Path) -> Path:
    """Return the folder of the steps of a gate whose last step is done, and that was killed then."""
    broken_off(watched, inputs, output, 2 * len(STEPS))
    assert watched.finished == STEPS
    (gate,) = (output / ".work" / "gate").iterdir()
    return gate


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("number", [2, *(pytest.param(each, marks=SLOW) for each in (0, 1, 3, 4, 5))])
@pytest.mark.parametrize("file", ["images", "sample", "stamp", "missing"])
def test_a_step_with_a_damaged_file_runs_again_alone(inputs, undisturbed, watched, tmp_path, number, file):
    gate, step = stopped_before_gated(watched, inputs, tmp_path / "run"), STEPS[number]
    folder = gate / ("gated" if number == len(STEPS) - 1 else step)
    (folder / "99999.parquet").write_text("of somebody else")
    (gate / "gate_removed" / "99999.parquet").write_text("of somebody else")
    samples = sorted((gate / "gate_removed").glob(f"{step}-*"))
    if file == "missing":
        sorted(folder.glob("0*.parquet"))[0].unlink()
    elif file == "sample" and samples:
        flip(samples[0])
    else:
        flip(folder / "_folder.json" if file == "stamp" else sorted(folder.glob("0*.parquet"))[0])
    assert finished_again(watched, inputs, tmp_path / "run") == [step]
    assert left_by(tmp_path / "run") == left_by(undisturbed)


def test_another_threshold_reuses_the_gate(inputs, watched, engine, tmp_path):
    finished_again(watched, inputs, tmp_path / "run")
    for number, change in enumerate([{"english_threshold": 3}, {"english_threshold": 20, "rows_per_file": 9}]):
        config = replace(CONFIG, **change)
        run_gate(inputs, tmp_path / f"new{number}", config, engine)
        assert finished_again(watched, inputs, tmp_path / "run", config=config) == []
        assert left_by(tmp_path / "run") == left_by(tmp_path / f"new{number}")
        verify(tmp_path / "run")


def other_seed(inputs: Path) -> dict:
    return {"config": replace(CONFIG, seed=5)}


def other_limit(inputs: Path) -> dict:
    return {"config": replace(CONFIG, max_shared_uids=0.9)}


def other_condition(inputs: Path) -> dict:
    return {"keep": "score > 1"}


def other_share(inputs: Path) -> dict:
    return {"keep_removed": 0.6}


def other_table(inputs: Path) -> dict:
    path = inputs / "captions" / "0 ü.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    return {}


def other_file(inputs: Path) -> dict:
    shutil.copy(inputs / "captions" / "0 ü.parquet", inputs / "captions" / "9.parquet")
    return {}


def other_pairs(inputs: Path) -> dict:
    pairs = {"url": ["http://a.example/more.jpg"], "text": ["the dog"]}
    pq.write_table(pa.table(pairs), inputs / "more.parquet")
    return {"also": inputs / "more.parquet"}


SELDOM = [pytest.param(other, marks=SLOW) for other in (other_limit, other_condition, other_share, other_file)]
OTHERS = [other_seed, other_table, other_pairs, *SELDOM]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("is_whole", [True, pytest.param(False, marks=SLOW)])
def test_another_gate_runs_from_its_first_step(watched, engine, tmp_path, other, is_whole):
    write_inputs(tmp_path)
    broken_off(watched, tmp_path, tmp_path / "run", None if is_whole else 2 * len(STEPS))
    assert watched.finished == STEPS
    more = other(tmp_path)
    assert finished_again(watched, tmp_path, tmp_path / "run", **more) == STEPS
    run_gate(tmp_path, tmp_path / "new", engine=engine, **more)
    ours, new = left_by(tmp_path / "run"), left_by(tmp_path / "new")
    if other is other_pairs:  # pairs/ and facts say how the inputs came
        ours, new = (
            {name: each[name] for name in each if name.startswith(("gate", "curated"))} for each in (ours, new)
        )
        ours, new = ({name: each[name] for name in each if not name.endswith(".json")} for each in (ours, new))
    assert ours == new


def test_steps_of_another_gate_are_removed_when_a_gate_begins(inputs, watched, tmp_path):
    gate = stopped_before_gated(watched, inputs, tmp_path / "run")
    broken_off(watched, inputs, tmp_path / "run", 2, keep="score > 2")
    assert gate not in [*gate.parent.iterdir()]
    assert len([*gate.parent.iterdir()]) == 1


def test_overwrite_begins_anew(inputs, watched, tmp_path):
    stopped_before_gated(watched, inputs, tmp_path / "run")
    assert finished_again(watched, inputs, tmp_path / "run", overwrite=True) == STEPS


@pytest.mark.parametrize("file", ["gated", "gate_removed", "_folder.json"])
def test_a_gate_with_a_damaged_file_runs_again(inputs, undisturbed, watched, tmp_path, file):
    shutil.copytree(undisturbed, tmp_path / "run")
    folder = tmp_path / "run" / ("gate_removed" if file == "gate_removed" else "gated")
    flip(folder / file if file == "_folder.json" else sorted(folder.glob("*.parquet"))[0])
    with pytest.raises(InputError, match=rf"{folder.name}/\S+ is damaged"):
        verify(tmp_path / "run")
    assert finished_again(watched, inputs, tmp_path / "run") == STEPS
    assert left_by(tmp_path / "run") == left_by(undisturbed)
    verify(tmp_path / "run")


def test_a_file_of_somebody_else_in_gated_is_named(inputs, undisturbed, watched, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "run")
    (tmp_path / "run" / "gated" / "x.parquet").write_text("mine")
    with pytest.raises(InputError, match=r"gated/x.parquet does not belong to this run; delete it"):
        finished_again(watched, inputs, tmp_path / "run")
    (tmp_path / "run" / "gated" / "x.parquet").unlink()
    assert finished_again(watched, inputs, tmp_path / "run") == []
    assert left_by(tmp_path / "run") == left_by(undisturbed)


def test_paths_that_options_name_are_known(tmp_path):
    options = gate_of(tmp_path, only=["o"], decontaminate=["d"], decontaminate_texts=["t"], robots_agents=["GPTBot"])
    known = {str(path) for path in replace(options, judge="j").paths}
    named = {"status", "images", "copies", "captions", "robots.parquet"}
    assert known == {*(str(tmp_path / name) for name in named), *"odtj", "GPTBot"}
