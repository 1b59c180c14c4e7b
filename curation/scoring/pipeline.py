"""Score the images of tars, tar by tar, into a folder of Parquet files; a run that broke off is continued."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

from curation.hashing.pictures import OK, strict_about_size
from curation.inputs.files import Input
from curation.run.claims import Claim, Claimed, claimed
from curation.run.ledger import Stamps
from curation.run.results import Results
from curation.scoring.decoding import Batch, batches, threads
from curation.scoring.rows import SCORED, SCORED_OF_RUN, rows_of
from curation.scoring.scorer import Scorer
from curation.scoring.summary import NAME, Scores, summary
from curation.scoring.texts import Tar, find, matched, with_own_texts, with_texts_of
from curation.tars.damage import MOST, TALLY, require_sound
from curation.tars.samples import fault_of
from runtime.progress import Progress, advance
from runtime.storage.output_folders import require_apart
from runtime.storage.own_files import tally
from runtime.storage.parquet import part_writer
from runtime.storage.paths import is_url, make_folder
from runtime.storage.whole import write_json
from runtime.tallies import Tallies

VERSION = 1
_ROW_GROUP = 50_000


@dataclass(frozen=True)
class Request:
    """Which images are scored by which texts, and where to."""

    inputs: Sequence[str]  # tars: files, folders or globs
    output: str | PathLike[str]
    texts: str | PathLike[str] | None = None  # output folder of curate; None: the texts in the tars
    overwrite: bool = False


def score_images(request: Request, scorer: Scorer, progress: Progress | None = None) -> Scores:
    """Write the scores of all images, a file for each tar; InputError for what cannot be used.

    The same call goes on after a run that broke off, and scores only what was added. A damaged tar is read up to its
    damage; tars most of which are damaged are refused.
    """
    progress = progress or Progress()
    tars, run = find(request.inputs), None if request.texts is None else Results.open(request.texts)
    given = [*request.inputs, *(tar.path for tar in tars), *([] if run is None else [str(run.path)])]
    require_apart(request.output, given)
    with claimed(request.output, _claim(scorer, run), request.overwrite) as claim:
        ledger = claim.ledger(tars)
        if ledger.missing:
            with progress.stage(f"score the images of {len(ledger.missing)} of {len(tars)} tars", "tars"):
                advance(total=len(ledger.missing))
                with _texts(ledger.missing, run, claim) as with_texts:
                    _score(with_texts, scorer, ledger.stamps)
            ledger = claim.ledger(tars)
        ledger.prune()
        facts = claim.claim.description | scorer.ran_on | {"tars": len(tars), "damaged": ledger.said_of_inputs(TALLY)}
        facts |= summary(ledger)
        write_json(claim.folder / NAME, facts)
    require_sound(facts["damaged"], len(tars), MOST)
    return Scores(claim.folder, facts)


def _claim(scorer: Scorer, run: Results | None) -> Claim:
    texts = "those of the tars" if run is None else f"those that a run matched ({_digest(run)})"
    return Claim("scores", "images", {"version": VERSION, **scorer.made_by, "texts": texts})


def _digest(run: Results) -> str:
    """Return what changes with the matched images, but not with a threshold or a gate."""
    files = [(file.path.name, file.checksum or file.path.stat().st_size) for file in matched(run)]
    return f"{zlib.crc32(repr(files).encode()):08x}"


@contextmanager
def _texts(tars: Sequence[Input], run: Results | None, claim: Claimed) -> Iterator[Iterator[Tar]]:
    """Give the tars with their texts; what is joined lies beside the output meanwhile, or on this machine."""
    if run is None:
        yield with_own_texts(tars)
        return
    beside = None if is_url(claim.work) else make_folder(claim.work)
    with TemporaryDirectory(dir=beside, prefix="clip-curation-") as work:
        yield with_texts_of(run, tars, Path(work))


def _score(tars: Iterable[Tar], scorer: Scorer, stamps: Stamps) -> None:
    """Write the table of each tar, and then its stamp."""
    with strict_about_size(), threads(scorer.config.workers) as pool:
        found = batches(tars, scorer.config.batch_size, scorer.prepare, pool)
        for _, of_tar in groupby(found, key=lambda batch: batch.tar.source.path):
            _write(of_tar, scorer, stamps)
            advance(done=1)


def _write(of_tar: Iterator[Batch], scorer: Scorer, stamps: Stamps) -> None:
    first = next(of_tar)
    source, schema = first.tar.source, SCORED if first.tar.languages is None else SCORED_OF_RUN
    file, tallies = stamps.folder / f"{stamps.name_of([source])}.parquet", Tallies()
    if fault := fault_of(first.tar.samples):
        tallies.add(f"{TALLY}{fault}")
    with part_writer(file, schema, _ROW_GROUP) as writer:
        for batch in chain([first], of_tar):
            rows = rows_of(batch, _scores(batch, scorer))
            for status, number in Counter(rows["status"].to_pylist()).items():
                tallies.add(f"status.{status}", number)
            writer.write(rows)
            advance(rows=rows.num_rows)
    tally(tallies, file, writer.checksum)
    stamps.write([source], [file.name], tallies)


def _scores(batch: Batch, scorer: Scorer) -> list:
    seen = [number for number, image in enumerate(batch.images) if image.status == OK]
    if not seen:
        return []
    texts = [batch.tar.texts[batch.begin + number] for number in seen]
    return scorer.scores([batch.images[number].seen for number in seen], texts)
