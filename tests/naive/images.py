"""Naive twins of curation.images: combining and grouping."""

from collections import Counter

from tests.naive.judging import naive_is_foreign
from tests.naive.tables import scripts_of


def naive_combine(rows: list[dict], max_texts: int) -> tuple[list[dict], int]:
    """Return each text of each image once, at most `max_texts` of an image, and how many rows were over the limit."""
    combined, over = [], 0
    for _, uid in sorted({(row["key"], row["uid"]) for row in rows}):
        own = [row for row in rows if row["uid"] == uid]
        of_image = {"url": min(row["url"] for row in own)}
        bits = {bit for row in own for bit in range(31) if row["signals"] >> bit & 1}
        of_image["signals"] = sum(2**bit for bit in bits)
        if len({row["url"] for row in own if row["url"] is not None}) > 1:
            of_image["signals"] -= 2**31
        for name in ("stated_width", "stated_height", "surroundings"):
            of_image[name] = max((row[name] for row in own if row[name] is not None), default=None)
        for rank, (_, text) in enumerate(sorted({(row["hash"], row["text"]) for row in own})):
            same = [row for row in own if row["text"] == text]
            copies, shown = sum(row["copies"] for row in same), 0 if rank else sum(row["shown"] for row in own)
            if rank < max_texts:
                stays = min(same, key=_preference)
                pages = [(row["page_url"], _place(row), row["record"]) for row in same if row["page_url"] is not None]
                page, _, record = min(pages, key=lambda each: each[:2], default=(None, None, None))
                found = {"page_url": page, "record": record, "copies": copies, "shown": shown}
                combined.append({**stays, **of_image, **found})
            else:
                over += copies
    return combined, over


def _place(row: dict) -> list[str]:
    return [] if row["record"] is None else [row["record"]["file"], str(row["record"]["offset"])]


def _preference(row: dict) -> tuple:
    hints = [(row[name] is None, row[name]) for name in ("page_language", "pool_language")]
    return row["kind"], row["given"] is not None, row["given"], *hints


def naive_group(combined: list[dict], unique: bool = False) -> tuple[list[dict], dict]:
    """Return the images of combined rows that have a text with a match, and the tallies by (name, item, language)."""
    images = {}
    for number, row in enumerate(combined):
        images.setdefault(number if unique else row["uid"], []).append(row)
    tallies = Counter()
    tallies["images", None, None] = len(images)
    tallies["shared_uids", None, None] = sum(rows[0]["signals"] < 0 for rows in images.values())
    for row in combined:
        tallies["dropped", "duplicate_text", None] += row["copies"] - 1
        tallies["texts", None, row["language"]] += 1
        tallies["matched", None, row["language"]] += bool(row["entries"])
        tallies["identified", None, row["language"]] += row["lid_score"] is not None
        tallies["score", None, row["language"]] += row["lid_score"] or 0
        tallies["doubtful", None, row["language"]] += row["lid_score"] is not None and row["lid_score"] < 0.5
        written = scripts_of(row["language"])
        tallies["other_script", None, row["language"]] += naive_is_foreign(row["text"], written)
        if row["judged"] in ("han", "pool", "page"):
            tallies["witness", row["judged"], None] += 1
        elif row["judged"]:
            tallies["undetermined", row["judged"], None] += 1
    shown = [sum(row["shown"] for row in rows) for rows in images.values()]
    matched = [
        [row | {"shown": number} for row in rows if row["entries"]]
        for rows, number in zip(images.values(), shown, strict=True)
    ]
    return [_image(rows) for rows in matched if rows], {name: value for name, value in tallies.items() if value}


def _image(rows: list[dict]) -> dict:
    pages = [row["page_url"] for row in rows]
    page = None if None in pages else min(pages)
    candidates = [
        {name: row[name] for name in ("text", "kind", "language", "lid_score", "entries", "record")} for row in rows
    ]
    candidates = [
        text | {"page_url": None if own == page else own} for text, own in zip(candidates, pages, strict=True)
    ]
    of_image = {
        name: rows[0][name] for name in ("uid", "url", "stated_width", "stated_height", "surroundings", "shown")
    }
    of_image["signals"] = rows[0]["signals"] % 2**31
    return of_image | {"page_url": page, "candidates": candidates}
