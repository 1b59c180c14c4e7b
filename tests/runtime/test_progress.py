"""Progress: what a stage counts, what is shown of it, and how long it took."""

import time
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest

from runtime import progress
from runtime.progress import ConsoleProgress, Progress, advance, advancing, current


@pytest.fixture
def often(monkeypatch):
    """Lines at once, not every half minute."""
    monkeypatch.setattr(progress, "_LOOK_EVERY", 0.01)
    for name in ("_LINE_AFTER", "_LINE_EVERY"):
        monkeypatch.setattr(progress, name, 0.01)


def test_a_progress_shows_nothing_and_knows_times_and_counts(capsys):
    silent = Progress()
    with silent.stage("read", "tables"):
        advance(total=3)
        advance(done=2, rows=10)
    advance(rows=5)  # of no stage
    with silent.stage("write"):
        pass
    read, write = silent.times()
    assert read.pop("seconds") >= 0
    assert read == {"stage": "read", "unit": "tables", "items": 2, "rows": 10}
    assert (write["stage"], write["rows"]) == ("write", 0)
    assert capsys.readouterr() == ("", "")


def test_the_console_shows_items_rows_and_speed(often, capsys):
    shown = ""
    with ConsoleProgress().stage("read", "tables"):
        advance(total=3)
        advance(done=1, rows=12_345)
        while "read: 1/3 tables, 12,345 rows, " not in shown:
            time.sleep(0.01)
            shown += capsys.readouterr().err
    assert capsys.readouterr().err.splitlines()[-1].startswith("read: 12,345 rows, ")


def test_a_stage_that_fails_has_no_last_line(capsys):
    shown = ConsoleProgress()
    with pytest.raises(ZeroDivisionError), shown.stage("read"):
        1 / 0  # noqa: B018
    assert (capsys.readouterr().err, shown.times()) == ("", [])


def test_a_stage_adds_what_it_follows():
    silent = Progress()
    with silent.stage("read"):
        current().follow(lambda: Counter(done=1, rows=4, total=2))
        current().follow(lambda: Counter(done=2, rows=1, total=2))
        advance(rows=1)
        assert current().figures() == Counter(done=3, rows=6, total=4)
    current().follow(lambda: Counter(done=1))  # outside of any stage nobody looks
    assert silent.times()[0]["items"] == 3


def test_rows_of_batches_are_counted():
    silent = Progress()
    batch = pa.record_batch({"a": [1, 2, 3]})
    with silent.stage("read"):
        assert list(advancing([batch, batch.slice(0, 0), batch.slice(1)])) == [batch, batch.slice(0, 0), batch.slice(1)]
    assert silent.times()[0]["rows"] == 5


def test_a_stage_is_named_within_two_seconds_and_never_silent_for_five(monkeypatch):
    said, now = [], [1000.0]
    monkeypatch.setattr(progress.terminal, "show", lambda *_: said.append(now[0] - 1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    class Clock:
        def wait(self, seconds):
            now[0] += seconds
            return now[0] > 1180

    progress._watch(progress.StageProgress("read", begin=now[0]), Clock())
    first, *others = said
    assert first <= 2
    pauses = [after - before for before, after in pairwise(said)]
    assert max(pause for at, pause in zip(others, pauses, strict=True) if at <= 60) < 5
    assert min(pause for at, pause in zip(others, pauses, strict=True) if at > 100) >= 30
