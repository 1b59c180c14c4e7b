"""The gate from its definition: rows of tables as dictionaries, conditions as functions, one image after the other."""

from collections.abc import Callable
from hashlib import md5

Condition = Callable[[dict], bool | None]


def naive_rows(image: dict, tables: list[list[dict]]) -> list[dict]:
    """Return every combination of one row of each table that is of an image; a table without any gives nulls."""
    combined: list[dict] = [{}]
    for table in tables:
        columns = {name for row in table for name in row}
        own = [row for row in table if naive_uid(row) == image["uid"]]
        combined = [one | other for one in combined for other in own or [dict.fromkeys(columns)]]
    return combined


def naive_uid(row: dict) -> str | None:
    if "uid" in row:
        return row["uid"]
    return row["url"] and md5(row["url"].encode()).hexdigest()


def naive_failed(image: dict, tables: list[list[dict]], conditions: list[Condition]) -> list[int]:
    """Return the conditions that an image fails: those of the row that meets the most of them."""
    met = [[condition(row) is True for condition in conditions] for row in naive_rows(image, tables)]
    best = max(met, key=lambda each: (sum(each), each[::-1]))
    return [number for number, holds in enumerate(best) if not holds]
