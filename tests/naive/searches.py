"""Naive twin of curation.plugins.find: one image and one text at a time, by Python's own re."""

import re
from collections import Counter
from urllib.parse import unquote

from publicsuffixlist import PublicSuffixList

LISTS = PublicSuffixList()


def naive_domain(url: str | None) -> str | None:
    """Return the registered domain of a URL, in Punycode."""
    rest = (url or "").partition("://")[2]
    if not rest:
        return None
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    host = unquote(authority.partition(":")[0]).rstrip(".").lower()
    if re.fullmatch(r"[0-9.]+", host):
        return host
    host = ".".join(label if label.isascii() else label.encode("idna").decode() for label in host.split("."))
    return LISTS.privatesuffix(host) or host


def naive_texts(image: dict) -> list[dict]:
    """Return the texts of an image, or of a row of a manifest, each with its page."""
    if "candidates" not in image:
        return [image]
    return [text | {"page_url": text["page_url"] or image["page_url"]} for text in image["candidates"]]


def naive_meets(image: dict, text: dict, ids=None, language=(), domain=(), url=(), uid=(), pattern=None) -> bool:
    """Say whether a text of an image meets all conditions; `ids` are those of the entries, None for any text."""
    if ids is not None and not {*ids} & {*text["entries"]}:
        return False
    if language and text["language"] not in language:
        return False
    domains = {naive_domain(image["url"]), f"page:{naive_domain(text['page_url'])}"}
    if domain and not domains & {*domain}:
        return False
    if url and image["url"] not in url:
        return False
    if uid and image["uid"] not in uid:
        return False
    return pattern is None or re.search(pattern, text["text"]) is not None


def naive_found(images: list[dict], **conditions) -> list[tuple[dict, list[dict]]]:
    """Return each image, or row, that has texts that meet the conditions, with these texts."""
    pairs = [
        (image, [text for text in naive_texts(image) if naive_meets(image, text, **conditions)]) for image in images
    ]
    return [(image, texts) for image, texts in pairs if texts]


def naive_probability(ids: list[int], rates) -> float:
    miss = 1.0
    for id in ids:
        miss *= 1.0 - float(rates[id])
    return 1.0 - miss


def naive_expected(images: list[dict], id: int, rates, **conditions) -> float:
    """Return how many images are expected to be kept with a text that has the entry and meets the conditions."""
    total = 0.0
    for image, texts in naive_found(images, **conditions):
        of_entry = [text for text in texts if id in text["entries"]]
        total += sum(naive_probability(text["entries"], rates) for text in of_entry) / len(image["candidates"])
    return total


def naive_beside(images: list[dict], id: int, **conditions) -> Counter:
    """Return in how many of the texts that have the entry and meet the conditions each other entry is."""
    counts = Counter()
    for _, texts in naive_found(images, **conditions):
        for text in texts:
            if id in text["entries"]:
                counts.update(other for other in text["entries"] if other != id)
    return counts
