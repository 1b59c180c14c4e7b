"""A Hub on this machine, made from the published API: what the client of the Hugging Face Hub asks, and faults.

Datasets have commits, branches and files; big files and tables are stored apart (LFS), and led to under a signature.
"""

import json
import re
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "tOkEn0123456789" * 2
SIGNATURE = "5ecretSignatureOfTheStore"
PAGE = 1000  # files of a listing in one answer
_API = re.compile(
    r"/api/datasets/(?P<name>[^/]+/[^/]+)(?:/(?P<what>[\w-]+)(?:/(?P<revision>[^/]+)(?:/(?P<path>.*))?)?)?"
)
_RESOLVE = re.compile(r"/datasets/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


@dataclass
class Dataset:
    """A dataset: the files of each commit, and the commit of each branch."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit whose files are these; return its name."""
        name = sha1(json.dumps([[*self.commits], sorted(files)]).encode() + b"".join(files.values())).hexdigest()
        self.commits[name] = dict(files)
        self.refs[branch] = name
        return name

    def at(self, revision: str) -> str | None:
        """Return the commit of a revision."""
        return revision if revision in self.commits else self.refs.get(revision)


@dataclass
class Answer:
    """An answer; of `body`, `sent` bytes go over the wire."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None


@dataclass
class Request:
    """What a client asks."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        """The body as JSON."""
        return json.loads(self.body)


Fault = Callable[[Request], Answer | None]


class Hub:
    """The datasets of a Hub, what it was asked, and the faults that come before its answers."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"
        self.store = f"http://localhost:{port}/store"  # another host, to which no token may go
        self.lock = threading.RLock()
        self.at_once = 0
        self.reset()

    def reset(self) -> None:
        """Forget all datasets, requests and faults."""
        self.datasets: dict[str, Dataset] = {}
        self.stored: dict[str, bytes] = {}  # by SHA-256
        self.requests: list[Request] = []
        self.sent = 0  # bytes of files
        self.most_at_once = 0
        self.token = TOKEN
        self.fault: Fault | None = None
        self.page = PAGE

    def dataset(self, name: str, files: dict[str, bytes], **options) -> str:
        """Make a dataset with one commit; return the commit."""
        self.datasets[name] = Dataset(**options)
        return self.datasets[name].commit(files)

    def asked(self, text: str) -> list[Request]:
        """Return the requests whose path has this text."""
        return [request for request in self.requests if text in request.path]

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        with self.lock:
            self.requests.append(request)
        if self.fault and (answer := self.fault(request)):
            return answer
        if request.path.startswith("/store/"):
            return self._store(request)
        if "authorization" in request.headers and request.headers["authorization"] != f"Bearer {self.token}":
            return Answer(401, json.dumps({"error": f"Invalid token {request.headers['authorization']}"}).encode())
        with self.lock:
            return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        is_known = "authorization" in request.headers
        if request.path == "/api/whoami-v2":
            return _json({"name": "owner", "type": "user"}) if is_known else Answer(401)
        if request.path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if request.path == "/api/repos/create":
            return self._create(request) if is_known else Answer(401)
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", request.path):
            return self._batch(request) if is_known else Answer(401)
        if request.path == "/verify":
            return Answer() if request.json["oid"] in self.stored else Answer(404)
        match = _API.fullmatch(request.path) or _RESOLVE.fullmatch(request.path)
        dataset = self.datasets.get(match["name"]) if match else None
        if dataset is None or (dataset.private and not is_known):
            return Answer(404 if is_known else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
        what = match.groupdict().get("what", "resolve")
        revision = unquote(match["revision"] or "main")
        commit = dataset.at(revision)
        if commit is None and what not in ("preupload", "commit"):
            return Answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        files, path = dataset.commits.get(commit, {}), unquote(match["path"] or "")
        if what in (None, "revision"):
            return _json({"id": match["name"], "sha": commit, "private": dataset.private, "gated": dataset.gated})
        if what == "tree":
            return self._tree(request, files, path)
        if what == "paths-info":
            asked = parse_qs(request.body.decode())["paths"]
            return _json([*filter(None, (_entry(files, each) for each in asked))])
        if what == "preupload":
            return _json({"files": [_preuploaded(files, each) for each in request.json["files"]]})
        if what == "commit":
            return self._commit(request, dataset, dict(files), commit) if is_known else Answer(401)
        if dataset.gated and not is_known:
            return Answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        return self._resolve(request, files, path, commit)

    def _create(self, request: Request) -> Answer:
        name = f"{request.json.get('organization') or 'owner'}/{request.json['name']}"
        if name in self.datasets:
            return Answer(409, json.dumps({"url": f"{self.url}/datasets/{name}", "error": "exists"}).encode())
        self.datasets[name] = Dataset(
            private=request.json.get("private") or request.json.get("visibility") == "private"
        )
        self.datasets[name].commit({".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"})
        return _json({"url": f"{self.url}/datasets/{name}", "name": name})

    def _tree(self, request: Request, files: dict[str, bytes], folder: str) -> Answer:
        begin = f"{folder}/" if folder else ""
        below = sorted(name for name in files if name.startswith(begin))
        if folder and not below:
            return Answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        folders = {name[: len(begin) + name[len(begin) :].find("/")] for name in below if "/" in name[len(begin) :]}
        if request.query.get("recursive", ["False"])[0].lower() == "true":
            parents = {name[:at] for name in below for at in range(len(begin), len(name)) if name[at] == "/"}
            names = sorted({*below, *parents})
        else:
            names = sorted([*folders, *(name for name in below if "/" not in name[len(begin) :])])
        first = int(request.query.get("cursor", ["0"])[0])
        last = first + self.page
        entries = [_entry(files, name) for name in names[first:last]]
        recursive = request.query.get("recursive", ["False"])[0]
        link = f'<{self.url}{request.path}?recursive={recursive}&cursor={last}>; rel="next"'
        return _json(entries, {"Link": link} if last < len(names) else {})

    def _resolve(self, request: Request, files: dict[str, bytes], path: str, commit: str) -> Answer:
        if path not in files:
            return Answer(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        body, headers = files[path], {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not _is_stored(path, len(body)):
            return self._ranged(request, body, headers | {"ETag": f'"{_git_hash(body)}"'})
        digest = _sha256(body)
        self.stored[digest] = body
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(body))}
        headers["Location"] = f"{self.store}/{digest}?X-Amz-Signature={SIGNATURE}"
        return Answer(302, b"", headers)

    def _store(self, request: Request) -> Answer:
        digest = request.path.removeprefix("/store/")
        if request.query.get("X-Amz-Signature") != [SIGNATURE] or "authorization" in request.headers:
            return Answer(403, b"a store wants a signature, and no token")
        if request.method == "PUT":
            if sha256(request.body).hexdigest() != digest:
                return Answer(400, b"other bytes than were announced")
            self.stored[digest] = request.body
            return Answer(200, b"", {"ETag": '"0"'})
        return self._ranged(request, self.stored[digest], {"ETag": '"of-the-store-0"'})

    def _ranged(self, request: Request, body: bytes, headers: dict[str, str]) -> Answer:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not asked:
            part, status = body, 200
        else:
            begin, end = int(asked[1]), int(asked[2] or len(body) - 1) + 1
            part, status = body[begin:end], 206
            headers = headers | {"Content-Range": f"bytes {begin}-{begin + len(part) - 1}/{len(body)}"}
        if request.method == "GET":
            with self.lock:
                self.sent += len(part)
        return Answer(status, part, headers)

    def _batch(self, request: Request) -> Answer:
        def action(each: dict) -> dict:
            if each["oid"] in self.stored:
                return {"oid": each["oid"], "size": each["size"]}
            upload = {"href": f"{self.store}/{each['oid']}?X-Amz-Signature={SIGNATURE}", "header": {}}
            verify = {"href": f"{self.url}/verify", "header": {}}
            return {"oid": each["oid"], "size": each["size"], "actions": {"upload": upload, "verify": verify}}

        return _json({"transfer": "basic", "objects": [action(each) for each in request.json["objects"]]})

    def _commit(self, request: Request, dataset: Dataset, files: dict[str, bytes], parent: str | None) -> Answer:
        lines = [json.loads(line) for line in request.body.splitlines()]
        for line in lines:
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit", parent) != parent:
                return Answer(412, json.dumps({"error": "A commit has happened since. Please refresh"}).encode())
            if line["key"] == "file":
                files[value["path"]] = b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.stored:
                    return Answer(400, b'{"error": "no such object"}')
                files[value["path"]] = self.stored[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"])
        commit = dataset.commit(files)
        page = request.path.removeprefix("/api").rpartition("/commit/")[0]
        return _json({"commitUrl": f"{self.url}{page}/commit/{commit}", "commitOid": commit, "success": True})


def _json(content: object, headers: dict[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"} | (headers or {}))


def _is_stored(path: str, size: int) -> bool:
    return size > 0 and (path.endswith((".parquet", ".gz", ".tar")) or size > 10 << 20)


@lru_cache(maxsize=64)
def _sha256(body: bytes) -> str:
    return sha256(body).hexdigest()


@lru_cache(maxsize=64)
def _git_hash(body: bytes) -> str:
    return sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _entry(files: dict[str, bytes], path: str) -> dict | None:
    body = files.get(path)
    if body is None:
        is_folder = any(name.startswith(f"{path}/") for name in files)
        return {"type": "directory", "oid": _git_hash(path.encode()), "size": 0, "path": path} if is_folder else None
    entry = {"type": "file", "oid": _git_hash(body), "size": len(body), "path": path}
    if _is_stored(path, len(body)):
        entry["lfs"] = {"oid": _sha256(body), "size": len(body), "pointerSize": 134}
    return entry


def _preuploaded(files: dict[str, bytes], asked: dict) -> dict:
    path = asked["path"]
    mode = "lfs" if _is_stored(path, asked["size"]) else "regular"
    oid = (_entry(files, path) or {}).get("oid")
    if path in files and mode == "lfs":
        oid = sha256(files[path]).hexdigest()
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub = self.server.app
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with hub.lock:
            hub.at_once += 1
            hub.most_at_once = max(hub.most_at_once, hub.at_once)
        answer = hub.answer(Request(self.command, split.path, parse_qs(split.query), headers, body))
        with hub.lock:
            hub.at_once -= 1
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # a client that was killed
                self.wfile.write(answer.body[: answer.sent])
        if answer.sent is not None:
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *arguments):
        """Say nothing."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that close a connection before they have read an answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Give a Hub that answers inside the block."""
    listener = _Listener(("127.0.0.1", 0), _Handler)
    listener.app = hub = Hub(listener.server_port)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
