"""The command line that makes a folder of each kind.

Run as a program, this module makes the kinds that have no command, and those whose command needs a model.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from curation import Results, captions, clusters, online
from metadata import Entries
from tests.support import captions as of_gate
from tests.support import own_tables
from tests.support.cluster import BIN
from tests.support.cluster_tables import cluster_rows, write_table
from tests.support.embeddings import embeddings_of, write_embeddings
from tests.support.finished_run import finished_run
from tests.support.gate_inputs import write_inputs
from tests.support.kept_work import Inputs

NEW = "--new"  # a flag that names the output in place of --output
CALL = "python -m tests.support.kinds"
GATED = (
    "clip-curate --input {gate}/pairs.parquet --metadata {gate_entries} --english-threshold 20 --images {gate}/images"
)
RUNS = {
    "run": "clip-curate --input {sample}/crawl {sample}/pairs --metadata {sample_entries} --english-threshold 20",
    "gate": f"{GATED} --set rows_per_file=40 --set max_shared_uids=1 --status {{gate}}/status --keep score>0 --policy "
    "recommended max_images_per_text:15 max_images_per_domain:9 --robots {gate}/robots.parquet --same-image sha256 "
    "--same-meaning {gate}/copies --match-captions {gate}/captions --keep-removed 0.5",
    "near copies": f"{GATED} --same-image phash:4",
}
EXPORTS = {
    "huggingface": "clip-export {run} --format huggingface --captions {captions}",
    "datacomp": "clip-export {run} --format datacomp",
    "metaclip": "clip-export {run} --format metaclip",
    "metaclip --tars": "clip-export {run} --format metaclip --tars {tars}",
    "webdataset": "clip-export {run} --format webdataset --tars {tars}",
    "card": "clip-export {run} --format card",
    "summary": "clip-export {run} --format summary --answers {answers}",
}
OTHERS = {
    "metadata": "clip-metadata --wordnet {sample}/wordnet --wikipedia {sample}/wikipedia --languages he hi ja",
    "selection": "clip-find {run} --language en --matched",
    "removal": "clip-remove {run} --exclude {list}",
    "hashes": "clip-hash --input {pictures}",
    "clusters": "clip-cluster {run} --embeddings {vectors} --fine 3 --coarse 2 --same-meaning 0.9",
    "alignment": "clip-align {run} --classes en={list}",
    "comparison": "clip-compare {other_run} {run}",
    "new rows": "clip-compare {other_run} {run} --new",
    "new rows of a table": "clip-compare {other_run} {captions} --new",
}
CALLED = {
    "scores": f"{CALL} scores {{pictures}}",
    "embeddings": f"{CALL} embeddings {{run}}",
    "index": f"{CALL} index {{tars}} {{run}}",
}
KEYED = {  # files without a descriptor, which clip-verify does not know
    "captions.arrow": f"{CALL} captions {{captions}} {{run}}",
    "clusters.arrow": f"{CALL} clusters {{cluster_table}} {{run}}",
}
COPIED = {  # by Spark alone
    "copied table": "clip-curate --input table:parquet.`{sample}/pairs` --metadata {sample_entries}"
    " --english-threshold 20"
}
KINDS = {**RUNS, **EXPORTS, **OTHERS, **CALLED, **KEYED}
AT_URLS = [*RUNS, *EXPORTS, *(kind for kind in OTHERS if kind != "metadata")]
ON_SPARK = [*RUNS, *COPIED, "huggingface", "metaclip --tars", "webdataset", *OTHERS]


def write_inputs_of_kinds(folder: Path, sample: Path) -> dict[str, Path]:
    """Write what the command lines name; return the paths by these names."""
    made = Inputs(folder / "made")
    uids = [row["uid"] for row in made.run.images]
    write_embeddings(folder / "vectors", embeddings_of(uids), 3, pa.list_(pa.float32()))
    lists = {path.stem: path.read_text("utf-8").splitlines() for path in sorted((sample / "entries").glob("*.txt"))}
    Entries.build(lists).save(folder / "sample_entries")
    of_gate.ENTRIES.save(folder / "gate_entries")
    (folder / "gate").mkdir()
    write_inputs(folder / "gate")
    (folder / "list").write_text("".join(f"{uid}\n" for uid in uids[::7]))
    (folder / "answers").write_text("{}")
    write_table(folder / "cluster_table", cluster_rows(uids))
    finished_run(folder / "other_run", made.run.images[::2], t=3)
    own = {path.name: path for path in folder.iterdir()}
    of_made = {"run": made.run.path, "tars": made.tars, "captions": made.captions, "pictures": made.pictures}
    return {**own, **of_made, "sample": sample}


def command_line(kind: str, inputs: dict[str, Path], output: object, *more: str) -> list[str]:
    """Return the command that makes a folder of a kind."""
    name, *words = {**KINDS, **COPIED}[kind].split()
    line = [str(BIN / name), *(word.format(**inputs) for word in words)]
    if name == "python":
        return [*line, *more, str(output)]
    own = [] if words[-1] == NEW else ["--output"]
    return [*line, *own, str(output), *more]


def make(kind: str, *paths: str) -> None:
    """Make a folder of a kind of CALLED or KEYED."""
    *given, last = map(Path, paths)
    if kind == "scores":
        own_tables.write_scores(given[0], last)
    elif kind == "embeddings":
        own_tables.write_embeddings(given[0], last, pytest.MonkeyPatch())
    elif kind == "index":
        online.build(given[:1], given[1], last)
    else:
        build = captions.build if kind == "captions" else clusters.build
        build(given[:1], Results.open(given[1]), last / f"{kind}.arrow")


if __name__ == "__main__":
    make(*sys.argv[1:])
