"""Combine the pairs of an image: keep each text once, and at most a number of texts, the ones with the smallest hashes.

`combine` may be applied to parts of the pairs and then to its own results: a pair that it drops from a part would also
be dropped from all pairs together. So a logo with five million alts takes no more memory than any other image.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.inputs.limits import SHARED_UID
from curation.kernels.images import differs_from_last, smallest
from runtime.arrow import differs, string_buffers, taken
from runtime.redaction import hidden
from runtime.tallies import TaskResult

OVER_LIMIT = "text_over_limit"
# This bit of `signals` says that the uid has several URLs. `combine` sets it, and `group_images` clears it. It is the
# sign bit, which no signal, place or licence uses: it never reaches a file of images.
SEVERAL_URLS = -(1 << 31)
EXAMPLE_CHARACTERS = 200  # An example shows this many characters of a uid or URL.

OF_TEXT = ("page_url", "record", "copies", "shown")  # `combine` computes these columns anew for each text that stays.
_PREFERRED = ["kind", "given", "page_language", "pool_language"]  # They decide which of equal texts stays.


def combine(rows: pa.RecordBatch, max_texts: int, result: TaskResult) -> pa.RecordBatch:
    """Return rows with the schema KEYED or PAIRS, each text of an image once, at most `max_texts` texts of an image.

    The result is sorted by key, uid, hash, text, kind, given, page_language and pool_language. The first of several
    rows of an image with equal texts stays. `result` gets the number of rows dropped because of `max_texts`.

    Each row that stays gets `copies`, the number of input rows with its text, and their smallest page_url, with its
    record. All rows of an image get its smallest url, all of its signals, and the largest width and height stated.
    The first also gets the sum of `shown` over all rows of the image, including dropped rows; the others get 0.
    """
    order, new_image, new_text = _ordered(rows)
    rows = _marked(rows, order, new_image, result)
    texts = np.flatnonzero(new_text)
    images = np.append(np.flatnonzero(new_image), len(order))
    of_texts = np.append(texts, len(order))
    image_of_text = np.cumsum(new_image)[texts] - 1
    rank = np.arange(len(texts)) - np.flatnonzero(new_image[texts])[image_of_text]  # Ranks count within each image.
    copies = reduced(np.add, rows["copies"].to_numpy()[order].astype(np.int64), of_texts)
    shown = reduced(np.add, rows["shown"].to_numpy()[order].astype(np.int64), images)
    stays = rank < max_texts
    result.add("dropped", int(copies[~stays].sum()), item=OVER_LIMIT)

    kept = pa.array(order[texts[stays]])
    columns = {name: taken(rows[name], kept) for name in rows.schema.names if name not in (*OF_IMAGE, *OF_TEXT)}
    pages = smallest_rows(_with_records(rows), order, of_texts)[stays]
    columns |= {name: taken(rows[name], pa.array(pages, mask=pages < 0)) for name in ("page_url", "record")}
    for name, of_image in OF_IMAGE.items():
        columns[name] = of_image(rows[name], order, images, image_of_text[stays])
    sums = {"copies": copies, "shown": np.where(rank == 0, shown[image_of_text], 0)}
    columns |= {name: pa.array(values[stays], pa.int32()) for name, values in sums.items()}
    return pa.RecordBatch.from_pydict(columns, schema=rows.schema)


def _marked(rows: pa.RecordBatch, order: np.ndarray, new_image: np.ndarray, result: TaskResult) -> pa.RecordBatch:
    """Return `rows` with SEVERAL_URLS in `signals` where the URL differs from the URL in the image's row before.

    `order` has the indices that sort rows; in this order, `new_image` says which rows begin an image. `result` gets an
    example of a uid with two URLs, unless it has one.
    """
    offsets, data = string_buffers(rows["url"])
    has_url = rows["url"].is_valid().to_numpy(zero_copy_only=False)
    positions = np.flatnonzero(~new_image)
    # Of several copies of a picture, only one has its URL.
    positions = positions[has_url[order[positions]] & has_url[order[positions - 1]]]
    differs = np.empty(len(positions), bool)
    differs_from_last(offsets, data, order, positions, differs)
    positions = positions[differs]
    if not len(positions):
        return rows
    if not result.noted(SHARED_UID):
        row, last = order[positions[0]], order[positions[0] - 1]
        uid = str(rows["uid"][row])[:EXAMPLE_CHARACTERS]
        urls = [str(rows["url"][last])[:EXAMPLE_CHARACTERS], str(rows["url"][row])[:EXAMPLE_CHARACTERS]]
        result.note(SHARED_UID, f"{uid} ({' and '.join(map(hidden, sorted(urls)))})")
    signals = rows["signals"].to_numpy().copy()
    signals[order[positions]] |= SEVERAL_URLS
    return with_numbers(rows, "signals", signals)


def with_numbers(rows: pa.RecordBatch, name: str, numbers: np.ndarray) -> pa.RecordBatch:
    index = rows.schema.get_field_index(name)
    return rows.set_column(index, rows.schema.field(index), pa.array(numbers, pa.int32()))


def _ordered(rows: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices that sort rows, and in that order, whether each row begins a new image and a new text."""
    order = _order_by_numbers(rows)
    new_image, new_text, is_exact = _begins(rows, order)
    if not is_exact:
        order = _exact_order(rows)
        new_image, new_text, _ = _begins(rows, order)
    return order, new_image, new_text


def _order_by_numbers(rows: pa.RecordBatch) -> np.ndarray:
    """Return the indices that sort rows by key, hash and `_preference`.

    They are wrong if two uids have the same key, or two texts of an image the same hash.
    """
    keys = rows["key"].to_numpy()
    hashes = rows["hash"].to_numpy()
    order = np.argsort(keys)
    shared = ~differs(keys[order])
    shared[:-1] |= shared[1:]
    some = np.sort(order[shared])  # The first of equal rows stays, though the sort above is not stable.
    preference = _preference(rows.select(_PREFERRED).take(pa.array(some)))
    order[shared] = some[np.lexsort((preference, hashes[some], keys[some]))]
    return order


def _preference(rows: pa.RecordBatch) -> np.ndarray:
    """Return int64[row]: a rank by kind, given (null first), then page_language and pool_language (null last)."""
    first = [rows["kind"], rows["given"], *(_none_last(rows[name]) for name in ("page_language", "pool_language"))]
    numbers = np.zeros(rows.num_rows, np.int64)
    for ranks in map(_ranks, first):
        numbers = numbers * (int(ranks.max(initial=0)) + 1) + ranks
    return numbers


def _none_last(codes: pa.Array) -> pa.Array:
    return codes if codes.null_count == len(codes) else pc.fill_null(codes, "~")


def _ranks(strings: pa.Array) -> np.ndarray:
    """Return the rank of each string among the distinct strings, from 1 on; 0 for a null."""
    codes = strings.dictionary_encode()
    ranks = np.empty(len(codes.dictionary), np.int64)
    ranks[pc.sort_indices(codes.dictionary).to_numpy()] = np.arange(1, len(ranks) + 1)
    return pc.fill_null(pa.array(ranks).take(codes.indices), 0).to_numpy()


def _begins(rows: pa.RecordBatch, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return, in `order`, which rows begin an image and which a text, and whether key and hash suffice to tell this."""
    new_key = differs(rows["key"].to_numpy()[order])
    new_image = new_images(rows, order)
    new_hash = new_image | differs(rows["hash"].to_numpy()[order])
    new_text = _differs_too(new_hash, rows["text"], order)
    return new_image, new_text, np.array_equal(new_key, new_image) and np.array_equal(new_hash, new_text)


def new_images(rows: pa.RecordBatch, order: np.ndarray) -> np.ndarray:
    """Return a mask, in `order`: which rows are of another image than the row before; True for the first row."""
    return _differs_too(differs(rows["key"].to_numpy()[order]), rows["uid"], order)


def _exact_order(rows: pa.RecordBatch) -> np.ndarray:
    """Return the indices that sort rows by key, uid, hash and text, also where keys or hashes collide."""
    uids = _ranks(rows["uid"])
    texts = _ranks(rows["text"])
    return np.lexsort((_preference(rows), texts, rows["hash"].to_numpy(), uids, rows["key"].to_numpy()))


def _differs_too(differs: np.ndarray, strings: pa.Array, order: np.ndarray) -> np.ndarray:
    """Return a mask, in `order`: where `differs` is True, or the string differs from the string in the row before."""
    offsets, data = string_buffers(strings)
    alike = np.flatnonzero(~differs)
    unlike = np.empty(len(alike), bool)
    differs_from_last(offsets, data, order, alike, unlike)
    differs = differs.copy()
    differs[alike] = unlike
    return differs


def _smallest(column: pa.Array, order: np.ndarray, bounds: np.ndarray, images: np.ndarray) -> pa.Array:
    """Return the smallest string of each of `images`, null if an image has none.

    Image i has the strings of the rows order[bounds[i] : bounds[i + 1]], and `images` are such numbers i. Rows may also
    be grouped by text instead of image.
    """
    rows = smallest_rows(column, order, bounds)[images]
    return column.take(pa.array(rows, mask=rows < 0))


def _with_records(rows: pa.RecordBatch) -> pa.Array:
    """Return strings that sort rows by page URL and record: URL, file and offset of the record, joined by NUL."""
    records, pages = rows["record"], rows["page_url"]
    if records.null_count == len(records):
        return pages
    file, offset = (pc.struct_field(records, name).cast(pa.string()).fill_null("") for name in ("file", "offset"))
    return pc.binary_join_element_wise(pages, file, offset, "\0")


def smallest_rows(column: pa.Array, order: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the row of the smallest string of each image, -1 if an image has none; arguments as for `_smallest`."""
    offsets, data = string_buffers(column)
    rows = np.empty(len(bounds) - 1, np.int64)
    smallest(offsets, data, column.is_valid().to_numpy(zero_copy_only=False), order, bounds, rows)
    return rows


def _all_bits(column: pa.Array, order: np.ndarray, bounds: np.ndarray, images: np.ndarray) -> pa.Array:
    """Return the bitwise OR of the numbers of each of `images`; arguments as for `_smallest`."""
    return pa.array(reduced(np.bitwise_or, column.to_numpy()[order], bounds)[images])


def _largest(column: pa.Array, order: np.ndarray, bounds: np.ndarray, images: np.ndarray) -> pa.Array:
    """Return the largest number of each of `images`, null if an image has none; arguments as for `_smallest`."""
    largest = reduced(np.maximum, pc.fill_null(column, -1).to_numpy()[order], bounds)[images]
    return pa.array(largest, mask=largest < 0)


def reduced(function: np.ufunc, values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    return function.reduceat(values, bounds[:-1]) if len(values) else values


# These columns have one value per image; each function computes the value from all rows of the image.
OF_IMAGE = {
    "url": _smallest,
    "signals": _all_bits,
    "stated_width": _largest,
    "stated_height": _largest,
    "surroundings": _largest,
}
