"""Files on servers that fail now and then, and what is read of them."""

import json
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs.files import read
from runtime.storage import remote
from tests.support.http_server import Answer

PAGES = [f"https://example.org/{i}.jpg" for i in range(4000)]
LINES = "".join(
    json.dumps({"url": url, "text": f"ein Hund 犬 {i}"}, ensure_ascii=False) + "\n" for i, url in enumerate(PAGES)
).encode()
SMALL = remote.Reading(10_000, ahead=True)


@dataclass
class Ranged:
    """Answers as a server of files does; `failures` come first, one for each GET from `begin` of the file on."""

    body: bytes
    failures: list = field(default_factory=list)
    begin: int = 0
    headers: dict = field(default_factory=lambda: {"ETag": '"1"'})

    def __call__(self, request):
        if request.method == "HEAD":
            return Answer(200, self.body, self.headers)
        first, _, last = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        first, last = int(first), min(int(last or len(self.body)), len(self.body) - 1)
        if self.failures and first >= self.begin:
            return self.failures.pop(0)
        ranges = {"Content-Range": f"bytes {first}-{last}/{len(self.body)}"}
        return Answer(206, self.body[first : last + 1], self.headers | ranges)


CUT = Answer(206, b"x" * 5000, {"Content-Range": "bytes 20000-29999/*"}, length=10_000)  # the connection ends early


def contents(source):
    """Return the texts of an input, and its tally."""
    tally = Counter()
    return [text for batch in read(source, tally=tally) for text in batch["text"].to_pylist()], dict(+tally)


def parquet(rows=4000, **writing):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"url": PAGES[:rows], "text": [f"犬 {i}" for i in range(rows)]}), sink, **writing)
    return sink.getvalue().to_pybytes()


def forbidden():
    raise AssertionError("failed although it did not")
