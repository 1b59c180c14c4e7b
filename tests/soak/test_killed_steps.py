"""Random processes of gates, exports, removals and builds of metadata are killed at random moments until one ends.

The bytes are those of a quiet one. A driver that lives ends well or in one sentence.
"""

import random
import shutil
import sys
import time
from contextlib import suppress
from hashlib import md5, sha256
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.soak.test_random_kills import MOST_KILLS, descendants
from tests.support.cluster import BIN, kill
from tests.support.faults import begin, curate_arguments, ended

pytestmark = [
    pytest.mark.soak,
    pytest.mark.usefixtures("afterwards"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
KILLS = 15  # of each step


@pytest.fixture(scope="module")
def tables(tmp_path_factory, sample) -> Path:
    """A run over the sample, and tables of its images: scores and hashes, captions, and a list of uids."""
    folder = tmp_path_factory.mktemp("tables")
    assert ended(begin(None, *curate_arguments(sample, folder / "run")))[0] == 0
    uids = pq.read_table(folder / "run" / "matched", columns=["uid"])["uid"].to_pylist()
    chance = np.random.default_rng(0)
    images = {
        "uid": uids,
        "score": chance.random(len(uids)),
        "sha256": [sha256(uid[:2].encode()).hexdigest() for uid in uids],
        "phash": [md5(uid[:3].encode()).hexdigest()[:16] for uid in uids],
    }
    pq.write_table(pa.table(images), folder / "images.parquet")
    pq.write_table(
        pa.table({"uid": uids, "caption": [f"a picture {uid}" for uid in uids]}), folder / "captions.parquet"
    )
    (folder / "list.txt").write_text("".join(f"{uid}\n" for uid in uids[::7]))
    return folder


def command_of(step: str, tables: Path, sample: Path) -> list:
    """Return the command line of a step but for its output."""
    gate = [
        *("--images", tables / "images.parquet", "--keep", "score > 0.1", "--policy", "recommended"),
        *("--keep-removed", "0.5", "--same-image"),
    ]
    return {
        "equal hashes": [*curate_arguments(sample, "")[:-2], *gate, "sha256"],
        "near copies": [*curate_arguments(sample, "")[:-2], *gate, "phash:4"],
        "export": [BIN / "clip-export", tables / "run", *"--format huggingface --captions".split(),
                   tables / "captions.parquet"],
        "removal": [BIN / "clip-remove", tables / "run", "--exclude", tables / "list.txt"],
        "metadata": ["jobs/build_metadata.py", "--wordnet", sample / "wordnet", "--wikipedia", sample / "wikipedia",
                     "--pageviews", sample / "pageviews"],
    }[step]  # fmt: skip


@pytest.mark.parametrize("step", ["equal hashes", "near copies", "export", "removal", "metadata"])
def test_kills_of_a_step_cost_no_byte(step, tables, sample, tmp_path):
    chance, command = random.Random(f"kills/{step}"), command_of(step, tables, sample)

    def start(output: Path):
        return begin(None, *command, "--cores", 2, "--output", output)

    began = time.monotonic()
    assert ended(start(tmp_path / "quiet"))[0] == 0
    quiet, whole = time.monotonic() - began, written(tmp_path / "quiet")
    assert sum(map(len, whole.values())) > 10_000
    kills, statuses, output = 0, [], tmp_path / "out"
    while kills < KILLS:
        for attempt in count():
            job = start(output)
            if attempt < MOST_KILLS:
                time.sleep(chance.uniform(0, quiet))
                if job.poll() is None:
                    with suppress(ProcessLookupError):
                        kill(chance.choice(descendants(job.pid)))
                        kills += 1
            status, last = ended(job)
            statuses.append(status)
            if status == 0:
                break
            assert attempt < 10, last
            assert status < 0 or (status in (1, 2) and last.startswith("clip-")), (status, last)
        assert written(output) == whole
        shutil.rmtree(output)
    print(f"{step}: {kills} kills, statuses {statuses}, {time.monotonic() - began:.0f} s")


def written(output: Path) -> dict[str, bytes]:
    """Return the files of a folder by their paths, but for that of times."""
    paths = [path for path in output.rglob("*") if path.is_file() and path.name != "times.json"]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths}
