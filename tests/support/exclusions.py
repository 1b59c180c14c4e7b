"""Rows, lists of exclusions, and the reasons for which rows are excluded."""

from hashlib import md5

import pyarrow as pa

from curation.exclusion import Exclusion
from curation.inputs.candidates import candidates

URL = "https://img.example.org/a.jpg"
UID = md5(URL.encode()).hexdigest()
LISTED = {
    "uids": [UID, "own/1", "ABCDEF" + "0" * 26],
    "urls": ["https://example.net/é.jpg"],
    "domains": ["example.com", "bücher.example", "192.0.2.1"],
    "pages": ["news.example"],
    "regexes": [r"\.gif$", "/ads?/"],
}


def batch(rows: list[dict]) -> pa.RecordBatch:
    return candidates(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in ("url", "uid", "page_url")}
    )


def reasons(exclusion: Exclusion, rows: list[dict]) -> list[str | None]:
    return exclusion.excluded(batch(rows)).to_pylist()


def written(path, *lines: str) -> str:
    path.write_text("\n".join(lines), "utf-8")
    return str(path)
