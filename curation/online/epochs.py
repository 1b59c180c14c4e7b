"""Draw an epoch (the text of each image, whether it is kept, and the order), and read the images that are kept.

All draws are functions of (seed, epoch, uid), so what is kept does not depend on the number of ranks and workers. Epoch
0 draws as `curation.balancing.sampling` does: it keeps the pairs of the curated manifest with the same seed. Images
that are not kept are never read: the index has the position of each image in its tar.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.balancing.counts import entry_ids
from curation.by_uid.captions import Captions
from curation.kernels import sampling as kernels
from curation.online.config import CaptionDraw, OnlineConfig, purpose
from curation.online.index import Index
from curation.tars.samples import SAMPLES
from runtime.arrow.buffers import parts
from runtime.draws import draws
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
class Drawn:
    """The rows of a batch that an epoch keeps, ascending, with the text and the probability of each."""

    rows: np.ndarray
    texts: pa.StringArray
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class Epoch:
    """One epoch of an index: everything that decides which images and texts are kept."""

    index: Index
    rates: np.ndarray
    config: OnlineConfig
    number: int
    captions: Captions | None = None

    def kept(self, blocks: Iterable[int]) -> pa.Table:
        """Return the KEPT samples of some blocks, shuffled among each other."""
        table = pa.Table.from_batches([self._kept(int(block)) for block in blocks], KEPT)
        return table.take(shuffled(table["uid"], self.config.seed, purpose("order", self.number)))

    def _kept(self, block: int) -> pa.RecordBatch:
        shard = self.index.shard_of(block)
        rows = self.index.rows(shard)[block - int(self.index.first_blocks[shard])]
        drawn = draw(rows, self.rates, self.config, self.number)
        columns = rows.select(SAMPLES.names).take(pa.array(drawn.rows))
        captions = CaptionDraw(self.config.caption_ratio, self.config.seed, self.number).of(
            self.captions, columns["uid"]
        )
        values = [np.full(len(columns), shard), drawn.texts, drawn.probability, captions]
        return pa.RecordBatch.from_arrays([*columns, *values], schema=KEPT)

    def sizes(self) -> np.ndarray:
        """Return the number of samples that are kept of each block; no image is read."""
        sizes = [
            len(draw(block, self.rates, self.config, self.number).rows)
            for blocks in map(self.index.rows, range(len(self.index.shards)))
            for block in blocks
        ]
        return np.array(sizes, np.int64)


def draw(batch: pa.RecordBatch, rates: np.ndarray, config: OnlineConfig, epoch: int) -> Drawn:
    """Return the images of a batch with `uid` and `candidates` that an epoch keeps, each with one of its texts."""
    uids = batch["uid"]
    texts, image_offsets = parts(batch["candidates"])
    ids, text_offsets = entry_ids(texts.field("entries"), len(rates))
    chosen, probability = np.zeros(batch.num_rows, np.int64), np.zeros(batch.num_rows)
    text_draws = draws(config.seed, purpose("text", epoch), uids)
    kernels.choose(ids, text_offsets, image_offsets, rates, text_draws, chosen, probability)
    kept = np.flatnonzero(draws(config.seed, purpose("keep", epoch), uids) < probability)
    if config.expert is not None:
        kept = kept[config.expert.takes(uids.take(pa.array(kept)))]
    return Drawn(kept, texts.field("text").take(pa.array(chosen[kept])), probability[kept])


def shuffled(names: pa.Array | pa.ChunkedArray, seed: int, purpose: str) -> np.ndarray:
    """Return a permutation of the rows of `names`, the same for the same names."""
    return np.argsort(draws(seed, purpose, names), kind="stable")


def order_of_blocks(number: int, seed: int, epoch: int) -> np.ndarray:
    """Return the blocks of an index, 0 … number - 1, in the order in which an epoch deals them out."""
    return shuffled(pa.array(np.arange(number)).cast(pa.string()), seed, purpose("blocks", epoch))


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
