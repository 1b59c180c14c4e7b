"""Naive twin of curation.exclusion: one row at a time, by Python's own md5, re and IDNA."""

import re
from hashlib import md5
from urllib.parse import unquote


def naive_excluded(row: dict, uids=(), urls=(), domains=(), pages=(), regexes=()) -> str | None:
    url = row["url"]
    if url is None:
        return None
    if naive_uid(row.get("uid") or md5(url.encode()).hexdigest()) in map(naive_uid, uids):
        return "excluded_uid"
    if url in urls:
        return "excluded_url"
    if naive_is_below(url, domains):
        return "excluded_domain"
    if naive_is_below(row.get("page_url"), pages):
        return "excluded_page"
    if any(re.search(pattern, url) for pattern in regexes):
        return "excluded_regex"
    return None


def naive_uid(uid: str) -> str:
    return uid.lower() if re.fullmatch("[0-9a-fA-F]{32}", uid) else uid


def naive_is_below(url: str | None, domains) -> bool:
    host = naive_host(url or "")
    listed = [naive_ascii(domain) for domain in domains]
    return bool(host) and any(host == domain or host.endswith("." + domain) for domain in listed)


def naive_host(url: str) -> str:
    rest = url.partition(":")[2]
    if not rest.startswith("//"):
        return ""
    authority = re.split(r"[/?#\\]", rest[2:], maxsplit=1)[0].rpartition("@")[2]
    host = authority.partition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]
    return naive_ascii(unquote(host))


def naive_ascii(host: str) -> str:
    return ".".join(map(naive_label, host.rstrip(".").split(".")))


def naive_label(label: str) -> str:
    try:
        return label.encode("idna").decode().lower()
    except UnicodeError:  # no name of a host
        return label
