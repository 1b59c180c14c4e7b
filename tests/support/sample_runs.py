"""Runs over the sample in the states that later runs meet, and what is in their output folders."""

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.run.output_folder import RUN_FOLDER
from runtime.folders.descriptor import DESCRIPTOR
from runtime.folders.stamps import Input, Stamps, digest_of
from runtime.storage.json_files import read_json, write_json
from runtime.storage.paths import files, make_folder, read_bytes, remove
from runtime.tallies import TaskResult


def curated(output: Path) -> dict[str, bytes]:
    return {path.name: read_bytes(path) for path in files(output / "curated")}


def facts(output: Path) -> dict:
    return json.loads(read_bytes(output / "run.json"))


def written(folder) -> dict[str, object]:
    """Return when each file of a folder of S3 was written."""
    return {info["name"].rpartition("/")[2]: info["LastModified"] for info in folder.fs.ls(folder.path, detail=True)}


def inputs_done(output: Path) -> list[str]:
    """Return the inputs of the finished tasks of pairs/, each as often as it is told."""
    return sorted(path for task in finished_tasks(output) for path in task["inputs"].values())


def finished_tasks(output: Path) -> list[dict]:
    """Return the tasks that the descriptor of pairs/ lists."""
    return (read_json(output / "pairs" / DESCRIPTOR) or {})["tasks"]["finished"]


def times(folder: Path, names: str = "*") -> dict[str, int]:
    """Return when each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob(names)}


def break_off(output: Path) -> list[Path]:
    """Leave of a finished run what one that breaks off in matching leaves.

    Return the files of its tasks in pairs/; the first is that of the task that is lost.
    """
    made_from = facts(output)["made_from"]
    write_json(make_folder(output / ".work") / "claim.json", RUN_FOLDER.claim(made_from))
    stated_by_digest = {digest_of(stated): stated for stated in made_from["inputs"]}
    pairs = output / "pairs"
    content = read_json(pairs / DESCRIPTOR) or {}
    tasks = content["tasks"]["finished"]
    for task in tasks[1:]:
        inputs = list[Input]()
        for digest in task["inputs"]:
            stated = stated_by_digest[digest]
            groups = stated["row_groups"]
            inputs.append(Input(**stated | {"row_groups": groups and tuple(groups)}))
        checksums = {name: content["checksums"][name] for name in task["files"]}
        result = TaskResult(task["counts"], checksums, task["facts"])
        Stamps(pairs, content["tasks"]["made_from"]).write(inputs, result)
    for path in (pairs / DESCRIPTOR, output / "run.json", output / "matched", output / "curated"):
        remove(path)
    return [pairs / name for task in tasks for name in task["files"]]


def unique_pairs(output: Path, folder: Path) -> list[Path]:
    """Write two tables with one text of each image that a run matched."""
    rows = [row | row.pop("candidates")[0] for row in pq.read_table(output / "matched").to_pylist()]
    table = pa.Table.from_pylist(rows).select(["url", "text", "page_url"])
    paths = [folder / "one.parquet", folder / "zwei ü.parquet"]
    pq.write_table(table.slice(0, len(table) // 3), paths[0])
    pq.write_table(table.slice(len(table) // 3), paths[1])
    return paths


def regroup(sample: Path, folder: Path, files: int) -> None:
    """Put the records of the sample's archives, and its rows of pairs, into as many files."""
    folder.mkdir()
    for path in sorted((sample / "crawl").iterdir()):
        ending = ".warc.wat.gz" if path.name.endswith(".wat.gz") else ".warc.gz"
        members = gzip_members(path.read_bytes())
        for number, some in enumerate(np.array_split(np.arange(len(members)), files)):
            name = folder / (f"{number:02}" + ("" if files == 1 else path.name[:-8]) + ending)
            with name.open("ab") as file:
                file.writelines(members[i] for i in some)
    table = pa.concat_tables(pq.read_table(path) for path in sorted((sample / "pairs").iterdir()))
    for number, some in enumerate(np.array_split(np.arange(len(table)), files)):
        pq.write_table(table.take(pa.array(some)), folder / f"{number:02}.parquet")


def gzip_members(data: bytes) -> list[bytes]:
    """Return the members of a gzip file, each as it is."""
    members = []
    while data:
        reader = zlib.decompressobj(wbits=31)
        reader.decompress(data)
        members.append(data[: len(data) - len(reader.unused_data)])
        data = reader.unused_data
    return members
