"""Write what curate writes for images that are matched already, without Spark."""

from hashlib import md5
from pathlib import Path

import pyarrow as pa

from curation.balancing.sampling import kept_by_language, sample_batch, texts_by_language
from curation.balancing.thresholds import EntryCounts, Thresholds, rates_of
from curation.config import CurationConfig
from curation.report.facts import Run
from curation.run.output_folder import Output
from curation.schemas import CURATED, MATCHED
from metadata import Entries
from runtime.arrow import parts
from runtime.storage.parquet import part_writer
from runtime.tallies import TaskResult

DESCRIPTION = {"inputs": [], "columns": {}, "rules": "unicode", "model": {"name": "none", "digest": ""}}


def write_run(folder, entries: Entries, images, t: int, seed: int = 0, files: int = 2) -> Path:
    """Write what curate writes for images that are matched already, without Spark; texts are (text, language, ids)."""
    output = Output.claim(folder, DESCRIPTION | {"metadata": entries.digest})
    batch = matched_batch(images)
    matched = matched_counts(images) + write_parts(output.parts.begin("matched"), batch, MATCHED, files)
    output.finish_matched(matched)
    texts = parts(batch["candidates"])[0]
    counts = EntryCounts.zeros(len(entries), entries.digest).count(texts.field("entries"))
    thresholds = Thresholds.of(counts.by_language(entries.languages), t)
    rates = rates_of(counts.values, entries.languages, thresholds)
    kept = sample_batch(batch, rates, seed)
    output.finish("curated", write_parts(output.parts.begin("curated"), kept, CURATED, 1).files)
    config = CurationConfig(english_threshold=t, seed=seed)
    curated = curated_counts(batch, kept, rates)
    kept_counts = EntryCounts.zeros(len(entries), entries.digest).count(kept["entries"])
    run = Run(config, output.description, entries, counts, thresholds, matched, curated, kept_counts)
    output.write_results(run, rates, [])
    output.remove_work()
    return output.path


def matched_batch(images) -> pa.RecordBatch:
    rows = [
        {
            "uid": md5(str(number).encode()).hexdigest(),
            "url": f"http://a.example/{number}.jpg",
            "page_url": "http://a.example/",
            "candidates": [
                {"text": text, "kind": "alt", "language": language, "lid_score": 0.9, "entries": ids}
                for text, language, ids in texts
            ],
        }
        for number, texts in enumerate(images)
    ]
    return pa.RecordBatch.from_pylist(rows, MATCHED)


def write_parts(folder: Path, batch: pa.RecordBatch, schema: pa.Schema, files: int) -> TaskResult:
    result = TaskResult()
    size = -(-batch.num_rows // files)
    for number in range(files):
        with part_writer(folder / f"{number:05d}.parquet", schema, 1000) as writer:
            writer.write(batch.slice(number * size, size))
        result.files[f"{number:05d}.parquet"] = writer.checksum
    return result


def matched_counts(images) -> TaskResult:
    tally = TaskResult()
    tally.add("images", len(images))
    for _, language, _ in (text for texts in images for text in texts):
        for name, value in (("texts", 1), ("identified", 1), ("matched", 1), ("score", 0.9)):
            tally.add(name, value, language=language)
    return tally


def curated_counts(batch: pa.RecordBatch, kept: pa.RecordBatch, rates) -> TaskResult:
    tally = TaskResult()
    tally.add("images", batch.num_rows)
    for rows, name in ((texts_by_language(batch, rates), "expected"), (kept_by_language(kept), "kept")):
        for row in rows.to_pylist():
            tally.add(name, row[name], language=row["language"])
    return tally
