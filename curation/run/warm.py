"""Call each kernel of a run once on made-up data, so that Numba compiles and caches it: see `runtime.warming`."""

import gzip
import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from curation.balancing import sampling
from curation.balancing.thresholds import EntryCounts, Thresholds
from curation.config import WITNESSES
from curation.exclusion import Exclusion
from curation.images.combining import combine
from curation.images.grouping import group_images, keyed
from curation.inputs import files
from curation.inputs.candidates import candidates
from curation.inputs.crawl import html_pages
from curation.kernels.markup import find_license
from curation.kernels.warc_heads import HEAD_COLUMNS, read_heads
from curation.language.engines import Identifier
from curation.language.label_decisions import LanguageRules, judge
from curation.matching.matcher import Matcher
from curation.schemas import FOUND, PAIRS
from runtime.arrow import parts
from runtime.folders.stamps import Input
from runtime.storage.scratch import scratch
from runtime.tallies import TaskResult
from runtime.warming import Call

TEXTS = ["a cat, a dog", "ein Häuschen", "猫と犬"]


def warm_matching() -> None:
    """Warm the kernels that find entries: build and save a matcher, then open and use it, as workers do."""
    with scratch() as folder:
        path = folder / "matcher"
        Matcher.build(["cat", "a dog", "猫"]).save(path)
        Matcher.open(path).find(pa.array(TEXTS))


def read_crawl() -> None:
    """Warm the kernels that WAT and WARC files share, which find the heads of records and licences."""
    data = np.frombuffer(b" ", np.uint8)
    none = np.zeros(0, np.int64)
    read_heads(data, none, none, np.zeros((0, HEAD_COLUMNS), np.int64))
    find_license(data, 0, len(data))


def read_wat() -> None:
    """Warm the kernels that read WAT files."""
    link = {"path": "IMG@/src", "url": r"/a.jpg", "alt": TEXTS[0]}
    html = {"Head": {"Title": "t"}, "Links": [{"path": "A@/href", "url": "/", "rel": "license"}, link]}
    response = {"HTTP-Response-Metadata": {"HTML-Metadata": html}}
    header = {"WARC-Type": "response", "WARC-Target-URI": "http://a.example/b"}
    envelope = {"Payload-Metadata": response, "WARC-Header-Metadata": header}
    body = json.dumps({"Container": {}, "Envelope": envelope}, separators=(",", ":")).replace("/", r"\/").encode()
    head = f"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with scratch() as folder:
        path = folder / "a.warc.wat.gz"
        path.write_bytes(gzip.compress(head + body + b"\r\n\r\n"))
        for source in files.find([str(path)]):
            list(files.read(source))


def read_page() -> None:
    """Warm the kernels that find images in HTML."""
    html_pages.elements(b"<img src=/a.jpg alt=x>")


def warm_tables() -> None:
    """Warm the kernels that read tables and look rows up in exclusion lists."""
    with scratch() as folder:
        path = folder / "a.jsonl"
        path.write_text("".join(json.dumps({"url": f"http://a.example/{text}", "text": text}) + "\n" for text in TEXTS))
        excluded = folder / "list.txt"
        excluded.write_text("other.example\n")
        exclusion = Exclusion.read([str(excluded)])
        exclusion.save(folder / "exclusion")
        for source in files.find([str(path)]):
            list(Exclusion.open(folder / "exclusion").out_of(files.read(source), TaskResult()))


def identify_languages() -> None:
    """Warm the kernels that identify languages."""
    texts = pa.array(TEXTS, pa.large_string())
    judge(texts, *Identifier.open().predict(texts), LanguageRules(witnesses=WITNESSES))


def group_and_sample() -> None:
    """Warm the kernels that group pairs by image, count entries, and sample."""
    urls = [f"http://a.example/{k // 2}" for k in range(len(TEXTS))]
    rows = combine(keyed(candidates({"url": urls, "text": TEXTS, "kind": ["alt"] * len(TEXTS)})), 2, TaskResult())
    matches = [pa.array(["en"] * len(rows)), pa.array([1.0] * len(rows), pa.float32()), pa.array([[0, 1]] * len(rows))]
    columns = [column.cast(field.type) for column, field in zip(matches, FOUND, strict=True)]
    columns.append(pa.nulls(len(rows), pa.string()))
    matched = group_images(pa.RecordBatch.from_arrays([*rows.columns, *columns], schema=PAIRS), TaskResult())
    counts = EntryCounts.zeros(2, "")
    counts.count(parts(matched["candidates"])[0].field("entries"))
    counts.add_seen(counts.seen())
    rates = np.full((2, 2), 0.5, np.float32)
    rates.flags.writeable = False  # Workers map rates from a file, so theirs are also read-only.
    sampling.kept_probabilities(matched, rates)
    sampling.kept_probabilities(matched, rates[0])
    sampling.sample_batch(matched, rates[0], 0)
    sampling.texts_by_language(matched, rates[0])
    thresholds = [Thresholds(0.5, {"en": 1})]
    sampling.CountedTexts.of(matched, np.ones(2, np.int64), {"en": slice(0, 2)}).expected_sizes(thresholds)


# Each call has the number of kernels that only it compiles; the longest calls begin first.
CALLS: dict[Call, int] = {warm_matching: 14, identify_languages: 11, warm_tables: 7, group_and_sample: 12}
CRAWLS: dict[str, dict[Call, int]] = {  # format → calls
    "wat": {read_wat: 29, read_crawl: 3},
    "warc": {read_page: 24, read_crawl: 3},
}
ALL = CRAWLS["wat"] | CALLS | CRAWLS["warc"]


def needed(inputs: Iterable[Input]) -> dict[Call, int]:
    """Return the functions to call to warm all kernels of a run over these inputs, and how many kernels each warms."""
    formats = {source.format for source in inputs}
    calls = dict(CALLS)
    for crawl in sorted(formats & set(CRAWLS)):
        calls |= CRAWLS[crawl]
    return calls
