"""Score the images of tars, tar by tar, into a folder of Parquet files; a rerun continues after an interruption."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.inputs.files import Input
from curation.run.file_per_input import Claim, Filled, fill, write_part
from curation.run.ledger import Ledger, Stamps
from curation.run.results import Results
from curation.scoring.reading import Batch, Tar, batches, find, matched, threads, with_own_texts, with_texts_of
from curation.scoring.scorer import Scorer
from curation.scoring.summary import summary
from curation.tars.damage import MOST, TALLY, require_sound
from curation.tars.pictures import OK, strict_about_size
from curation.tars.samples import fault_of
from runtime.engine.choice import Given, engine_of
from runtime.progress import Progress, advance
from runtime.storage.output_folders import require_apart
from runtime.tallies import Tallies

VERSION = 1
NOT_FINITE = "not_finite"  # half precision can overflow; and to Spark a NaN is above every cut
# One row per image of a tar, in its order.
SCORED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("key", pa.string()),  # of the sample in its tar
        pa.field("clip_score", pa.float32()),  # cosine of image and text, the highest where there are several texts
        pa.field("status", pa.string()),  # ok, or the reason why there is no score
    ]
)
# With the texts of a run, where an image may have several.
SCORED_OF_RUN = pa.schema(
    [
        *SCORED,
        pa.field("language", pa.string()),  # of the text with the highest score
        pa.field("scores", pa.list_(pa.float32())),  # of each text, in the order of `candidates` in matched/
    ]
)


@dataclass(frozen=True)
class Request:
    """The images to score, the texts to score them with, and the output folder."""

    inputs: Sequence[str]  # tars: files, folders or globs
    output: str | PathLike[str]
    texts: str | PathLike[str] | None = None  # output folder of curate; None: the texts in the tars
    overwrite: bool = False


def score_images(request: Request, scorer: Scorer, progress: Progress | None = None, engine: Given = None) -> Filled:
    """Write the scores of all images, a file for each tar; InputError for what cannot be used.

    The texts of a run are joined to the tars by `engine`: a Spark session, or None for processes of this machine.

    The same call goes on after a run that broke off, and scores only what was added. A damaged tar is read up to its
    damage; tars most of which are damaged are refused.
    """
    progress = progress or Progress()
    tars, run = find(request.inputs), None if request.texts is None else Results.open(request.texts)
    given = [*request.inputs, *(tar.path for tar in tars), *([] if run is None else [str(run.path)])]
    require_apart(request.output, given)
    claim = _claim(scorer, run)

    def make(ledger: Ledger, work: Path) -> None:
        with progress.stage(f"score the images of {len(ledger.missing)} of {len(tars)} tars", "tars"):
            advance(total=len(ledger.missing))
            with_texts = _texts(ledger.missing, run, work, engine)
            _score(with_texts, scorer, ledger.stamps)

    def describe(ledger: Ledger) -> dict[str, Any]:
        damaged = {"tars": len(tars), "damaged": ledger.said_of_inputs(TALLY)}
        return claim.description | scorer.ran_on | damaged | summary(ledger)

    scores = fill(request.output, claim, tars, make, describe, request.overwrite)
    require_sound(scores.facts["damaged"], len(tars), MOST)
    return scores


def _claim(scorer: Scorer, run: Results | None) -> Claim:
    texts = "those of the tars" if run is None else f"those that a run matched ({_digest(run)})"
    return Claim("scores", "images", {"version": VERSION, **scorer.made_by, "texts": texts})


def _digest(run: Results) -> str:
    """Return what changes with the matched images, but not with a threshold or a gate."""
    files = [(file.path.name, file.checksum or file.path.stat().st_size) for file in matched(run)]
    return f"{zlib.crc32(repr(files).encode()):08x}"


def _texts(tars: Sequence[Input], run: Results | None, work: Path, engine: Given) -> Iterator[Tar]:
    """Return the tars with their texts, which are in `work` if they are those of a run."""
    if run is None:
        return with_own_texts(tars)
    return with_texts_of(run, tars, work, engine_of(engine))


def _score(tars: Iterable[Tar], scorer: Scorer, stamps: Stamps) -> None:
    """Write the table of each tar, and then its stamp."""
    with strict_about_size(), threads(scorer.config.workers) as pool:
        found = batches(tars, scorer.config.batch_size, scorer.prepare, pool)
        for _, of_tar in groupby(found, key=lambda batch: batch.tar.source.path):
            _write(of_tar, scorer, stamps)
            advance(done=1)


def _write(of_tar: Iterator[Batch], scorer: Scorer, stamps: Stamps) -> None:
    first, tallies = next(of_tar), Tallies()
    if fault := fault_of(first.tar.samples):
        tallies.add(f"{TALLY}{fault}")
    rows = (rows_of(batch, _scores(batch, scorer)) for batch in chain([first], of_tar))
    write_part(stamps, [first.tar.source], rows, _schema(first.tar), tallies)


def _schema(tar: Tar) -> pa.Schema:
    return SCORED if tar.languages is None else SCORED_OF_RUN


def _scores(batch: Batch, scorer: Scorer) -> list:
    seen = {number: image.seen for number, image in enumerate(batch.images) if image.seen is not None}
    texts = [batch.tar.texts[batch.begin + number] for number in seen]
    return scorer.scores([*seen.values()], texts) if seen else []


def rows_of(batch: Batch, scores: Sequence[np.ndarray]) -> pa.RecordBatch:
    """Return the rows of a batch, given the scores of the texts of each image that could be decoded."""
    samples = batch.tar.samples.slice(batch.begin, len(batch.images))
    seen, rows = iter(scores), []
    for number, (uid, key) in enumerate(zip(*(samples[name].to_pylist() for name in ("uid", "key")), strict=True)):
        status = batch.images[number].status
        row: dict[str, Any] = {"uid": uid, "key": key, "status": status}
        if status == OK:
            languages = batch.tar.languages[batch.begin + number] if batch.tar.languages else None
            row |= _of_image(next(seen), languages)
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, schema=_schema(batch.tar))


def _of_image(scores: np.ndarray, languages: list[str] | None) -> dict[str, Any]:
    """Return the row of an image whose texts have these scores and languages."""
    finite = np.isfinite(scores)
    if not finite.any():
        return {"status": NOT_FINITE}
    best = int(np.where(finite, scores, -np.inf).argmax())
    all_scores = pa.array(scores, pa.float32(), mask=~finite).to_pylist()
    return {"clip_score": scores[best], "scores": all_scores, "language": languages[best] if languages else None}
