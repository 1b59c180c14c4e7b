"""A server of S3 for tests: moto's, in this process, behind a gate that can refuse requests."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import s3fs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Throttling:
    """Answers 503 SlowDown to all but each `every`th request of the `methods`, or to each `tenth`, or 403 to all."""

    def __init__(self, app):
        self.app = app
        self.reset()
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Answer all requests, and forget those that were."""
        self.every, self.methods, self.tenth, self.forbidden = 0, ("GET", "HEAD"), False, False
        self.slowed = 0
        self.requests: list[tuple[str, str]] = []
        self._kinds: list[str] = []

    def kinds(self) -> list[str]:
        """Return the kind of each request: a listing is LIST and a copy on the server COPY, all others their method."""
        with self._lock:
            return list(self._kinds)

    def __call__(self, environ, start_response):
        method = environ["REQUEST_METHOD"]
        with self._lock:
            self.requests.append((method, environ["PATH_INFO"]))
            self._kinds.append(_kind(environ))
            slow = self.every and len(self.requests) % self.every and method in self.methods
            slow = slow or (self.tenth and len(self.requests) % 10 == 0)
            self.slowed += bool(slow)
        if not (slow or self.forbidden):
            return self.app(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, body = ("403 Forbidden", DENIED) if self.forbidden else ("503 Slow Down", SLOW_DOWN)
        start_response(status, [("Content-Type", "application/xml")])
        return [] if method == "HEAD" else [body]


def _kind(environ: dict) -> str:
    if "list-type=2" in environ.get("QUERY_STRING", ""):
        return "LIST"
    return "COPY" if "HTTP_X_AMZ_COPY_SOURCE" in environ else environ["REQUEST_METHOD"]


@contextmanager
def serving_s3() -> Iterator[tuple[Throttling, dict[str, str]]]:
    """Give a server and the environment in which s3fs finds it."""
    app = Throttling(DomainDispatcherApplication(create_backend_app))
    with socket.create_server(("127.0.0.1", 0)) as listener, listening(app, listener) as environment:
        try:
            yield app, environment
        finally:
            s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def listening(app: Throttling, listener: socket.socket) -> Iterator[dict[str, str]]:
    """Let a server answer at a socket too; give the environment in which s3fs finds it there."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
