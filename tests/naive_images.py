"""Naive twin of curation.images."""


def naive_group(rows: list[dict], max_texts: int) -> tuple[list[dict], tuple[int, int]]:
    """Return the images of candidate rows, and the numbers of duplicates and of rows over the limit."""
    images, duplicates, over = [], 0, 0
    for uid in sorted({row["uid"] for row in rows}):
        own = [row for row in rows if row["uid"] == uid]
        texts = {row["text"]: row for row in reversed(sorted(own, key=lambda row: (row["hash"], row["text"])))}
        kept = sorted(texts.values(), key=lambda row: (row["hash"], row["text"].encode()))[:max_texts]
        kept_rows = sum(row["text"] in {k["text"] for k in kept} for row in own)
        duplicates += kept_rows - len(kept)
        over += len(own) - kept_rows
        pages = [row["page_url"].encode() for row in own if row["page_url"] is not None]
        images.append(
            {
                "uid": uid,
                "url": min(row["url"] for row in own),
                "page_url": min(pages).decode() if pages else None,
                "texts": [{name: row[name] for name in ("text", "kind", "language")} for row in kept],
            }
        )
    return images, (duplicates, over)
