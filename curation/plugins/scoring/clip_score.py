"""The command `clip-score`: score how well images in tars fit their texts; a rerun continues an interrupted run.

The texts of images are those in the tars, or those that a run matched. Threads decode images a few batches ahead of the
model; the order of samples does not depend on the threads.

Quantiles, over all images and by language, let a person choose a minimum score. They are rounded down to multiples of
0.0001, so an image whose score is the quantile passes a minimum of the rounded value.
"""

from __future__ import annotations

import zlib
from argparse import Namespace
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.plugins.scoring.scorer import Scorer, ScoringConfig, open_scorer
from curation.plugins.tars.headers import DAMAGED, MAX_BAD_SHARE, require_sound, told
from curation.plugins.tars.joined import Scan, join_samples, matched_images, scan
from curation.plugins.tars.samples import (
    MOST_BYTES,
    OK,
    TOO_LARGE,
    Decoded,
    decoded,
    fault_of,
    flattened,
    local_tars_at,
    statuses,
    strict_about_size,
    tar_rows,
    texts,
    write_rows_of,
)
from curation.run.finished_run import MATCHED_PART
from curation.run.results import Results
from curation.schemas import TRAINED_TEXTS
from metadata.languages import named
from runtime.arguments import Parser, absolute_path, add_fields, add_flags, helps, made
from runtime.arrow import one_batch
from runtime.cogroup import RowStream, filled
from runtime.console import command
from runtime.engine import EngineLike, engine_of
from runtime.folders.descriptor import Kind
from runtime.folders.folder import FinishedFolder, Made, Task, Wanted, WorkItem, making
from runtime.folders.stamps import Input
from runtime.packages import require_packages
from runtime.progress import ConsoleProgress, Progress, advance
from runtime.storage.own_files import OwnFile, written_files
from runtime.storage.parquet import batches, read_table, write_rows
from runtime.storage.paths import make_folder
from runtime.tallies import TaskResult
from runtime.terminal import aligned, print_result
from runtime.wording import counted, number

if TYPE_CHECKING:
    from PIL import Image


SCORES = Kind("scores of images", "clip-score", version=3)
NOT_FINITE = "not_finite"  # Half precision can overflow; such a score is null, since Spark sorts NaN above all numbers.
# One row per image of a tar, in its order.
SCORED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("key", pa.string()),  # the sample's key in its tar
        pa.field(
            "clip_score", pa.float32()
        ),  # the cosine of image and text; the highest one, if there are several texts
        pa.field("status", pa.string()),  # ok, or the reason why there is no score
    ]
)
# The rows if the texts come from a run, in which an image may have several texts.
SCORED_OF_RUN = pa.schema(
    [
        *SCORED,
        pa.field("language", pa.string()),  # the language of the text with the highest score
        pa.field("scores", pa.list_(pa.float32())),  # the score of each text, in the order of `candidates` in matched/
    ]
)

NO_TEXT, NO_UID = "no_text", "no_uid"
TEXTS = pa.schema([TRAINED_TEXTS])  # There is one row per sample of a tar.
TEXTS_ROWS = 1 << 16  # the number of rows in a row group
AHEAD = 2  # the number of batches that threads decode while the model works on another
Prepare = Callable[["Image.Image"], Any]


@dataclass(frozen=True)
class ScoreRequest:
    """The images to score, the texts to score them with, and the output folder."""

    inputs: Sequence[str]  # the tars: files, folders or globs
    output: str | PathLike[str]
    texts: str | PathLike[str] | None = None  # an output folder of clip-curate; None: the texts in the tars are scored
    overwrite: bool = False


def score_images(
    request: ScoreRequest, scorer: Scorer, progress: Progress | None = None, engine: EngineLike = None
) -> FinishedFolder:
    """Write the scores of all images to the output folder, one file for each tar; return the folder.

    `engine` joins the texts of a run to the tars: a Spark session, or None for processes of this machine.

    The same call continues an interrupted run, and scores only tars that were added. A damaged tar is read up to the
    damage. InputError for unusable inputs or output, or if most tars are damaged.
    """
    progress = progress or Progress()
    tars = local_tars_at(request.inputs)
    run = None if request.texts is None else Results.open(request.texts)
    sources = [*request.inputs, *(tar.path for tar in tars), *([] if run is None else [str(run.path)])]
    texts = "those of the tars" if run is None else f"those that a run matched ({_digest(run)})"
    description = {**scorer.made_by, "texts": texts}
    wanted = Wanted(SCORES, description, sources, request.overwrite, grows=True)
    with making(engine, request.output, wanted, progress) as folder:
        part = folder.part([WorkItem([tar], tar) for tar in tars])
        if part.missing:
            missing = [item.content for item in part.missing]
            with progress.stage(f"score the images of {len(missing)} of {len(tars)} tars", "tars"):
                advance(total=len(missing))
                work = folder.parts.unfinished
                inputs = with_own_texts(missing) if run is None else with_texts_of(run, missing, work, engine)
                _score(inputs, scorer, part.task(partial(_write, scorer=scorer)))
        result = part.commit()
        damaged = dict(sorted(result.noted(DAMAGED)))
        tallied = {"tars": len(tars), "damaged": damaged} | score_facts(folder.path, result)
        facts = description | scorer.ran_on | tallied
        folder.complete(facts)
    require_sound(damaged, len(tars), MAX_BAD_SHARE)
    return FinishedFolder(folder.path, facts)


def _digest(run: Results) -> str:
    """Return a checksum of a run's matched images, which do not depend on thresholds and gates."""
    files = [(file.path.name, file.checksum or file.path.stat().st_size) for file in run.files(MATCHED_PART)]
    return f"{zlib.crc32(repr(files).encode()):08x}"


def _score(tars: Iterable[Tar], scorer: Scorer, write: Task[Iterator[Batch]]) -> None:
    """Write a table of scores for each tar, and a stamp after each table, which marks the tar as finished."""
    with strict_about_size():
        pool = ThreadPoolExecutor(scorer.config.workers)
        try:
            batches_of_tars = decoded_batches(tars, scorer.config.batch_size, scorer.prepare, pool)
            for source, of_tar in groupby(batches_of_tars, key=lambda batch: batch.tar.source):
                write(WorkItem([source], of_tar))
                advance(done=1)
        finally:
            pool.shutdown(cancel_futures=True)  # Work that has not begun is cancelled.


def _write(of_tar: Iterator[Batch], made: Made, scorer: Scorer) -> None:
    first = next(of_tar)
    if fault := fault_of(first.tar.samples):
        made.result.note(DAMAGED, [first.tar.source.path, fault])
    rows = (scored_rows(batch, _scores(batch, scorer)) for batch in chain([first], of_tar))
    write_rows_of(made, rows, first.tar.schema)


def _scores(batch: Batch, scorer: Scorer) -> list:
    seen = {number: image.seen for number, image in enumerate(batch.images) if image.seen is not None}
    texts = [batch.tar.texts[batch.begin + number] for number in seen]
    return scorer.scores([*seen.values()], texts) if seen else []


def scored_rows(batch: Batch, scores: Sequence[np.ndarray]) -> pa.RecordBatch:
    """Return the rows of SCORED or SCORED_OF_RUN of a batch.

    `scores` has for each decoded image, in order, an array with the scores of its texts.
    """
    samples = batch.tar.samples.slice(batch.begin, len(batch.images))
    seen = iter(scores)
    rows = samples.select(["uid", "key"]).to_pylist()
    for index, (row, image) in enumerate(zip(rows, batch.images, strict=True), batch.begin):
        row["status"] = image.status
        if image.status == OK:
            row |= _of_image(next(seen), batch.tar.languages[index] if batch.tar.languages else None)
    return pa.RecordBatch.from_pylist(rows, schema=batch.tar.schema)


def _of_image(scores: np.ndarray, languages: list[str] | None) -> dict[str, Any]:
    """Return the fields of an image's row that depend on the scores and languages of its texts.

    If no score is finite, return only the status NOT_FINITE.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        return {"status": NOT_FINITE}
    best = int(np.where(finite, scores, -np.inf).argmax())
    all_scores = pa.array(scores, pa.float32(), mask=~finite).to_pylist()
    return {"clip_score": scores[best], "scores": all_scores, "language": languages[best] if languages else None}


class Tar(NamedTuple):
    """A tar with a list of texts for each sample; `languages` has the languages of these texts, None if unknown."""

    source: Input
    samples: pa.RecordBatch  # rows of SAMPLES
    texts: list[list[str]]
    languages: list[list[str]] | None = None

    @property
    def schema(self) -> pa.Schema:
        """The schema of the tar's table of scores."""
        return SCORED if self.languages is None else SCORED_OF_RUN


class Batch(NamedTuple):
    """Consecutive samples of a tar from row `begin` on; `images` has each prepared image, or the reason to skip it."""

    tar: Tar
    begin: int
    images: list[Decoded[Any]]


def with_own_texts(tars: Sequence[Input]) -> Iterator[Tar]:
    """Yield each tar with the text of each sample's `txt` file; a sample with a blank or no such file has no text."""
    for tar in tars:
        path = Path(tar.path)
        yield Tar(tar, tar_rows(path), [_own_texts(content) for content in texts(path)])


def _own_texts(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace")
    return [text] if text.strip() else []


def with_texts_of(run: Results, tars: Sequence[Input], work: Path, session: EngineLike) -> Iterator[Tar]:
    """Return the tars, each with all texts that a run matched to a sample's image, before any gate.

    `work` is a folder for temporary files.
    """
    engine = engine_of(session)
    files, sizes = scan(engine, tars, work / "scans", most_damaged=1.0)
    images = matched_images(run.files(MATCHED_PART), run.facts["rows"]["matched"])
    folder = make_folder(work / "texts")
    texts = join_samples(files, sizes, [images]).write(engine, _write_texts, files, folder)
    return (_tar(*of_tar) for of_tar in zip(tars, files, written_files(folder, texts.files), strict=True))


def _write_texts(number: int, stream: RowStream, files: Sequence[OwnFile], folder: Path) -> TaskResult:
    """Write a row of TEXTS for each sample of tar `number`, null for samples without texts; return the checksum."""
    columns = (
        filled(joined, 0, samples.num_rows, TRAINED_TEXTS)
        for samples, joined in Scan(number, files[number], stream).read()
    )
    rows = (pa.RecordBatch.from_arrays([column], schema=TEXTS) for column in columns)
    return write_rows(folder / f"{number:07}.parquet", TEXTS, TEXTS_ROWS, rows)


def _tar(tar: Input, scanned: OwnFile, texts: OwnFile) -> Tar:
    strings: list[list[str]] = []
    languages: list[list[str]] = []
    for sample_texts in read_table(texts)[TRAINED_TEXTS.name].to_pylist():
        strings.append([text["text"] for text in sample_texts or ()])
        languages.append([text["language"] for text in sample_texts or ()])
    return Tar(tar, one_batch(read_table(scanned)), strings, languages)


def decoded_batches(tars: Iterable[Tar], size: int, prepare: Prepare, pool: ThreadPoolExecutor) -> Iterator[Batch]:
    """Yield the samples of each tar in order, in batches of `size`, decoded and prepared by the threads of `pool`.

    The last batch of a tar may be smaller. A tar without samples gives one empty batch.
    """
    begun: deque[tuple[Tar, int, list[Future]]] = deque()
    for tar in tars:
        rows = range(tar.samples.num_rows)
        for begin in range(0, max(len(rows), 1), size):
            images = [pool.submit(_prepared, tar, row, prepare) for row in rows[begin : begin + size]]
            begun.append((tar, begin, images))
            if len(begun) > AHEAD:
                yield _finished(*begun.popleft())
    yield from (_finished(*task) for task in begun)


def _finished(tar: Tar, begin: int, images: list[Future]) -> Batch:
    return Batch(tar, begin, [image.result() for image in images])


def _prepared(tar: Tar, row: int, prepare: Prepare) -> Decoded[Any]:
    uid, offset, size = (tar.samples[name][row].as_py() for name in ("uid", "offset", "size"))
    if uid is None:
        return Decoded(NO_UID)
    if not tar.texts[row]:
        return Decoded(NO_TEXT)
    if size > MOST_BYTES:
        return Decoded(TOO_LARGE)
    with open(tar.source.path, "rb") as file:
        file.seek(offset)
        return decoded(file.read(size), lambda image: prepare(flattened(image).convert("RGB")))


SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
LANGUAGES_SHOWN = 12  # the most languages that the console shows
_STEPS_PER_UNIT = 10_000  # the number of steps of the histogram per unit of score


class Histogram:
    """Counts of images by score, rounded down to steps of 0.0001 from -1 to 1, and the sum of all scores."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _STEPS_PER_UNIT + 1, np.int64)
        self._sum = 0.0

    def add(self, scores: np.ndarray) -> None:
        """Count an array of scores, each from -1 to 1."""
        steps = np.floor((scores.astype(np.float64) + 1) * _STEPS_PER_UNIT).astype(np.int64)
        self._counts += np.bincount(np.clip(steps, 0, 2 * _STEPS_PER_UNIT), minlength=len(self._counts))
        self._sum += float(scores.sum(dtype=np.float64))

    def facts(self) -> dict[str, Any]:
        """Return the number of images, the mean score (None without images), and the quantile of each of SHARES."""
        images = int(self._counts.sum())
        if not images:
            return {"images": 0, "mean": None, "quantiles": {}}
        ranks = np.searchsorted(self._counts.cumsum(), [int(share * (images - 1)) + 1 for share in SHARES])
        quantiles = [round(rank / _STEPS_PER_UNIT - 1, 4) for rank in ranks.tolist()]
        mean = round(self._sum / images, 4)
        return {"images": images, "mean": mean, "quantiles": dict(zip(map(str, SHARES), quantiles, strict=True))}


def score_facts(folder: Path, result: TaskResult) -> dict[str, Any]:
    """Return the number of images by status, and the facts of scores: of all images, and by language if known.

    `result` is the sum of the results of the tasks that wrote the files in `folder`. Languages are sorted by their
    number of images, the largest first.
    """
    whole = Histogram()
    by_language = defaultdict[str, Histogram](Histogram)
    for rows in chain.from_iterable(map(batches, written_files(folder, result.files))):
        whole.add(_scored(rows))
        for code in rows["language"].unique().drop_null().to_pylist() if "language" in rows.schema.names else ():
            by_language[code].add(_scored(rows.filter(pc.equal(rows["language"], code))))
    facts = {code: by_language[code].facts() for code in sorted(by_language)}
    languages = dict(sorted(facts.items(), key=lambda item: -item[1]["images"]))
    return {"statuses": statuses(result), "scores": whole.facts(), "languages": languages}


def score_lines(scores: FinishedFolder) -> str:
    """Return the lines that the command prints at the end: counts, quantiles, damaged tars and the output folder."""
    facts = scores.facts
    reasons = ", ".join(f"{number(count)} {status}" for status, count in facts["statuses"].items() if status != OK)
    lines = [f"{counted(facts['scores']['images'], 'image')} scored; without a score: {reasons or 'none'}"]
    if facts["scores"]["images"]:
        languages = [(named(code), row) for code, row in [*facts["languages"].items()][:LANGUAGES_SHOWN]]
        heading = ("clip_score", "images", "mean", *(f"{share:.0%} below" for share in SHARES))
        lines += aligned([heading, *(_line(*row) for row in [("all", facts["scores"]), *languages])])
    lines += told(facts["damaged"], facts["tars"])
    return "\n".join([*lines, f"scores: {scores.path}"])


def _line(name: str, facts: dict[str, Any]) -> tuple[str, ...]:
    return name, number(facts["images"]), *(f"{value:.4f}" for value in (facts["mean"], *facts["quantiles"].values()))


def _scored(rows: pa.RecordBatch) -> np.ndarray:
    return rows["clip_score"].drop_null().to_numpy()


NAME = "clip-score"
PACKAGES = ("open_clip", "transformers", "torch", "PIL")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        print_result(score_lines(run(args)))


def run(args: Namespace) -> FinishedFolder:
    """Score images by the values of a command line, and return the folder of scores."""
    require_packages(PACKAGES, "score")
    config = made(ScoringConfig, args)
    request = ScoreRequest(args.input, args.output, args.run, args.overwrite)
    progress = ConsoleProgress()
    with progress.stage(f"load {args.model}"):
        scorer = open_scorer(args.model, args.pretrained, config)
    return score_images(request, scorer, progress)


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line `argv` (None: the process's own)."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "input"), nargs="+", required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "model"), required=True)
    add_flags(parser, helps(__package__, "weights"))
    add_flags(parser, helps(__package__, "run"), type=absolute_path)
    add_flags(parser, helps(__package__, "output"), required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    add_fields(parser.add_argument_group("how images are scored"), ScoringConfig, helps(__package__, "running"))
    return parser.parse_args(argv)
