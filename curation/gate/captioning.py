"""Give matched images their captions in place of alt texts: language and entries are found as an alt text's are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.by_uid.rows import RowStream
from curation.images.tasks import MATCHED_ROW_GROUP
from curation.inputs.limits import shorter
from curation.matching.by_language import Matching
from curation.schemas import CANDIDATE, MATCHED
from runtime.arrow.buffers import parts
from runtime.storage.own_files import OwnFile, tally
from runtime.storage.parquet import batches, part_writer
from runtime.tallies import Tallies

KIND = "caption"  # of a text that is one
# One row an image of all files, in their order; `caption` is null where it has none.
BEST = pa.schema([pa.field("file", pa.int32()), pa.field("row", pa.int64()), pa.field("caption", pa.string())])


@dataclass(frozen=True)
class CaptionMatching:
    """How captions are matched, and the length at which they are cut."""

    matching: Matching
    max_text_length: int

    def find(self, captions: pa.Array, tallies: Tallies) -> pa.StructArray:
        """Return captions as CANDIDATEs; tally those that are cut, all by language, and those with an entry."""
        texts, cut = shorter(captions, self.max_text_length)
        found = self.matching.find(texts)
        tallies.add("cut", cut)
        languages, is_matched = found["language"], pc.greater(pc.list_value_length(found["entries"]), 0)
        _tally_languages(languages, "captions", 1, tallies)
        _tally_languages(languages.filter(is_matched), "matched", 1, tallies)
        of_caption = {"text": texts, "kind": pa.repeat(KIND, len(texts)), "page_url": pa.nulls(len(texts), pa.string())}
        columns = of_caption | dict(zip(found.schema.names, found.columns, strict=True))
        return pa.StructArray.from_arrays([columns[field.name] for field in CANDIDATE], fields=list(CANDIDATE))


def write_captioned(file: OwnFile, number: int, best: RowStream, captions: CaptionMatching, folder: Path) -> Tallies:
    """Write the images of a MATCHED file with their captions to one of its name; return what was counted.

    `number` is that of the file in BEST.
    """
    tallies, begin, path = Tallies(), 0, folder / file.path.name
    with part_writer(path, MATCHED, MATCHED_ROW_GROUP) as writer:
        for batch in batches(file, MATCHED_ROW_GROUP):
            rows = best.take(number, begin, begin + batch.num_rows)
            if rows is None or rows.num_rows != batch.num_rows:
                raise ValueError(f"there are captions of other images than the {batch.num_rows} that were read")
            writer.write(captioned(batch, rows["caption"], captions, tallies))
            begin += batch.num_rows
    tallies.add("passed", writer.rows)
    tally(tallies, path, writer.checksum)
    return tallies


def captioned(batch: pa.RecordBatch, best: pa.Array, captions: CaptionMatching, tallies: Tallies) -> pa.RecordBatch:
    """Return MATCHED images whose one text is the caption, where `best` has one; without those that contain no entry.

    `texts` are tallied by language as those that go less those that come.
    """
    texts, offsets = parts(batch["candidates"])
    has = best.is_valid().to_numpy(zero_copy_only=False)
    found = captions.find(best.drop_null(), tallies)
    is_matched = pc.greater(pc.list_value_length(found.field("entries")), 0).to_numpy(zero_copy_only=False)
    stays = ~has
    stays[has] = is_matched
    for name, images in (("captioned", has), ("without", ~has), ("removed", ~stays)):
        tallies.add(name, int(images.sum()))
    _tally_languages(texts.field("language").filter(pa.array(np.repeat(has, np.diff(offsets)))), "texts", 1, tallies)
    _tally_languages(found.field("language").filter(pa.array(is_matched)), "texts", -1, tallies)
    begins = np.where(has, len(texts) + np.cumsum(has) - 1, offsets[:-1])[stays]
    candidates = _lists(_joined(texts, found), begins, np.where(has, 1, np.diff(offsets))[stays])
    place = batch.schema.get_field_index("candidates")
    return batch.filter(pa.array(stays)).set_column(place, MATCHED.field("candidates"), candidates)


def _joined(texts: pa.StructArray, more: pa.StructArray) -> pa.StructArray:
    columns = [
        pa.concat_arrays([each.field(field.name).cast(field.type) for each in (texts, more)]) for field in CANDIDATE
    ]
    return pa.StructArray.from_arrays(columns, fields=list(CANDIDATE))


def _lists(texts: pa.StructArray, begins: np.ndarray, lengths: np.ndarray) -> pa.ListArray:
    """Return lists of so many texts each, from where each begins."""
    offsets = np.append(0, np.cumsum(lengths))
    taken = np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), texts.take(pa.array(taken)))


def _tally_languages(languages: pa.Array, name: str, sign: int, tallies: Tallies) -> None:
    for each in pc.value_counts(languages).to_pylist():
        tallies.add(name, sign * each["counts"], each["values"])
