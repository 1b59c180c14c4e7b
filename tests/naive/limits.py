"""Naive twin of curation.inputs.limits.cut: one text at a time."""


def naive_cut(texts: list[str | None], length: int) -> tuple[list[str | None], int]:
    """Return the texts, cut, and how many were."""
    is_long = [text is not None and len(text) > length for text in texts]
    cut = [text[:length].rstrip() if long else text for text, long in zip(texts, is_long, strict=True)]
    return cut, sum(is_long)
