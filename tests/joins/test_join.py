"""Tables are joined to the images of files by uid, as a dictionary does it, in parts of any size."""

from collections.abc import Iterator
from functools import partial
from hashlib import md5
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from curation import online
from curation.image_ids import KEY, key_columns
from curation.plugins.joins import uid_join as join
from curation.plugins.joins.uid_join import Images, Join, Table, first
from runtime import buckets
from runtime.cogroup import PLACE, RowStream
from runtime.engine.local import Local
from runtime.engine.spark import Spark
from runtime.errors import InputError
from runtime.tallies import Tallies, TaskResult
from tests.simulator.engine import Engine, Session
from tests.simulator.machine import Machine
from tests.simulator.processes import Driver, Fault
from tests.support.online_run import images, write_run, write_tar

NUMBER, TEXT, FLAG = pa.field("number", pa.int64()), pa.field("text", pa.string()), pa.field("flag", pa.bool_())


@pytest.fixture(scope="module", params=["stand-in", "processes"])
def engine(request, tmp_path_factory):
    if request.param != "stand-in":
        yield (local := Local(2))
        local.close()
        return
    machine = Machine(folder := tmp_path_factory.mktemp("machine"), folder)
    driver = Driver([], Random(0), lambda aside: None)
    with machine.command(driver):
        again = {number: Fault(number, "again", 0, 0.0) for number in (0, 9)}
        yield Spark(Session(Engine(machine, driver, again, cores=2, tries=1)))


def uid_of(number: int) -> str:
    """An MD5; or, of some, a count, whose first half others have, or no hexadecimal digits."""
    return [md5(b"%d" % number).hexdigest(), f"{number:032x}", f"画像 {number}"][number % 3]


def read_places(number: int, file: list[int | None], _: Tallies) -> Iterator[pa.RecordBatch]:
    for begin in range(0, len(file), 7):
        rows = [row for row in range(begin, min(begin + 7, len(file))) if file[row] is not None]
        columns = [pa.array([number] * len(rows), pa.int32()), pa.array(rows, pa.int64())]
        keys = key_columns(pa.array([uid_of(file[row]) for row in rows], pa.string()))
        yield pa.RecordBatch.from_arrays([*keys, *columns], schema=pa.schema([*KEY, *PLACE]))


def read_table(file: list[tuple], fields: list[pa.Field]) -> Iterator[pa.RecordBatch]:
    for begin in range(0, len(file), 5):
        uids, *columns = zip(*file[begin : begin + 5], strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
        keys = key_columns(pa.array([*map(uid_of, uids)]))
        yield pa.RecordBatch.from_arrays([*keys, *arrays], schema=pa.schema([*KEY, *fields]))


def largest(rows: pa.RecordBatch, images: np.ndarray) -> np.ndarray:
    order = np.lexsort((-rows["number"].to_numpy(), images))
    return order[first(rows, images[order])]


def write(number: int, stream: RowStream, sizes: list[int], folder: Path) -> TaskResult:
    lines, rows = [], 0
    for begin in range(0, sizes[number], 4):
        found = stream.take(number, begin, begin + 4)
        for row in found.to_pylist() if found else ():
            lines.append(f"{row['row']} {row['text']} {row['flag']}")
            rows += 1
    (folder / str(number)).write_text("\n".join(lines), "utf-8")
    return TaskResult([{"name": "rows", "item": None, "language": None, "value": rows}])


def count(rows: pa.RecordBatch) -> TaskResult:
    found = {name: rows.num_rows - rows[name].null_count for name in ("text", "flag")}
    return TaskResult({"name": name, "item": None, "language": None, "value": value} for name, value in found.items())


@pytest.mark.slow
@pytest.mark.parametrize("is_small", [False, True])
def test_files_get_what_a_dictionary_gives_them(engine, tmp_path, monkeypatch, is_small):
    chance = Random(is_small)
    files = [[chance.choice([*range(90), None]) for _ in range(chance.randrange(40))] for _ in range(9)]
    files[4], files[-1] = [], [7] * 30
    texts = [[(uid, n := chance.randrange(10**9), f"text {n}") for uid in chance.sample(range(100), 40)] for _ in "ab"]
    flags = [[(uid, uid % 2 == 0) for uid in range(30, 60)]]
    if is_small and isinstance(engine, Spark):  # whose tasks run here
        monkeypatch.setattr(buckets, "BUCKET_BYTES", 400)
        for name, rows in (("BUCKET_ROWS", 16), ("MOST_BUCKETS", 4), ("MIN_BLOCK_ROWS", 8)):
            monkeypatch.setattr(buckets, name, rows)
        monkeypatch.setattr(join, "FILE_ROWS", 1 << 30)
        monkeypatch.setattr(join, "MIN_TASKS_PER_CORE", 1)
        monkeypatch.setattr(join, "FOUND_ROWS", 3)
    sizes = [*map(len, files)]
    tables = [
        Table(texts, 80, partial(read_table, fields=[NUMBER, TEXT]), largest, [TEXT], [NUMBER]),
        Table(flags, 30, partial(read_table, fields=[FLAG]), first, [FLAG]),
    ]
    joined = Join(Images(files, sizes, read_places), tables)
    best = {uid: text for uid, _, text in sorted(row for file in texts for row in file)}
    best = {uid: max(row[1:] for file in texts for row in file if row[0] == uid)[1] for uid in best}
    flag_of = dict(flags[0])
    found = [
        [(row, best.get(uid), flag_of.get(uid)) for row, uid in enumerate(file) if uid in best or uid in flag_of]
        for file in files
    ]
    tallies = joined.write(engine, partial(write, sizes=sizes, folder=tmp_path))
    assert [(tmp_path / str(number)).read_text("utf-8") for number in range(len(files))] == [
        "\n".join(f"{row} {text} {flag}" for row, text, flag in rows) for rows in found
    ]
    assert tallies["rows"] == sum(map(len, found))
    tallies = joined.count(engine, count)
    assert [tallies[name] for name in ("text", "flag")] == [
        sum(row[at] is not None for rows in found for row in rows) for at in (1, 2)
    ]


def test_what_a_task_refuses_is_refused_by_the_call(engine, tmp_path):
    rows = images(8)
    write_tar(tmp_path / "a.tar", rows)
    write_run(tmp_path / "run", [*rows, rows[1]])
    with pytest.raises(InputError, match=f"^the run has several images with the uid {rows[1]['uid']}; pass "):
        online.build(tmp_path / "a.tar", tmp_path / "run", tmp_path / "index", engine=engine)
    assert not (tmp_path / "index").exists()
