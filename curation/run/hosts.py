"""Give the rows of an input the languages of their hosts, as the sure texts of the same input show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from curation.exclusion.sets import hosts
from curation.language.hosts import host_languages
from curation.language.identify import Identifier
from runtime.arrow.batching import gather_rows

ROWS = 131_072  # counted together, so that memory is bounded; a host comes with all its pages in a row, or at random
BYTES = 128 << 20


def with_host_languages(batches: Iterable[pa.RecordBatch], identifier: Identifier) -> Iterator[pa.RecordBatch]:
    """Yield the CANDIDATES of one input in larger batches, whose texts alone say which language a host is in.

    The host is that of the page, or else of the image.
    """
    for rows in gather_rows(batches, ROWS, BYTES):
        texts = pc.if_else(rows["url"].is_valid(), rows["text"], None)  # of tallies, it is a name
        urls = pc.coalesce(rows["page_url"], rows["url"]).dictionary_encode()  # a page has many images
        found = host_languages(texts, hosts(urls.dictionary, str.lower).take(urls.indices), identifier)
        place = rows.schema.get_field_index("host_language")
        yield rows.set_column(place, rows.schema.field(place), found)
