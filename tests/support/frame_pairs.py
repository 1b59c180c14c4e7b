"""Tables of pairs with all that makes bringing images together hard, and the same rows cut in several ways."""

import random
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.inputs import files

FIELDS = ("url", "text", "uid", "language", "page_url")

# Two tests at once may each start a server of Spark Connect: told that it is tested, Spark gives each a free port.
ANY_PORT = {"SPARK_TESTING": "1"}


def write_pairs(sample: Path, folder: Path, number: int = 3) -> pa.Table:
    """Write the pairs of the sample, and nasty ones, into so many files, the last one empty; return their rows."""
    rows = [row for source in files.find([str(sample / "crawl"), str(sample / "pairs")]) for row in _rows(source)]
    rows += nasty_rows()
    random.Random(1).shuffle(rows)
    table = pa.Table.from_pylist(rows, pa.schema([(field, pa.string()) for field in FIELDS]))
    folder.mkdir()
    each = -(-len(table) // (number - 1))
    for part in range(number):
        pq.write_table(table.slice(part * each, each), folder / f"{part} ü.parquet")
    return table


def has_connect() -> bool:
    """Return whether the packages of Spark Connect are installed."""
    return find_spec("grpc") is not None and find_spec("grpc_status") is not None


def nasty_rows() -> list[dict]:
    """Return rows that are dropped, repeated, of one image with many texts, or not ASCII."""
    url, page = "https://example.org/ü 犬.jpg", "https://example.org/"
    many = [{"url": "https://example.org/logo.png", "text": f"the logo {n % 150} of a city"} for n in range(300)]
    stated = [{"url": url, "text": "Berlin", "uid": "own uid 犬", "language": code} for code in ("de", "en", "xx", "")]
    none = [
        {"url": None, "text": "no address"},
        {"url": "", "text": "empty"},
        {"url": "ftp://example.org/a", "text": "x"},
    ]
    empty = [{"url": url, "text": text} for text in (None, "", " \n\t ", "\u2028")]
    odd = [
        {"url": url, "text": text, "page_url": page}
        for text in ("a\u2028city", " two\r\nlines of the city ", "犬\x00犬")
    ]
    copies = [{"url": f"https://example.org/{n % 3}.jpg", "text": "the same text", "page_url": page} for n in range(40)]
    lengthy = [{"url": f"https://example.org/long{n}.jpg", "text": "city 犬 " * 4000} for n in range(2)]
    return many + stated + none + empty + odd + copies + lengthy


def _rows(source: files.Input) -> list[dict]:
    rows = [row for batch in files.read(source) for row in batch.to_pylist() if row["url"] is not None]
    return [{field: row[field] for field in FIELDS} for row in rows]
