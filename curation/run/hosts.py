"""Give the rows of an input the labels of their texts, and the languages of their hosts, as sure texts show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.sets import hosts
from curation.inputs.candidates import ROWS as ROWS_READ
from curation.inputs.limits import shorter, texts_of
from curation.language.hosts import host_languages
from curation.language.identify import Identifier
from curation.schemas import LABELS
from runtime.arrow.batching import gather_rows

ROWS = 131_072  # counted together, so that memory is bounded; a host comes with all its pages in a row, or at random
BYTES = 128 << 20


def with_host_languages(
    batches: Iterable[pa.RecordBatch], identifier: Identifier, max_text_length: int
) -> Iterator[pa.RecordBatch]:
    """Yield the CANDIDATES of one input, with LABELS, in larger batches whose texts say which language a host is in.

    The host is that of the page, or else of the image. Labels are those of the texts as they are matched.
    """
    for rows in gather_rows(batches, ROWS, BYTES):
        texts, _ = shorter(texts_of(rows), max_text_length)
        labelled = identifier.predict(texts)
        urls = pc.coalesce(rows["page_url"], rows["url"]).dictionary_encode()  # a page has many images
        found = host_languages(texts, labelled, hosts(urls.dictionary, str.lower).take(urls.indices))
        place = rows.schema.get_field_index("host_language")
        columns = [*rows.columns[:place], found, *rows.columns[place + 1 :], *labelled]
        found = pa.RecordBatch.from_arrays(columns, [*rows.schema.names, *LABELS])
        yield from (found.slice(begin, ROWS_READ) for begin in range(0, found.num_rows, ROWS_READ))
