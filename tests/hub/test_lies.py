"""A server that lies ends in one sentence that says who gave which answer, and gets no token that is not for it."""

import gzip
import io
import json
import threading
import time
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs import files
from curation.plugins.hub import answers, uploads
from metadata import Entries
from runtime.errors import InputError
from runtime.storage.remote import try_again
from tests.support.hub_server import SIGNATURE, TOKEN, Answer

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the client
PAIRS = pa.table({"url": ["https://e.example/0.jpg"] * 9, "text": ["a dog"] * 9})
FAR_AWAY = "wants to be asked in "
ANOTHER = "leads to another host, http://localhost:"
CONTROL = "\x1b[2J"


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(PAIRS, sink)
    return sink.getvalue()


def says(body: bytes | object, status: int = 200, **headers: str):
    """Return a lie: the answer has this body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda hub, ask: Answer(status, content, named)


def of_json(change):
    """Return a lie: the honest answer, with its content changed."""

    def lie(hub, ask) -> Answer:
        honest = ask()
        content = json.loads(honest.body)
        return Answer(honest.status, json.dumps(change(content)).encode(), honest.headers)

    return lie


def of_files(**values):
    """Return a lie: members of the entries of files in a listing have these values; None: the entries lack them."""

    def change(entries: list[dict]) -> list[dict]:
        for entry in entries:
            if entry["path"].endswith(".parquet"):
                entry.update(values)
        return [{name: value for name, value in entry.items() if value is not None} for entry in entries]

    return of_json(change)


def of_headers(**values: str):
    """Return a lie: the honest answer, with other headers."""
    named = {name.replace("_", "-"): value for name, value in values.items()}

    def lie(hub, ask) -> Answer:
        honest = ask()
        return Answer(honest.status, honest.body, honest.headers | named)

    return lie


def next_page(address: str):
    """Return a lie: a page of a listing that leads to another one."""
    return lambda hub, ask: Answer(200, b"[]", {"Link": f'<{address.format(hub=hub)}>; rel="next"'})


def broken_off(hub, ask) -> Answer:
    honest = ask()
    return Answer(honest.status, honest.body, honest.headers, sent=len(honest.body) // 2)


def led_around(hub, ask) -> Answer:
    return Answer(302, b"", {"Location": f"{hub.url}/api/datasets/o/pairs/tree/around"})


def longer(hub, ask) -> Answer:
    honest = ask()
    return Answer(honest.status, honest.body + b"more", honest.headers)


TREE = "{hub.url}/api/datasets/o/pairs/tree/"
INFO, LISTING, PATHS, BYTES, STORE = "/revision/", "/tree/", "/paths-info/", "/resolve/", "/store/"
PAGES = [next_page(TREE + "a"), next_page(TREE + "b")]
LIES = {
    "HTML in place of JSON": (INFO, says(b"<html>", Content_Type="text/html"), "malformed answer about .*JSONDecodeE"),
    "null": (INFO, says(None), "malformed answer about hf://datasets/o/pairs@main .*TypeError"),
    "100,000 brackets": (INFO, says(b"[" * 100_000), "malformed answer about .*RecursionError"),
    "an info without id": (INFO, says({"sha": "0" * 40}), r"malformed answer about .*\(KeyError: 'id'\)"),
    "a commit that leads up": (INFO, says({"id": "o/pairs", "sha": "../../x"}), "malformed .*../../x is not a commit"),
    "a commit of a number": (INFO, says({"id": "o/pairs", "sha": 7}), "malformed .*7 is not a commit"),
    "no commit": (INFO, says({"id": "o/pairs", "sha": None}), "has no commit; pass a dataset with files"),
    "a listing of null": (LISTING, says(None), "malformed .*TypeError"),
    "a listing of numbers": (LISTING, says([1, 2]), "malformed .*TypeError"),
    "a listing in brackets": (LISTING, says(b"[" * 100_000), "malformed .*RecursionError"),
    "a listing of other bytes": (LISTING, says(b'["\xff"]'), "malformed .*UnicodeDecodeError"),
    "an empty body": (LISTING, says(b""), "malformed .*JSONDecodeError"),
    "an entry without type": (LISTING, of_files(type=None), r"malformed .*\(KeyError: 'type'\)"),
    "an entry without oid": (LISTING, of_files(oid=None), r"malformed .*\(KeyError: 'oid'\)"),
    "an entry without path": (LISTING, of_json(lambda entries: [{"type": "file"}]), r"malformed .*\(KeyError: 'path'"),
    "an entry with half an lfs": (LISTING, of_files(lfs={"size": 4}), r"malformed .*\(KeyError: 'oid'\)"),
    "a path that leads up": (
        LISTING,
        of_files(path="../../x.parquet"),
        "malformed .*../../x.parquet is not a path of a",
    ),
    "an absolute path": (
        LISTING,
        of_files(path="/etc/x.parquet"),
        "malformed .*/etc/x.parquet is not a path of a file",
    ),
    "a path with null": (LISTING, of_files(path="x\0.parquet"), "malformed .*is not a path of a file"),
    "a path of a number": (LISTING, of_files(path=3), "malformed .*AttributeError"),
    "a path twice": (LISTING, of_json(lambda entries: entries * 2), "malformed .*it lists .* twice"),
    "a negative size": (LISTING, of_files(size=-1), "malformed .*a.parquet has -1 bytes"),
    "a size in words": (LISTING, of_files(size="all"), "malformed .*a.parquet has all bytes"),
    "a size that is too large": (LISTING, of_files(size=10**9), "cannot be fetched from .* try again later"),
    "a size that is too small": (LISTING, of_files(size=9), "cannot be read as Parquet"),
    "a page that leads to itself": (LISTING, next_page(TREE + "a"), "malformed .*leads back to a page that was seen"),
    "pages that lead around": (LISTING, lambda hub, ask: PAGES[len(hub.requests) % 2](hub, ask), "leads back to"),
    "a page on another host": (LISTING, next_page("{hub.store}/more"), ANOTHER),
    "a page on no host": (LISTING, next_page("file:///etc/passwd"), "leads to another host, "),
    "a huge page": (LISTING, says(b"[" + b" " * (65 << 20)), "malformed .*a page of more than 64 MB"),
    "a page that unpacks to a huge one": (
        LISTING,
        says(gzip.compress(b" " * (65 << 20)), Content_Encoding="gzip"),
        "malformed .*a page of more than 64 MB",
    ),
    "a page that does not unpack": (LISTING, says(b"[]", Content_Encoding="gzip"), "cannot be fetched from"),
    "a page that breaks off": (LISTING, broken_off, "cannot be fetched from .* try again later"),
    "a redirect to itself": (LISTING, led_around, "cannot be fetched from .*redirects"),
    "a look-up of another path": (PATHS, of_files(path="other.parquet"), "malformed .*it is about other.parquet"),
    "a look-up in two answers": (PATHS, of_json(lambda entries: entries * 2), "malformed .*it is about data/a.parquet"),
    "a look-up of null": (PATHS, says(None), "malformed .*TypeError"),
    "another part of the file": (STORE, of_headers(Content_Range="bytes 7-9/99"), "bytes 7-9/99 came instead of bytes"),
    "a part of an unknown file": (STORE, says(b"PAR1", 206), "an unknown part came instead of bytes"),
    "more bytes than were asked for": (STORE, longer, "bytes came instead of"),
    "the whole file": (STORE, says(parquet()), "cannot send parts of files; copy it to this machine"),
    "a redirect without target": (BYTES, says(b"", 302), "cannot send parts of files; copy it to this machine"),
    "an error of a list": (STORE, says([], 500), "malformed .*AttributeError"),
    "an error that clears the terminal": (STORE, says(f"{CONTROL}{TOKEN}".encode(), 503), "cannot be fetched from"),
    "a storage that refuses its links": (
        STORE,
        says(b"no", 403),
        r"the storage of .*, http://localhost:\d+, refuses links",
    ),
    "a wait of a day": (STORE, says(b"", 429, Retry_After="100000"), FAR_AWAY + "100,000 s; run the same command"),
    "a wait until 2099": (LISTING, says(b"", 503, Retry_After="Thu, 01 Jan 2099 00:00:00 GMT"), FAR_AWAY),
    "a wait for ever": (INFO, says(b"", 429, ratelimit='"api";r=0;t=99999999999'), FAR_AWAY + "99,999,999,999 s"),
    "a wait of many digits": (PATHS, says(b"", 429, Retry_After="9" * 400), FAR_AWAY),
}


@pytest.fixture
def sleeps(monkeypatch):
    """The seconds that this thread would have slept; servers of other tests, in other threads, sleep as ever."""
    slept = []
    own_thread = threading.get_ident()
    sleep = time.sleep

    def sleep_elsewhere(seconds: float) -> None:
        if threading.get_ident() == own_thread:
            slept.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr("time.sleep", sleep_elsewhere)
    monkeypatch.setattr(answers, "try_again", partial(try_again, sleep=slept.append))
    return slept


def lying(hub, part: str, lie) -> None:
    """Let a Hub lie where the path of a request has `part`."""

    def fault(request):
        if part not in request.path:
            return None
        return lie(hub, lambda: honest(request))

    def honest(request):
        hub.fault = None
        try:
            return hub.answer(request)
        finally:
            hub.fault = fault

    hub.fault = fault


def refused(hub, *texts: str) -> None:
    """Assert that texts for a user have no secret, and that no token has gone to the other host."""
    assert not [text for text in texts if TOKEN in text or SIGNATURE in text]
    other_host = [request for request in hub.requests if request.headers["host"].startswith("localhost")]
    assert not [request for request in other_host if "authorization" in request.headers]


def read(address: str) -> int:
    """Read all pairs at an address; return their number."""
    return sum(len(batch) for source in files.find([address]) for batch in files.read(source))


def seen(caplog) -> list[str]:
    """Return what is logged, except by the client's own loggers, to which pytest listens and nobody else."""
    return [record.getMessage() for record in caplog.records if not record.name.startswith("huggingface_hub")]


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_dataset_that_is_read_is_refused_in_a_sentence(hub, name, sleeps, capfd, caplog):
    hub.dataset("o/pairs", {"data/a.parquet": parquet()})
    part, lie, sentence = LIES[name]
    lying(hub, part, lie)
    address = "hf://datasets/o/pairs" + ("/data/a.parquet" if part == PATHS else "")
    with pytest.raises((InputError, OSError), match=sentence) as said:
        read(address)
    assert str(said.value).count("\n") == 0
    assert "malformed" not in sentence or str(said.value).startswith(hub.url)
    assert max(sleeps, default=0) < 3600
    refused(hub, str(said.value), *capfd.readouterr(), *seen(caplog))


OF_UPLOADS = {
    "an info without private": ("/o/made", says({"id": "o/made", "sha": "0" * 40}), "malformed .*does not say whether"),
    "an info of another form": ("/o/made", says([]), "malformed .*TypeError"),
    "a commit without its URL": ("/commit/", of_json(lambda made: {"success": True}), "malformed .*'commitUrl'"),
    "a commit that leads up": (
        "/commit/",
        of_json(lambda made: made | {"commitOid": "../x"}),
        r"\.\./x is not a commit",
    ),
    "a commit of null": ("/commit/", says(None), "malformed .*TypeError"),
    "a new dataset of null": ("/repos/create", says(None), "malformed .*TypeError"),
    "no plan for the files": ("/preupload/", says({}), r"malformed .*\(ValueError: preupload_info"),
    "a plan of null": ("/preupload/", says(None), "malformed .*AttributeError"),
    "no links to the storage": ("/objects/batch", says({}), r"malformed .*\(ValueError: Malformed response"),
    "links of null": ("/objects/batch", says(None), "malformed .*AttributeError"),
    "a check on another host": (
        "/objects/batch",
        of_json(lambda batch: json.loads(json.dumps(batch).replace("http://127.0.0.1", "http://localhost"))),
        ANOTHER,
    ),
    "a card of null": ("/validate-yaml", says(None), "malformed .*AttributeError|TypeError"),
    "a storage that fails": ("/store/", says(b"", 500), "cannot be fetched from"),
    "a storage that refuses its links": ("/store/", says(b"", 403), "the storage of .* refuses links of the Hub"),
    "a storage that wants a day": ("/store/", says(b"", 503, Retry_After="86400"), FAR_AWAY + "86,400 s"),
    "a wait for ever": ("/preupload/", says(b"", 429, ratelimit='"api";r=0;t=99999999999'), FAR_AWAY),
    "a warning with the token": ("/commit/", says(None, X_HF_Warning=f"a; {TOKEN}"), "malformed"),
}


@pytest.mark.parametrize("name", OF_UPLOADS)
def test_a_lie_to_an_upload_is_refused_in_a_sentence(hub, tmp_path, name, sleeps, capfd, caplog):
    Entries.build({"en": ["dog"]}).save(tmp_path / "made")
    part, lie, sentence = OF_UPLOADS[name]
    lying(hub, part, lie)
    asked = SimpleNamespace(upload="o/made", output=tmp_path / "made", public=False, overwrite=False)
    with pytest.raises((InputError, OSError), match=sentence) as said:
        uploads.upload(asked, {"README.md": "# Entries\n"})
    assert str(said.value).count("\n") == 0
    assert max(sleeps, default=0) < 3600
    refused(hub, str(said.value), *capfd.readouterr(), *seen(caplog))


def test_a_redirect_to_another_host_is_followed_without_the_token(hub):
    hub.dataset("o/pairs", {"data/a.parquet": parquet()})
    listing = hub.url.replace("127.0.0.1", "localhost")
    hub.fault = lambda request: (
        Answer(302, b"", {"Location": f"{listing}{request.path}?recursive=True"})
        if LISTING in request.path and request.headers["host"].startswith("127")
        else None
    )
    assert len(files.find(["hf://datasets/o/pairs"])) == 1
    assert [r.headers["host"].startswith("localhost") for r in hub.asked(LISTING)][:2] == [False, True]
    refused(hub)


@pytest.mark.parametrize("status", [401, 403])
def test_a_link_to_the_storage_that_has_expired_is_asked_for_again(hub, status):
    hub.dataset("o/pairs", {"data/a.parquet": parquet()})
    expired = [Answer(status, b"expired")] * 3
    hub.fault = lambda request: expired.pop() if expired and STORE in request.path else None
    assert read("hf://datasets/o/pairs") == 9
    assert expired == []


def test_a_wait_that_the_hub_asks_for_is_said(hub, sleeps, caplog):
    caplog.set_level("INFO", "curation")
    hub.dataset("o/pairs", {"data/a.parquet": parquet()})
    busy = [Answer(429, b"{}", {"Retry-After": "40"})]
    hub.fault = lambda request: busy.pop() if busy and INFO in request.path else None
    files.find(["hf://datasets/o/pairs"])
    assert (
        f"{hub.url} is busy (status 429); waiting 40 s, as it asks, for hf://datasets/o/pairs@main" in caplog.messages
    )
    assert sleeps == [40.0]


@pytest.mark.parametrize(
    "address",
    ["hf://datasets/o/pairs@" + "x" * 3000, "hf://datasets/o/" + "x" * 3000, "hf://datasets/" + "x" * 3000],
)
def test_a_long_address_is_shown_once_and_shortened(hub, address):
    hub.dataset("o/pairs", {"data/a.parquet": parquet()})
    with pytest.raises(InputError, match="…") as said:
        files.find([address])
    assert "x" * 81 not in str(said.value)
    assert len(str(said.value)) < 400
