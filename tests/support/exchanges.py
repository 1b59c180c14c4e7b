"""What tasks send and receive in tests of engines, in workers of their own."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np

from runtime.buckets import Block, Packer
from runtime.tallies import TaskResult
from tests.support.small_blocks import SMALL, rows_of, small

BUCKETS = 1 << 12


def block_of(bucket: int, *rows: tuple, buckets: int = BUCKETS) -> Block:
    """Return a block of these rows."""
    (block,) = [*(packer := Packer(buckets)).add(small(*rows), np.full(len(rows), bucket)), *packer.finish()]
    return block


def buckets_of(item: int, blocks: int, buckets: int = BUCKETS) -> list[int]:
    """Return the bucket of each block of an item: as good as random, and the same each time."""
    return [
        int.from_bytes(blake2b(b"%d/%d" % (item, block), digest_size=4).digest(), "little") % buckets
        for block in range(blocks)
    ]


def send(_: int, item: tuple[int, int], tallies: TaskResult) -> Iterator[Block]:
    """Send so many blocks of a row each; the row says of which item and block it is."""
    number, blocks = item
    for block, bucket in enumerate(buckets_of(number, blocks)):
        tallies.add("sent")
        tallies.add("weight", 0.1 * (number + 1), language="en")
        yield block_of(bucket, (number, f"{block}/{bucket}"))


def send_large(_: int, item: tuple[int, int], tallies: TaskResult) -> Iterator[Block]:
    """Send to the first and the last bucket a block of so many random letters, which packing makes little smaller."""
    number, size = item
    letters = np.random.default_rng(number).integers(32, 127, size, np.uint8).tobytes().decode()
    for bucket in (0, BUCKETS - 1):
        block = block_of(bucket, (number, letters))
        tallies.add("sent", len(block.data))
        yield block


def send_to_each(_: int, item: int, tallies: TaskResult, size: int, partitions: int) -> Iterator[Block]:
    """Send a block of random bytes to each partition, `size` bytes in all."""
    data = np.random.default_rng(item).bytes(size // partitions)
    for bucket in range(partitions):
        tallies.add("sent", len(data))
        yield Block(bucket, partitions, 0, data)


def send_or_fail(place: int, item: tuple[int, int], tallies: TaskResult) -> Iterator[Block]:
    """Send the blocks of an item, but fail at the last block of the item 3."""
    for number, block in enumerate(send(place, item, tallies), 1):
        if item == (3, number):
            raise KeyError("item three is broken")
        yield block


def pass_on(partition: int, blocks: Iterable[Block], tallies: TaskResult) -> Iterator[Block]:
    """Yield the blocks as they are."""
    for block in blocks:
        tallies.add("passed on")
        yield block


def receive(partition: int, blocks: Iterable[Block], tallies: TaskResult, folder: Path) -> None:
    """Write the rows of a partition's blocks to a file `partition`, in order."""
    rows = sorted(f"{row}/{text}" for block in blocks for row, text in rows_of(block.read(), SMALL))
    with (folder / str(partition)).open("x") as file:  # whoever is called twice fails
        file.write("\n".join(rows))
    tallies.add("received", len(rows))
    tallies.add("weight", 0.1 * len(rows), language="en")


def receive_sizes(partition: int, blocks: Iterable[Block], tallies: TaskResult) -> None:
    """Tally blocks and their bytes, and drop them."""
    for block in blocks:
        tallies.add("blocks")
        tallies.add("bytes", len(block.read()))
    tallies.add("called")


def receive_nothing(partition: int, blocks: Iterable[Block], tallies: TaskResult) -> None:
    """Fail if there is a block."""
    assert list(blocks) == []


def take_nothing(partition: int, blocks: Iterable[Block], tallies: TaskResult) -> None:
    """Receive a partition without looking at its blocks."""
