"""Read WAT files: the images of a crawl's pages, as the JSON of metadata records states them.

Most records are read by kernels (`wat_by_kernels`), odd ones by a JSON parser (`wat_by_parser`).
"""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from curation.inputs.crawl import warc_records, wat_by_kernels
from curation.inputs.crawl.gzip_members import members
from curation.inputs.crawl.page_pairs import candidates_of_file


def read(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WAT file, and its tallies. What cannot be read is passed over and counted."""
    tally = Counter(files=1)
    blocks = warc_records.metadata(members(file, tally), tally)
    yield from candidates_of_file(wat_by_kernels.read(blocks, tally), tally)
