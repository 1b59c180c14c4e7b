"""The step `captions`: replace alt texts by captions from tables before balancing.

The language of a caption and its entries are found in the same way as for an alt text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.config import MAX_TEXT_LENGTH, CurationConfig
from curation.inputs.limits import shorter
from curation.plugins.annotations.captions import JOINED_CAPTION, caption_table, find_captions
from curation.plugins.gate.filters import IMAGE, Filter, ImageBatch, Rewrite, difference, tally_languages
from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.step import Step, StepFolder, StepTask
from curation.plugins.joins.image_tables import ImageTable
from curation.plugins.joins.uid_join import Join, images_in
from curation.run.tasks import MatchPlan
from curation.schemas import CANDIDATE
from runtime.buckets import MIN_TASKS_PER_CORE
from runtime.cogroup import filled
from runtime.errors import InputError
from runtime.redaction import hidden
from runtime.storage.listing import ListedFile, Version
from runtime.storage.own_files import OwnFile
from runtime.storage.remote import AS_ASKED
from runtime.tallies import Tallies, TaskResult

if TYPE_CHECKING:
    from curation.run.request import Context

KIND = "caption"  # the kind of a text that is a caption
TITLE = "an entry in the caption"  # the title of the filter; images without a caption pass it
_READ = 1 << 20  # the number of bytes that are read at a time


@dataclass(frozen=True)
class CaptionStep(Step):
    """The step: the caption of an image replaces its alt texts; without a caption, an image keeps its alt texts.

    An image whose caption matches no entry is removed.
    """

    table: ImageTable
    digest: str = ""  # a digest of the bytes of the table's files; empty before `prepare`

    def filters(self) -> list[Filter]:
        """Return the filter of images whose caption matches no entry."""
        columns = ["candidates.kind", "candidates.entries"]
        return [Filter(TITLE, IMAGE, has_caption_without_entry, columns=columns)]

    def asks(self) -> dict[str, list[str]]:
        """Return the name of the table of captions, for users."""
        return {"balanced by": [self.table.name]}

    def prepare(self, context: Context) -> CaptionStep:
        """Return the step with a digest of the bytes of the table's files."""
        context.match_plan()  # Loading the matcher shows its own stage of progress.
        with context.progress.stage("read captions"):
            digests = context.engine.run(list(self.table.files), _digest, MIN_TASKS_PER_CORE).noted("digest")
        named = (f"{number:09d} {digest}" for number, digest in enumerate(digests))
        return replace(self, digest=blake2b("".join(named).encode(), digest_size=16).hexdigest())

    def write(self, images: Sequence[OwnFile], folder: StepFolder, context: Context) -> TaskResult:
        """Write the images with captions as texts."""
        rewrite = Rewrite(replace_by_captions, {"plan": context.match_plan()})
        task = StepTask(list(images), folder, self.filters(), [rewrite])
        return Join(images_in(images), [caption_table(self.table)]).write(context.engine, task.write)

    def require(self, counted: TaskResult, config: CurationConfig) -> None:
        """Raise InputError if the table has no caption of any of the images, or if no image passes."""
        if not counted["captioned"]:
            raise InputError(
                f"{self.table.name} has no caption of a matched image: no image of this run has one of its "
                f"{self.table.identity}s; pass a table with the column uid of matched/, or with a column url"
            )
        if not counted["passed"]:
            raise InputError(
                f"no image is left: each has a caption in {self.table.name}, and no caption contains an entry; pass "
                "other captions, or leave out --match-captions"
            )

    def facts(self, counted: TaskResult) -> dict[str, Any]:
        """Return facts for run.json: the table, and the numbers of captions and matched captions by language."""
        table = self.table
        replaced = counted.by_language("replaced")
        matched = counted.by_language("matched")
        languages = {}
        for code, captions in counted.by_language("captions").items():
            languages[code] = {"captions": captions, "matched": matched.get(code, 0)}
        facts = super().facts(counted)
        facts["conditions"][0]["removed_texts"] = difference(replaced, matched)
        facts["captions"] = {
            "table": {"name": table.name, "files": len(table.files), "bytes": table.bytes, "digest": self.digest},
            "images": counted["captioned"],
            "without": counted["without"],
            "cut": counted["cut"],
            "languages": languages,
        }
        return facts


def find(options: GateOptions) -> CaptionStep | None:
    """Return the step, or None without captions."""
    return CaptionStep(find_captions(options.match_captions)) if options.match_captions else None


def replace_by_captions(batch: ImageBatch, tallies: Tallies, plan: MatchPlan) -> ImageBatch:
    """Return the images with captions instead of texts: the caption becomes the only text of its image.

    Tally the images with a caption as `captioned`, the others as `without`, and the replaced texts, by language, as
    `replaced`.
    """
    images = batch.images
    best = filled(batch.rows, batch.begin, batch.begin + images.num_rows, JOINED_CAPTION[0])
    has = best.is_valid().to_numpy(zero_copy_only=False)
    texts_of_image = np.bincount(batch.image, minlength=images.num_rows)
    offsets = np.append(0, np.cumsum(texts_of_image))
    records = _records(batch.texts, offsets).filter(best.is_valid())
    candidates = match_captions(best.drop_null(), records, tallies, plan)
    tallies.add("captioned", int(has.sum()))
    tallies.add("without", int((~has).sum()))
    tally_languages(batch.texts.field("language").filter(pa.array(has[batch.image])), "replaced", tallies)
    begins = np.where(has, len(batch.texts) + np.cumsum(has) - 1, offsets[:-1])
    lengths = np.where(has, 1, texts_of_image)
    ends = np.cumsum(lengths)
    taken = np.repeat(begins - ends + lengths, lengths) + np.arange(lengths.sum())
    return batch.with_texts(pa.concat_arrays([batch.texts, candidates]).take(pa.array(taken)), lengths)


def match_captions(captions: pa.Array, records: pa.Array, tallies: Tallies, plan: MatchPlan) -> pa.StructArray:
    """Return captions as CANDIDATE structs with language and entries; `records` has the record of each image's page.

    Add to `tallies`: `cut`, the number of captions shortened to the longest text allowed; and, by language,
    `captions`, the number of all captions, and `matched`, the number of captions that match an entry.
    """
    texts, cut = shorter(captions, MAX_TEXT_LENGTH)
    matches = plan.matching.find(texts)
    tallies.add("cut", cut)
    languages = matches["language"]
    is_matched = pc.greater(pc.list_value_length(matches["entries"]), 0)
    tally_languages(languages, "captions", tallies)
    tally_languages(languages.filter(is_matched), "matched", tallies)
    columns = dict(zip(matches.schema.names, matches.columns, strict=True))
    columns["text"] = texts
    columns["kind"] = pa.repeat(KIND, len(texts))
    columns["page_url"] = pa.nulls(len(texts), pa.string())
    columns["record"] = records
    return pa.StructArray.from_arrays([columns[field.name] for field in CANDIDATE], fields=list(CANDIDATE))


def has_caption_without_entry(batch: ImageBatch) -> np.ndarray:
    """Return bool[image]: which images have a caption that matches no entry."""
    is_caption = pc.equal(batch.texts.field("kind"), KIND).fill_null(False)
    is_unmatched = pc.equal(pc.list_value_length(batch.texts.field("entries")), 0).fill_null(True)
    mask = np.zeros(batch.images.num_rows, bool)
    mask[batch.image[pc.and_(is_caption, is_unmatched).to_numpy(zero_copy_only=False)]] = True
    return mask


def _digest(file: tuple[str, Version]) -> TaskResult:
    """Hash the bytes of a file, given its path and version; return the fact `digest`, in hexadecimal digits."""
    path, version = file
    hashed = blake2b(digest_size=16)
    try:
        with ListedFile(path, version).open(AS_ASKED) as opened:
            while data := opened.read(_READ):
                hashed.update(data)
    except OSError as error:
        raise InputError(f"{hidden(path)} cannot be read ({error})") from None
    return TaskResult(facts={"digest": [hashed.hexdigest()]})


def _records(texts: pa.StructArray, offsets: np.ndarray) -> pa.Array:
    """Return the record of each image's page: the record of its first text with a null `page_url`, if it has one."""
    rows = np.full(len(offsets) - 1, -1)
    of_page = np.flatnonzero(texts.field("page_url").is_null())
    rows[np.searchsorted(offsets, of_page[::-1], side="right") - 1] = of_page[::-1]
    return texts.field("record").take(pa.array(rows, mask=rows < 0))
