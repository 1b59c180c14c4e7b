"""A web server on this machine that gives a list of answers for each path, good and bad, in turn."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NO_LENGTH = -1  # as the length that an answer claims: none


@dataclass(frozen=True)
class Answer:
    """One answer as it goes over the wire; `length` is what it claims, `sent` how much of the body really goes."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    sent: int | None = None
    waits: bool = False  # with the rest of the body until the client has gone


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]


def file(body: bytes, etag: str = '"1"', sent: int | None = None, waits: bool = False) -> Callable[[Request], Answer]:
    """Return a well-behaved answer: of a file that has a version and can be had from any byte on."""

    def answer(request: Request) -> Answer:
        headers = {"ETag": etag}
        start = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        if "Range" not in request.headers or request.headers.get("If-Range", etag) != etag:
            return Answer(200, body, headers, sent=sent, waits=waits)
        if int(start) >= len(body):
            return Answer(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Answer(206, body[int(start) :], headers, sent=sent, waits=waits)

    return answer


class Server:
    """Answers `answers[path]` in turn, the last one again and again, and remembers what it was asked."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"
        self.answers: dict[str, list] = {}
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self._over = threading.Event()
        self._lock = threading.Lock()

    def serve(self, path: str, *answers) -> str:
        """Give these answers at `path` (Answer, or a function of the request); return the URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """Return the requests for `path`."""
        return [request for request in self.requests if (request.path, request.method) == (path, method)]

    def answer(self, request: Request) -> Answer:
        """Return the answer whose turn it is."""
        with self._lock:
            self.requests.append(request)
            left = self.answers.get(request.path, [Answer(404)])
            answer = left.pop(0) if len(left) > 1 else left[0]
        return answer(request) if callable(answer) else answer

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count this request among those that are answered at once."""
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1

    def wait(self) -> None:
        """Return when the test is over."""
        self._over.wait()

    def close(self) -> None:
        """Let waiting answers end."""
        self._over.set()


@contextmanager
def serving() -> Iterator[Server]:
    """Give a Server that runs inside the block."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    listener.app = server = Server(listener.server_port)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.close()
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server.app
        with server.counted():
            answer = server.answer(Request(self.command, self.path, dict(self.headers)))
            self.close_connection = True
            self._head(answer)
            if self.command == "GET":
                self.wfile.write(answer.body[: answer.sent])
                self.wfile.flush()
                if answer.waits:
                    server.wait()

    do_HEAD = do_GET

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        claims = len(answer.body) if answer.length is None else answer.length
        claimed = {} if claims == NO_LENGTH else {"Content-Length": str(claims)}
        for name, value in (claimed | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""
