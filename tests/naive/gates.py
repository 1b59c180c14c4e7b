"""The gate from its definition: rows of tables as dictionaries, conditions as functions, one image after the other."""

from collections import Counter
from collections.abc import Callable
from hashlib import md5
from typing import Any
from urllib.parse import urlsplit

from tests.naive.row_ids import naive_hash

Condition = Callable[[dict], bool | None]


def naive_row(image: dict, tables: list[list[dict]]) -> dict:
    """Return the row of an image: of each table that of a success, or else the least; without any, nulls."""
    joined: dict = {}
    for table in tables:
        own = [row for row in table if naive_uid(row) == image["uid"]]
        joined |= min(own, key=_rank, default=dict.fromkeys(name for row in table for name in row))
    return joined


def _rank(row: dict) -> tuple:
    status = row.get("status") or "no_status"
    return status != "success", status, *((value is None, value or 0) for name, value in row.items() if name in _SIZES)


_SIZES = ("width", "height", "score", "clip", "nsfw")


def naive_uid(row: dict) -> str | None:
    if "uid" in row:
        return row["uid"]
    return row["url"] and md5(row["url"].encode()).hexdigest()


def naive_failed(image: dict, tables: list[list[dict]], conditions: list[Condition]) -> list[int]:
    """Return the conditions that the row of an image fails."""
    row = naive_row(image, tables)
    return [number for number, condition in enumerate(conditions) if condition(row) is not True]


def naive_differing(images: list[dict], table: list[dict], columns: list[str]) -> int:
    """Return the number of images with rows that differ, besides downloads that failed and rows of nulls alone."""
    number = 0
    for image in images:
        own = [row for row in table if naive_uid(row) == image["uid"]]
        tried = [row for row in own if not (row.get("status") or "").startswith("failed")]
        number += len({tuple(row[name] for name in columns) for row in tried} - {(None,) * len(columns)}) > 1
    return number


def naive_pictures(values: dict[str, Any], leaders: dict[Any, Any]) -> dict[str, str]:
    """Return the image that stays for each with copies, given a value of each image, and the leader of each value."""
    pictures = {uid: leaders.get(value, value) for uid, value in values.items() if value is not None}
    sizes = Counter(pictures.values())
    stays = {value: min(uid for uid in values if values[uid] == value) for value in sizes}
    return {uid: stays[value] for uid, value in pictures.items() if sizes[value] > 1}


def naive_merged(images: list[dict], copy_of: dict[str, str], max_texts: int) -> list[dict]:
    """Return the images that stay, each with the different texts of its copies, of many those with the least hash.

    An image is shown as often as all its copies.
    """
    texts: dict[str, dict[str, dict]] = {uid: {} for uid in copy_of.values()}
    shown = Counter[str]()
    for row in images:
        shown[copy_of.get(row["uid"], row["uid"])] += row["shown"] or 0
        for text in row["candidates"] if row["uid"] in copy_of else ():
            texts[copy_of[row["uid"]]].setdefault(text["text"], text)
    staying = [row for row in images if copy_of.get(row["uid"], row["uid"]) == row["uid"]]
    return [
        row | {"candidates": _first(row["uid"], texts[row["uid"]], max_texts), "shown": shown[row["uid"]]}
        if row["uid"] in texts
        else row
        for row in staying
    ]


def _first(uid: str, texts: dict[str, dict], most: int) -> list[dict]:
    return [texts[each] for each in sorted(texts, key=lambda text: naive_hash(uid, text))[:most]]


def naive_capped(images: list[dict], most: int, draw: Callable[[str], float]) -> list[dict]:
    """Return the images of each domain with the smallest draws, at most so many; a domain has two labels."""
    by_domain: dict[str, list[dict]] = {}
    for row in images:
        labels = urlsplit(row["url"]).hostname.split(".")
        by_domain.setdefault(".".join(labels[-2:]), []).append(row)
    kept = {row["uid"] for rows in by_domain.values() for row in sorted(rows, key=lambda row: draw(row["uid"]))[:most]}
    return [row for row in images if row["uid"] in kept]
