"""Read the samples that an epoch keeps of some blocks of the index, with the bytes of their images.

Images that are not kept are never read: the index says where in its tar each image begins.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.by_uid.captions import Captions
from curation.online.draw import CaptionDraw, Drawn, draw, purpose, shuffled
from curation.online.experts import Expert
from curation.online.index import Index
from curation.tars.samples import SAMPLES
from runtime.errors import InputError

# A sample that is kept: its row of SAMPLES, the number of its shard, and what was drawn for it.
KEPT = pa.schema(
    [
        *SAMPLES,
        pa.field("shard", pa.int64()),
        pa.field("text", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("caption", pa.string()),  # where it stands for the text
    ]
)


@dataclass(frozen=True, eq=False)
class Epoch:
    """One epoch of an index: all that decides what is kept of it."""

    index: Index
    rates: np.ndarray
    seed: int
    number: int
    captions: Captions | None = None
    caption_ratio: float = 0.0
    expert: Expert | None = None

    def kept(self, blocks: Iterable[int]) -> pa.Table:
        """Return the KEPT samples of some blocks, shuffled among each other."""
        batches = [self._kept(int(block)) for block in blocks]
        table = pa.Table.from_batches(batches, KEPT)
        return table.take(shuffled(table.column("uid"), self.seed, purpose("order", self.number)))

    def _kept(self, block: int) -> pa.RecordBatch:
        shard = self.index.shard_of(block)
        rows = self.index.rows(shard).get_batch(block - int(self.index.first_blocks[shard]))
        drawn = self._drawn(rows)
        kept = pa.array(drawn.rows)
        columns = [rows.column(name).take(kept) for name in SAMPLES.names]
        shards = np.full(len(kept), shard)
        captions = self._captions(rows.column("uid").take(kept))
        return pa.RecordBatch.from_arrays([*columns, shards, drawn.texts, drawn.probability, captions], schema=KEPT)

    def _drawn(self, rows: pa.RecordBatch) -> Drawn:
        drawn = draw(rows, self.rates, self.seed, self.number)
        if self.expert is None:
            return drawn
        return drawn.filter(self.expert.takes(rows.column("uid").take(pa.array(drawn.rows))))

    def _captions(self, uids: pa.Array) -> pa.Array:
        if self.captions is None:
            return pa.nulls(len(uids), pa.string())
        return self.captions.instead(uids, CaptionDraw(self.caption_ratio, self.seed, self.number).drawn(uids))

    def sizes(self) -> np.ndarray:
        """Return the number of samples that are kept of each block; no image is read."""
        sizes = [
            len(self._drawn(rows.get_batch(block)).rows)
            for rows in map(self.index.rows, range(len(self.index.shards)))
            for block in range(rows.num_record_batches)
        ]
        return np.array(sizes, np.int64)


def read(index: Index, kept: pa.Table) -> Iterator[dict]:
    """Yield KEPT samples as webdataset yields them, with the drawn text, or the caption in its place, as `txt`.

    Beside a caption the drawn text is `__alt__`.
    """
    columns = [column.to_pylist() for column in kept.columns]
    with ExitStack() as stack:
        tars = {shard: _open(index, shard, stack) for shard in kept.column("shard").unique().to_pylist()}
        for uid, key, image, offset, size, shard, text, probability, caption in zip(*columns, strict=True):
            file, path = tars[shard]
            content = os.pread(file, size, offset)
            if len(content) != size:
                raise InputError(f"{path} was cut while it was read; build the index again")
            yield {
                "__key__": key,
                "__url__": path,
                "__uid__": uid,
                "__probability__": probability,
                image: content,
                "txt": (text if caption is None else caption).encode(),
                **({} if caption is None else {"__alt__": text.encode()}),
            }


def _open(index: Index, shard: int, stack: ExitStack) -> tuple[int, str]:
    """Return a tar's descriptor, closed with `stack`, and its path."""
    path = index.tar(shard)
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); say where the tars are: Index.open(…, tars=)"
        ) from None
    stack.callback(os.close, file)
    size, known = os.fstat(file).st_size, index.shards[shard].bytes
    if size != known:
        raise InputError(f"{path} has {size:,} bytes, the index knows it with {known:,}: build the index again")
    return file, str(path)
