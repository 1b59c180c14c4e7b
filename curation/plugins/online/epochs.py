"""Draw an epoch (the text of each image, whether it is kept, and the order), and read the images that are kept.

All draws are functions of (seed, epoch, uid), so what is kept does not depend on the number of ranks and workers. Epoch
0 draws as `curation.balancing.sampling` does: it keeps the pairs of the curated manifest with the same seed. Images
that are not kept are never read: the index has the position of each image in its tar.

With weights, an image of weight w comes floor(w) times, and once more with probability w - floor(w). Each time has its
own draws of text, caption and position, which are functions of (seed, epoch, uid, number of the time).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa

from curation.balancing.thresholds import entry_ids
from curation.kernels import sample_choice as kernels
from curation.plugins.annotations.captions import CaptionDraw, Captions, purpose
from curation.plugins.online.batches import ByEntries, OnlineConfig, chosen_rows, lists_at
from curation.plugins.online.building import Index
from curation.plugins.tars.samples import SAMPLES
from runtime.arrow import parts
from runtime.draws import draws
from runtime.errors import InputError, ParameterError

# A sample that is drawn: its row of SAMPLES, the number of its shard, and its text.
DRAWN = pa.schema(
    [*SAMPLES, pa.field("shard", pa.int64()), pa.field("text", pa.string()), pa.field("probability", pa.float64())]
)
KEPT_SAMPLES = DRAWN.append(pa.field("caption", pa.string()))  # A caption that is not null replaces the text.


@dataclass(frozen=True, eq=False)
class Drawn:
    """The samples that an epoch keeps of a batch: `rows`, ascending, and `chosen`, the index of each sample's text.

    `chosen` indexes all texts of the batch; `probability` is the probability of keeping the sample. With weights, a row
    may repeat, `numbers` counts its repeats from 0, and `probability` is the image's weight.
    """

    batch: pa.RecordBatch
    rows: np.ndarray
    chosen: np.ndarray  # indices of all texts of the batch
    probability: np.ndarray
    numbers: np.ndarray | None = None  # the repeat of each row, from 0; None if no row repeats
    shard: int = 0

    @property
    def uids(self) -> pa.StringArray:
        """The uid of each row."""
        return self.batch["uid"].take(pa.array(self.rows))

    @property
    def texts(self) -> pa.StringArray:
        """The text of each row."""
        return parts(self.batch["candidates"])[0].field("text").take(pa.array(self.chosen))

    @property
    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The entry ids of all texts of the batch, and where the ids of each sample's text begin and end in these."""
        ids, offsets = parts(parts(self.batch["candidates"])[0].field("entries"))
        return ids.to_numpy(), offsets[self.chosen], offsets[self.chosen + 1]

    def take(self, numbers: np.ndarray) -> Drawn:
        """Return the samples with these indices."""
        rows, chosen, probability = (values[numbers] for values in (self.rows, self.chosen, self.probability))
        repeats = None if self.numbers is None else self.numbers[numbers]
        return Drawn(self.batch, rows, chosen, probability, repeats, self.shard)

    def samples(self) -> pa.RecordBatch:
        """Return the samples as rows of DRAWN."""
        columns = self.batch.select(SAMPLES.names).take(pa.array(self.rows))
        values = [np.full(len(columns), self.shard), self.texts, self.probability]
        return pa.RecordBatch.from_arrays([*columns, *values], schema=DRAWN)


@dataclass(frozen=True, eq=False)
class Epoch:
    """One epoch of an index: everything that decides which images and texts are kept."""

    index: Index
    rates: np.ndarray
    config: OnlineConfig
    number: int
    captions: Captions | Mapping[str, Captions] | None = None

    def kept(self, blocks: Iterable[int]) -> pa.Table:
        """Return the samples that the epoch keeps of all `blocks`, as rows of KEPT_SAMPLES in random order.

        If the config chooses batches, `blocks` are a super-batch, and only the samples of its batch are returned.
        """
        drawn = [self._drawn(int(block)) for block in blocks]
        if self.config.batches is not None:
            drawn = self._chosen(drawn, self.config.batches)
        table = pa.Table.from_batches([of_block.samples() for of_block in drawn], DRAWN)
        numbers = _numbers(drawn)
        order = self._shuffled(table["uid"], numbers)
        table = table.take(order)
        numbers = None if numbers is None else numbers[order]
        config = self.config
        draw = CaptionDraw(config.caption_ratio, config.seed, self.number, config.caption_sentence)
        captions = draw.of(self.captions, table["uid"].combine_chunks(), numbers)
        return table.append_column(KEPT_SAMPLES.field("caption"), captions)

    def _drawn(self, block: int) -> Drawn:
        """Return the samples that the epoch keeps of a block of the index."""
        shard = self.index.shard_of(block)
        rows = self.index.rows(shard)[block - int(self.index.first_blocks[shard])]
        return replace(draw(rows, self.rates, self.config, self.number), shard=shard)

    def _chosen(self, drawn: list[Drawn], batches: ByEntries) -> list[Drawn]:
        """Return the samples of a super-batch that its batch has; `drawn` and the result have one Drawn per block."""
        order = self._shuffled(pa.chunked_array([of_block.uids for of_block in drawn], pa.string()), _numbers(drawn))
        entries = lists_at(order, [of_block.entries for of_block in drawn])
        size = number_taken(len(order), self.config)
        targets = batches.targets(len(self.rates))
        chosen = np.sort(order[chosen_rows(*entries, size, targets)])
        begins = np.cumsum([0, *(len(of_block.rows) for of_block in drawn)])
        cuts = np.searchsorted(chosen, begins)
        return [of_block.take(chosen[cuts[i] : cuts[i + 1]] - begins[i]) for i, of_block in enumerate(drawn)]

    def _shuffled(self, uids: pa.ChunkedArray, numbers: np.ndarray | None) -> np.ndarray:
        return shuffled(uids, self.config.seed, purpose("order", self.number), numbers)

    def sizes(self) -> np.ndarray:
        """Return the number of samples that the epoch keeps of each block, int64[block]; no image is read."""
        blocks = chain.from_iterable(map(self.index.rows, range(len(self.index.shards))))
        return np.array([len(draw(block, self.rates, self.config, self.number).rows) for block in blocks], np.int64)


def draw(batch: pa.RecordBatch, rates: np.ndarray, config: OnlineConfig, epoch: int) -> Drawn:
    """Return the images of `batch` that an epoch keeps, each with one of its texts.

    `batch` has the columns `uid` and `candidates`.
    """
    uids = batch["uid"]
    texts, image_offsets = parts(batch["candidates"])
    ids, text_offsets = entry_ids(texts.field("entries"), len(rates))
    if config.weights is not None:
        drawn = _weighted(batch, image_offsets, config.weights.weight(uids), config.seed, epoch)
        return drawn if config.expert is None else drawn.take(np.flatnonzero(config.expert.takes(drawn.uids)))
    chosen = np.zeros(batch.num_rows, np.int64)
    probability = np.zeros(batch.num_rows)
    text_draws = draws(config.seed, purpose("text", epoch), uids)
    kernels.choose_texts(ids, text_offsets, image_offsets, rates, text_draws, chosen, probability)
    kept = np.flatnonzero(draws(config.seed, purpose("keep", epoch), uids) < probability)
    if config.expert is not None:
        kept = kept[config.expert.takes(uids.take(pa.array(kept)))]
    return Drawn(batch, kept, chosen[kept], probability[kept])


def _weighted(batch: pa.RecordBatch, offsets: np.ndarray, weights: np.ndarray, seed: int, epoch: int) -> Drawn:
    """Return the images of a batch that have a text, repeated by their weights, each time with a drawn text.

    `offsets` are the indices, in all texts of the batch, at which each image's texts begin.
    """
    uids = batch["uid"]
    texts = np.diff(offsets)
    times = np.floor(weights) + (draws(seed, purpose("weight", epoch), uids) < weights % 1)
    times = np.where(texts > 0, times, 0).astype(np.int64)
    rows = np.repeat(np.arange(len(times)), times)
    numbers = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    text_draws = draws(seed, purpose("text", epoch), uids.take(pa.array(rows)), numbers)
    chosen = offsets[rows] + (text_draws * texts[rows]).astype(np.int64)
    return Drawn(batch, rows, chosen, weights[rows], numbers)


def _numbers(drawn: Sequence[Drawn]) -> np.ndarray | None:
    """Return the numbers of the repeated rows of all `drawn`, as in Drawn; None if each row comes once."""
    numbers = [of_block.numbers for of_block in drawn if of_block.numbers is not None]
    return np.concatenate(numbers) if numbers else None


def shuffled(
    names: pa.Array | pa.ChunkedArray, seed: int, purpose: str, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return a permutation of the rows of `names` that depends only on names, seed and purpose.

    If a name has several rows, `numbers` must differ for these, so that each row has its own draw.
    """
    return np.argsort(draws(seed, purpose, names, numbers), kind="stable")


def block_groups(order: np.ndarray, config: OnlineConfig, consumer: int, consumers: int) -> list[np.ndarray]:
    """Return the groups of blocks that one consumer reads, in the order of `order`.

    Each worker of each rank is a consumer, with a number from 0 to `consumers` - 1. If batches are chosen, a group is a
    super-batch, and it has the same blocks for any number of consumers.
    """
    mixed = config.mixed_blocks
    if config.batches is None:
        order = order[consumer::consumers]
        return [order[begin : begin + mixed] for begin in range(0, len(order), mixed)]
    return [order[begin : begin + mixed] for begin in range(consumer * mixed, len(order), consumers * mixed)]


def number_taken(kept: int, config: OnlineConfig) -> int:
    """Return how many of the `kept` samples of a group of blocks are yielded.

    All of them are yielded. If batches are chosen, as many are yielded as a batch has, or none if `kept` is less.
    """
    if config.batches is None:
        return kept
    return config.batches.batch if kept >= config.batches.batch else 0


def require_any(order: np.ndarray, sizes: np.ndarray, config: OnlineConfig) -> None:
    """Raise ParameterError if batches are chosen, and every super-batch keeps fewer samples than a batch has.

    `order` has the numbers of the blocks in the epoch's order, `sizes` the number of kept samples of each block.
    """
    if config.batches is None:
        return
    most = max((int(sizes[group].sum()) for group in block_groups(order, config, 0, 1)), default=0)
    if most < config.batches.batch:
        fault = f"is {config.mixed_blocks}, but no super-batch of so many blocks keeps {config.batches.batch} samples"
        raise ParameterError(f"{fault} (the largest keeps {most}); pass more, or smaller batches", "mixed_blocks")


def order_of_blocks(number: int, seed: int, epoch: int) -> np.ndarray:
    """Return the numbers of the blocks of an index, 0 … `number` - 1, in the order in which an epoch deals them out."""
    return shuffled(pa.array(np.arange(number)).cast(pa.string()), seed, purpose("blocks", epoch))


def read(index: Index, kept: pa.Table) -> Iterator[dict]:
    """Yield each sample of `kept` (rows of KEPT_SAMPLES) as a dictionary, as webdataset does.

    If the sample has a caption, `txt` is the caption, and `__alt__` the drawn text; else `txt` is the drawn text.
    """
    columns = [column.to_pylist() for column in kept.columns]
    with ExitStack() as stack:
        tars = {shard: _open(index, shard, stack) for shard in kept.column("shard").unique().to_pylist()}
        for uid, key, image, offset, size, shard, text, probability, caption in zip(*columns, strict=True):
            file, path = tars[shard]
            content = os.pread(file, size, offset)
            if len(content) != size:
                raise InputError(f"{path} was truncated while it was read; build the index again")
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
    """Open a tar; return its file descriptor, which `stack` closes, and its path; InputError for another size."""
    path = index.tar(shard)
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        remedy = "say where the tars are: Index.open(…, tars=)"
        raise InputError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    stack.callback(os.close, file)
    size = os.fstat(file).st_size
    recorded = index.shards[shard].bytes
    if size != recorded:
        raise InputError(f"{path} has {size:,} bytes, but the index states {recorded:,}; build the index again")
    return file, str(path)
