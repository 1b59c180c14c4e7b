"""Rows of one key meet from all sides, stage by stage, on each engine, as in a dictionary."""

from pathlib import Path
from random import Random

import pytest

from runtime import buckets
from runtime import cogroup as sizes
from runtime.cogroup import Grouping, Places, Side, cogroup
from runtime.engine.local import Local
from runtime.engine.spark import Spark
from runtime.tallies import TaskResult
from tests.naive.cogroup import cogroup as naive_cogroup
from tests.simulator.engine import Engine, Session
from tests.simulator.machine import Machine
from tests.simulator.processes import Driver, Fault
from tests.support import cogroups
from tests.support.cogroups import SUMS, WORDS, WritePlaced, WriteSums

Words = list[list[tuple[str | None, int | None]]]


SPARK = pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.soak])


@pytest.fixture(scope="module", params=["here", "processes", "stand-in", SPARK])
def engine(request, tmp_path_factory):
    if request.param in ("here", "processes"):
        local = Local(1 if request.param == "here" else 2)
        yield local
        local.close()
    elif request.param == "stand-in":
        machine = Machine(folder := tmp_path_factory.mktemp("machine"), folder)
        driver = Driver([], Random(0), lambda aside: None)
        with machine.command(driver):
            again = {number: Fault(number, "again", 0, 0.0) for number in (0, 9)}
            yield Spark(Session(Engine(machine, driver, again, cores=2, tries=1)))
    else:
        yield Spark(request.getfixturevalue("spark"))


def words(seed: int, files: int, rows: int) -> Words:
    chance, known = Random(seed), ["the", "猫", "", None, *(f"word {number}" for number in range(30))]
    return [[(chance.choice(known), chance.choice([None, *range(9)])) for _ in range(rows)] for _ in range(files)]


SIDES: dict[str, list[Words]] = {
    "no files": [[], []],
    "no rows": [[[], []], [[]]],
    "one row": [[[]], [[(None, None)]]],
    "one key": [[[("the", 1)] * 400, [("the", None)] * 9], [[("the", 3)] * 50]],
    "many sides": [words(side, side % 3, 7 * side) for side in range(20)],
    "few and many": [words(1, 1, 500), words(2, 40, 3)],
}


def naive_sums(sides: list[Words]) -> list[str]:
    """Return the lines that WriteSums writes for the sums of all words."""

    def sum_words(word, rows):
        own = sorted({f"{side}{'p' * (side == 1)}" for side, *_ in rows})
        yield (sum(number or 0 for *_, number in rows), f"{word}@{' '.join(own)}")

    def lines(value, rows):
        yield (f"{value}: {', '.join(sorted(word for _, word in rows))}",)

    return [line for (line,) in naive_cogroup(sides, [(lambda row: row[1], sum_words), (lambda row: row[0], lines)])]


def summed(engine, sides: list[Words], folder: Path, rows: float | None) -> tuple[list[str], TaskResult]:
    """Return the lines that two stages write, and the tallies; the files of side 1 are packed before."""
    folder.mkdir()
    reads = [cogroups.read_packed if number == 1 else cogroups.read for number in range(len(sides))]
    taken = [Side(files, read, rows) for files, read in zip(sides, reads, strict=True)]
    stages = (
        Grouping(WORDS, cogroups.keys_of_words, cogroups.sum_words, 16, 4),
        Grouping(SUMS, cogroups.keys_of_sums, WriteSums(folder), 8, 8),
    )
    tallies = cogroup(engine, taken, *stages)
    assert len([*folder.iterdir()]) == 8  # each task of the last stage is called, also without rows
    return sorted(line for path in folder.iterdir() for line in path.read_text("utf-8").splitlines()), tallies


@pytest.mark.parametrize("rows", [None, 10, 1e9])
@pytest.mark.parametrize("sides", SIDES)
def test_rows_of_all_sides_meet_as_in_a_dictionary(engine, tmp_path, sides, rows):
    lines, tallies = summed(engine, SIDES[sides], tmp_path / "sums", rows)
    assert lines == naive_sums(SIDES[sides])
    assert tallies["read"] == sum(len(file) for side in SIDES[sides] for file in side)
    assert tallies["words"] == len({word for side in SIDES[sides] for file in side for word, _ in file})


@pytest.mark.spark
def test_rows_of_all_sides_meet_in_a_session_of_spark(spark, tmp_path):
    lines, _ = summed(Spark(spark), SIDES["few and many"], tmp_path / "sums", None)
    assert lines == naive_sums(SIDES["few and many"])


@pytest.mark.parametrize("engine", ["here", "stand-in"], indirect=True)  # whose tasks run in this process
@pytest.mark.parametrize("sides", SIDES)
def test_small_memory_changes_nothing(engine, tmp_path, monkeypatch, sides):
    for name, number in (("BUCKET_BYTES", 300), ("MIN_BUCKET_BYTES", 50), ("WAITING_BYTES", 100), ("STORE_BYTES", 10)):
        monkeypatch.setattr(buckets, name, number)
    monkeypatch.setattr(sizes, "MOST_BUCKETS", 4)
    assert summed(engine, SIDES[sides], tmp_path / "sums", 1e9)[0] == naive_sums(SIDES[sides])


def test_a_side_combines_the_rows_of_a_task(engine, tmp_path):
    side = Side(SIDES["few and many"][1], cogroups.read, 1, cogroups.twice)
    cogroup(
        engine, [side], Grouping(WORDS, cogroups.keys_of_words, cogroups.sum_words, 1, 1), last := _writing(tmp_path)
    )
    doubled = [[[(word, 2 * (number or 0)) for word, number in file] for file in SIDES["few and many"][1]]]
    assert sorted((tmp_path / "00000").read_text("utf-8").splitlines()) == naive_sums(doubled)
    assert last.tasks == 1


def _writing(folder: Path) -> Grouping:
    return Grouping(SUMS, cogroups.keys_of_sums, WriteSums(folder), 1, 1)


@pytest.mark.parametrize("most_tasks", [1, 2, 8])
def test_results_go_to_the_files_of_one_side_in_the_order_of_rows(engine, tmp_path, most_tasks):
    chance = Random(most_tasks)
    numbers = [number for number in chance.sample(range(500), 300) if number % 5 != 3]
    files = [[("a", number) for number in numbers[begin::7]] for begin in range(7)]
    places = Places.of([100] * 5, most_tasks)
    stage = Grouping(WORDS, cogroups.keys_of_words, cogroups.place, 4, 2)
    tallies = cogroup(
        engine, [Side(files, cogroups.read, 300)], stage, places.stage(cogroups.PLACED, WritePlaced(tmp_path))
    )
    assert tallies["placed"] == len(numbers)
    for file in range(5):
        rows = [(number // 5, number) for number in sorted(numbers) if number % 5 == file]
        assert (tmp_path / f"{file:05d}").read_text("utf-8") == str(rows)
