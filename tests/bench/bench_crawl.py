"""The readers of crawl files beside what they cannot do without: MB/s of unpacked bytes on one core, medians.

Files are those of the folder of real data (SHARED_DATA), else one that is made up here. Each run measures all ways one
after the other, so that what else the machine does meets all of them.
"""

import gzip
import io
import json
import os
import statistics
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import orjson
from isal import isal_zlib
from selectolax.lexbor import LexborHTMLParser

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curation.inputs.crawl import html_pages, warc, wat
from curation.inputs.crawl import warc as warc_records
from curation.inputs.crawl.warc import gzip_members
from curation.inputs.tables.columns import TableOptions

RUNS = 9
DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


def packed(folder: str, ending: str) -> bytes:
    """Return the files of a folder one behind the other."""
    return b"".join(file.read_bytes() for file in sorted((DATA / folder).glob(f"*{ending}")))


def made_up_wat() -> bytes:
    """Return a WAT file of pages of which each has a hundred links, a fifth of them images."""
    links = [{"path": "A@/href", "url": f"https://example.org/{i}", "text": f"link {i}"} for i in range(80)]
    links += [{"path": "IMG@/src", "url": f"/images/{i}.jpg", "alt": f"picture {i} of many"} for i in range(20)]
    payload = {"HTTP-Response-Metadata": {"HTML-Metadata": {"Head": {}, "Links": links}}}
    header = {"WARC-Target-URI": "https://example.org/a/b"}
    tree = {"Envelope": {"Payload-Metadata": payload, "WARC-Header-Metadata": header}}
    block = json.dumps(tree, separators=(",", ":")).replace("/", r"\/").encode()
    head = b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: %d\r\n\r\n" % len(block)
    return gzip.compress(head + block + b"\r\n\r\n") * 2000


def cut(data: bytes) -> list[bytes]:
    """Return the gzip members of a file, packed."""
    found, at, view = [], 0, memoryview(data)
    while at < len(data):
        inflate = zlib.decompressobj(31)
        size = 0
        while not inflate.eof:
            size += len(inflate_input := view[at + size : at + size + (1 << 16)])
            inflate.decompress(inflate_input)
        size -= len(inflate.unused_data)
        found.append(data[at : at + size])
        at += size
    return found


def seconds(run) -> float:
    start = time.process_time()  # of this process alone, whatever else the machine does
    for _ in run():  # nothing is kept, so that no way pays for the memory
        pass
    return time.process_time() - start


def compare(name: str, size: int, ways: dict, first: str) -> None:
    """Print each way's speed, and how much faster it is than `first`."""
    times = {way: [] for way in ways}
    for _ in range(RUNS):
        for way, run in ways.items():
            times[way].append(seconds(run))
    for way, took in times.items():
        ratio = statistics.median(a / b for a, b in zip(times[first], took, strict=True))
        print(f"{name:5} {way:26} {size / 1e6 / statistics.median(took):6.0f} MB/s  {ratio:5.2f} x {first}")


def bench_wat() -> None:
    data = packed("wat", ".wat.gz") or made_up_wat()
    start = time.perf_counter()
    rows = sum(batch.num_rows for batch in wat.read(io.BytesIO(data), "", TableOptions(), Counter()))
    print(f"wat   ready after {time.perf_counter() - start:.1f} s (compiled now, or read from Numba's cache)")
    parts = cut(data)
    groups = warc_records.metadata(gzip_members(io.BytesIO(data), Counter()), Counter())
    blocks = [group.data[i:j] for group in groups for i, j in zip(group.begins, group.ends, strict=True)]
    size = sum(len(zlib.decompress(part, 31)) for part in parts)
    print(f"wat   {size / 1e6:.0f} MB in {len(parts)} members, {len(blocks)} records that are parsed, {rows} rows")
    ways = {
        "zlib": lambda: (zlib.decompressobj(31).decompress(part) for part in parts),
        "isal": lambda: (isal_zlib.decompressobj(31).decompress(part) for part in parts),
        "members": lambda: gzip_members(io.BytesIO(data), Counter()),
        "orjson of these records": lambda: (orjson.loads(block) for block in blocks),
        "read_wat": lambda: wat.read(io.BytesIO(data), "", TableOptions(), Counter()),
    }
    compare("wat", size, ways, "zlib")


def bench_warc() -> None:
    data = packed("warc", ".warc.gz")
    htmls, read = [], html_pages.elements

    def keeping(html):
        htmls.append(html)
        return read(html)

    html_pages.elements = keeping
    for _ in warc.read(io.BytesIO(data), "", TableOptions(), Counter()):
        pass
    html_pages.elements = read
    ways = {
        "selectolax": lambda: (LexborHTMLParser(html) for html in htmls),
        "elements": lambda: (read(html) for html in htmls),
        "members": lambda: gzip_members(io.BytesIO(data), Counter()),
        "read_warc": lambda: warc.read(io.BytesIO(data), "", TableOptions(), Counter()),
    }
    compare("warc", sum(map(len, htmls)), ways, "selectolax")


def main() -> None:
    bench_wat()
    if (DATA / "warc").is_dir():
        bench_warc()


if __name__ == "__main__":
    main()
