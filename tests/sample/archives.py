"""Pages as records of WAT and WARC files in Common Crawl's layout: each record a gzip member of its own."""

import gzip
import json
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from tests.sample.pages import Page

DATE = "2024-06-01T00:00:00Z"
CHARSETS = {"ja": "shift_jis", "ru": "windows-1251"}  # of pages in a WARC; others are UTF-8
IN_WAT = ("alt", "title")  # the attributes that Common Crawl's WAT writer keeps
LINK = rb'{"path":"IMG@\/src","url":"\/a.jpg","alt":"a dog"}'
BROKEN = (  # payloads of WAT records: cut, empty, no JSON at all, and JSON that describes no page
    b'{"Envelope":{"Payload-Metadata":{"HTML-Metadata":{"Links":[' + LINK,
    b"",
    b"\xff\xfe" + LINK,
    b"[" + LINK + b"]",
    b'{"Envelope":null,"Links":[' + LINK + b"]}",
)


def write_wat(path: Path, pages: Iterable[Page], broken: Iterable[bytes] = ()) -> None:
    """Write the metadata records of the pages, and one record for each broken payload."""
    name = path.name.replace(".wat.gz", ".gz")
    with open(path, "wb") as file:
        file.write(_warcinfo(path.name))
        file.write(_metadata(name, {"WARC-Info-Metadata": {"isPartOf": "CC-MAIN-2024-26"}}, name, "warcinfo"))
        for page in pages:
            file.writelines(_wat_records(page, name))
        for number, payload in enumerate(broken):
            file.write(_wat_record(f"https://broken.example/{number}", payload))


def write_warc(path: Path, pages: Iterable[Page]) -> None:
    """Write the requests and responses of the pages."""
    with open(path, "wb") as file:
        file.write(_warcinfo(path.name))
        for page in pages:
            request = f"GET {page.url} HTTP/1.1\r\nUser-Agent: CCBot/2.0\r\n\r\n".encode()
            file.write(_http_record(page.url, "request", request))
            file.write(_http_record(page.url, "response", _response(page)))


def _wat_records(page: Page, name: str) -> Iterator[bytes]:
    """Yield what Common Crawl has of each page: its request, its response and the crawler's remarks."""
    request = {"Request-Message": {"Method": "GET", "Path": page.url, "Version": "HTTP/1.1"}}
    response = {
        "Response-Message": {"Status": "200", "Version": "HTTP/1.1", "Reason": "OK"},
        "Headers": {"Content-Type": "text/html; charset=UTF-8"},
        "HTML-Metadata": _html_metadata(page),
    }
    remarks = {"Metadata-Records": [{"Name": "charset-detected", "Value": "UTF-8"}]}
    yield _metadata(page.url, {"HTTP-Request-Metadata": request}, name, "request")
    yield _metadata(page.url, {"HTTP-Response-Metadata": response}, name, "response")
    yield _metadata(page.url, {"WARC-Metadata-Metadata": remarks}, name, "metadata")


def _html_metadata(page: Page) -> dict:
    metas = [{"name": "HTML@/lang", "content": page.language}, {"name": "robots", "content": page.robots}]
    head = {"Metas": metas, "Title": page.title}
    if page.base:
        head["Base"] = page.base
    links = [{"path": "A@/href", "url": "/", "text": page.title}, {"path": "A@/href", "url": "#top"}]
    for image in page.images:
        kept = {name: image[name] for name in IN_WAT if name in image}
        links.append({"path": "IMG@/src", "url": image["src"], **kept})
    return {"Head": head, "Links": links}


def _metadata(uri: str, payload: dict, name: str, kind: str) -> bytes:
    """Return the WAT record that describes a record of the WARC file `name`."""
    content = "application/warc-fields" if kind in ("warcinfo", "metadata") else f"application/http; msgtype={kind}"
    header = {"WARC-Type": kind, "WARC-Date": DATE, "WARC-Record-ID": _id(kind, uri), "WARC-Target-URI": uri}
    envelope = {
        "Payload-Metadata": {"Actual-Content-Type": content, **payload},
        "Format": "WARC/1.0",
        "WARC-Header-Metadata": header | {"Content-Type": content},
    }
    document = {"Container": {"Filename": name, "Compressed": True}, "Envelope": envelope}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _wat_record(uri, text.replace("/", r"\/").encode(), kind)  # the WAT writer escapes slashes


def _wat_record(uri: str, payload: bytes, kind: str = "response") -> bytes:
    refers = {"WARC-Refers-To": _id(kind, uri), "Content-Type": "application/json"}
    return _record({"WARC-Type": "metadata", "WARC-Target-URI": uri, **refers}, payload)


def _http_record(uri: str, kind: str, body: bytes) -> bytes:
    content = f"application/http; msgtype={kind}"
    return _record({"WARC-Type": kind, "WARC-Target-URI": uri, "Content-Type": content}, body)


def _warcinfo(name: str) -> bytes:
    header = {"WARC-Type": "warcinfo", "WARC-Filename": name, "Content-Type": "application/warc-fields"}
    return _record(header, b"isPartOf: CC-MAIN-2024-26\r\nformat: WARC File Format 1.0\r\n")


def _record(header: dict[str, str], body: bytes) -> bytes:
    """Return one record as a gzip member; without a time in it, so that the same pages make the same bytes."""
    uri = header.get("WARC-Target-URI", "")
    header = header | {"WARC-Date": DATE, "WARC-Record-ID": _id("record", *header.values(), uri)}
    lines = ["WARC/1.0", *(f"{key}: {value}" for key, value in header.items()), f"Content-Length: {len(body)}"]
    return gzip.compress("\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n\r\n", 6, mtime=0)


def _id(*parts: str) -> str:
    return f"<urn:uuid:{uuid5(NAMESPACE_URL, '/'.join(parts))}>"


def _response(page: Page) -> bytes:
    charset = CHARSETS.get(page.language, "utf-8")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={charset}\r\n\r\n"
    return head.encode() + _html(page, charset).encode(charset, "xmlcharrefreplace")


def _html(page: Page, charset: str) -> str:
    base = f'<base href="{escape(page.base)}">' if page.base else ""
    images = "\n".join(f"<p><img {_attributes(image)}></p>" for image in page.images)
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}"><head><meta charset="{charset}">'
        f'<meta name="robots" content="{page.robots}">{base}'
        f"<title>{escape(page.title)}</title></head>\n<body>{images}</body></html>\n"
    )


def _attributes(image: dict[str, str]) -> str:
    return " ".join(f'{name}="{escape(value)}"' for name, value in image.items())
