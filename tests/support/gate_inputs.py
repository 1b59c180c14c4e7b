"""Pairs, and tables of their images, for a gate that has all steps; how a gate is run, and what it leaves."""

import json
from hashlib import md5
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation import CurationConfig, Options, Results, curate
from curation.image_ids import uids
from curation.plugins.gate.options import GateOptions
from tests.support.captions import ENTRIES
from tests.support.downloaded import all_bytes
from tests.support.gates import write_table

STEPS = ["captions", "hosts", "conditions", "copies", "meaning", "domains"]
TEXTS = ("the dog", "a photo of a cat", "the photo", "ein hund im garten", "犬と猫の写真", "zzz")
OF_TIME = ("made", "checksums", "checksum")  # of run.json: when it was written, and sums of files that say when
CONFIG = CurationConfig(english_threshold=20, rows_per_file=40, max_shared_uids=1)


def write_inputs(folder: Path) -> None:
    """Write pairs, and what `gate_of` names."""
    urls = [f"http://{'abc'[number % 3]}.example/{number}.jpg" for number in range(120)]
    texts = [TEXTS[number % 5] for number in range(len(urls))]
    pq.write_table(pa.table({"url": urls, "text": texts}), folder / "pairs.parquet")
    ids = uids(pa.array(urls)).to_pylist()
    status = [{"uid": uid, "status": "failed" if n % 20 == 0 else "success"} for n, uid in enumerate(ids)]
    write_table(status, folder / "status")
    hashes = [md5(uid[:1].encode()).hexdigest() for uid in ids]
    scores = [{"uid": uid, "score": n % 10, "sha256": hashes[n], "phash": hashes[n][:16]} for n, uid in enumerate(ids)]
    write_table([row | {"sha256": row["sha256"] if n % 4 else row["uid"]} for n, row in enumerate(scores)],
                folder / "images")  # fmt: skip
    captions = [{"uid": uid, "caption": f"{TEXTS[n % 6]} {n}"} for n, uid in enumerate(ids[::2])]
    write_table(captions, folder / "captions")
    write_table([{"uid": one, "copy_of": other} for one, other in zip(ids[1::9], ids[2::9], strict=False)],
                folder / "copies")  # fmt: skip
    robots = ["User-agent: *\nDisallow: /1"]
    pq.write_table(pa.table({"host": ["a.example"], "text": robots}), folder / "robots.parquet")


def gate_of(folder: Path, **more: Any) -> GateOptions:
    """Return the options of a gate with all STEPS."""
    given: dict[str, Any] = {
        "status": [folder / "status"],
        "images": [[folder / "images"]],
        "keep": "score > 0",
        "policy": ["recommended", "max_images_per_text:15", "max_images_per_domain:9"],
        "robots": [folder / "robots.parquet"],
        "same_image": "sha256",
        "same_meaning": [folder / "copies"],
        "match_captions": [folder / "captions"],
        "keep_removed": 0.5,
    }
    return GateOptions(**given | more)


def run_gate(
    folder: Path,
    output: Path,
    config: CurationConfig = CONFIG,
    engine: Any = None,
    also: Path | None = None,
    overwrite: bool = False,
    **more: Any,
) -> Results:
    """Curate the pairs in a folder, and `also` those of another file, with the gate of `gate_of`."""
    options = Options(gate=gate_of(folder, **more), overwrite=overwrite)
    inputs = [folder / "pairs.parquet", *([also] if also else [])]
    return curate(inputs, output, metadata=ENTRIES, config=config, options=options, engine=engine)


def left_by(output: Path) -> dict[str, Any]:
    """Return the bytes of a finished run's files by name, but for those that say when; of run.json, its facts."""
    found: dict[str, Any] = all_bytes(output)
    facts = json.loads(found.pop("run.json"))
    found["facts"] = {name: value for name, value in facts.items() if name not in OF_TIME}
    for name in ("times.json", "report.html"):
        del found[name]
    return found
