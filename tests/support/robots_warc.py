"""WARC files of robots.txt records, as Common Crawl's are."""

import gzip
from collections.abc import Iterable
from pathlib import Path


def robots_warc(path: Path, records: Iterable[tuple[str, int, int, bytes]]) -> None:
    """Write records of host (or its URL), second of the hour, status and content, with a request before each."""
    members = [_record("warcinfo", "", 0, b"software: x")]
    for host, second, status, content in records:
        url = host if "://" in host else f"http://{host}/robots.txt"
        answer = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\n\r\n".encode() + content
        members += [_record("request", url, second, b"GET /robots.txt"), _record("response", url, second, answer)]
    path.write_bytes(b"".join(map(gzip.compress, members)))


def _record(kind: str, url: str, second: int, block: bytes) -> bytes:
    date = f"2026-11-27T10:00:{second:02}Z"
    content_type = f"application/http; msgtype={kind}" if kind == "response" else "text/plain"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"
