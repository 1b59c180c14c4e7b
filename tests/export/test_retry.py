"""URLs whose download failed for reasons that may pass are exported as img2dataset takes them, counted by reason."""

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.leaves.export.clip_export import main
from curation.leaves.export.failed_downloads import ORDER, PASSING, Retry, reasons_of
from curation.leaves.export.forms import export
from runtime.errors import InputError
from tests.support.downloaded import all_bytes
from tests.support.in_turn import in_turn, killed_at
from tests.support.refusals import refusal

# Messages of Python's urllib, ssl, socket and http.client, as they are on Linux and macOS, and img2dataset's own.
MESSAGES = {
    "HTTP Error 404: Not Found": "http_gone",
    "HTTP Error 410: Gone": "http_gone",
    "HTTP Error 403: Forbidden": "http_other",
    "HTTP Error 308: Permanent Redirect": "http_other",
    "HTTP Error 429: Too Many Requests": "http_429",
    "HTTP Error 408: Request Timeout": "http_408",
    "HTTP Error 503: Service Temporarily Unavailable": "http_5xx",
    "HTTP Error 524: ": "http_5xx",
    "<urlopen error timed out>": "timed_out",
    "The read operation timed out": "timed_out",
    "<urlopen error [Errno 110] Connection timed out>": "timed_out",
    "<urlopen error _ssl.c:990: The handshake operation timed out>": "timed_out",
    "<urlopen error [Errno -3] Temporary failure in name resolution>": "name_not_now",
    "<urlopen error [Errno -2] Name or service not known>": "no_such_name",
    "<urlopen error [Errno -5] No address associated with hostname>": "no_such_name",
    "<urlopen error [Errno 8] nodename nor servname provided, or not known>": "no_such_name",
    "<urlopen error [Errno 111] Connection refused>": "refused",
    "<urlopen error [Errno 113] No route to host>": "refused",
    "<urlopen error [Errno 104] Connection reset by peer>": "cut_off",
    "[Errno 54] Connection reset by peer": "cut_off",
    "Remote end closed connection without response": "cut_off",
    "IncompleteRead(512 bytes read, 90000 more expected)": "cut_off",
    "<urlopen error [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol>": "cut_off",
    "<urlopen error [Errno 101] Network is unreachable>": "own_network",
    "<urlopen error [Errno 24] Too many open files>": "own_network",
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not "
    "valid for 'a.example'. (_ssl.c:1006)>": "certificate",
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: it has expired>": "certificate",
    "<urlopen error [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure>": "other",
    "Use of image disallowed by X-Robots-Tag directive": "opted_out",
    "hash mismatch": "other",
    "URL can't contain control characters. '/HTTP Error 503' (found at least ' ')": "other",
    "": "other",
}
PASS = {"http_429", "http_408", "http_5xx", "timed_out", "name_not_now", "cut_off", "own_network"}


def named(status: Iterable, messages: Iterable) -> list[str]:
    found = reasons_of(pa.array(status, pa.string()), pa.array(messages, pa.string()))
    return [ORDER[each] for each in found]


def test_messages_have_the_reasons_that_a_person_gives_them():
    assert named(["failed_to_download"] * len(MESSAGES), MESSAGES) == [*MESSAGES.values()]
    assert {*PASS} == {*PASSING}
    odd = [("success", "HTTP Error 503"), ("failed_to_resize", "timed out"), (None, None), ("failed_to_download", None)]
    assert named(*zip(*odd, strict=True)) == ["success", "not_resized", "other", "other"]
    assert named([], []) == []


ANSWERS = {
    "http_gone": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "http_429": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
    "http_5xx": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "cut_off": b"",
    "timed_out": None,
}
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nless"


def why_not(url: str) -> str:
    """Ask as img2dataset does: `urlopen` with a timeout, `read`, and the text of any exception."""
    try:
        with urllib.request.urlopen(url, timeout=0.3) as opened:
            opened.read()
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        return str(error)
    raise AssertionError


@pytest.mark.parametrize(("reason", "answer"), [*ANSWERS.items(), ("cut_off", SHORT)])
def test_what_urllib_says_of_a_server_has_its_reason(reason, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            connection, _ = server.accept()
            held.append(connection)  # without an answer it stays open
            if answer is not None:
                connection.recv(4096)
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        message = why_not(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
        held[0].close()
    assert named(["failed_to_download"], [message]) == [reason]


def results(rows: list[dict], chance: Random, tries: int) -> list[dict]:
    """Return rows as img2dataset writes them, of none to some tries of each image."""
    found = []
    for row in rows:
        for _ in range(chance.choice(range(tries + 1))):
            status = chance.choice(["success", "failed_to_resize", *["failed_to_download"] * 8])
            message = None if status == "success" else chance.choice([*MESSAGES])
            found.append({"uid": row["uid"], "url": row["url"], "status": status, "error_message": message})
    chance.shuffle(found)
    return found


def write_results(rows: list[dict], folder: Path) -> str:
    folder.mkdir()
    schema = pa.schema([(name, pa.string()) for name in ("url", "uid", "key", "status", "error_message")])
    for number in range(2):
        pq.write_table(pa.Table.from_pylist(rows[number::2], schema), folder / f"{number:05}.parquet")
        (folder / f"{number:05}.tar").write_bytes(b"")
        (folder / f"{number:05}_stats.json").write_text("{}")
    return str(folder)


def naive_reason(uid: str, rows: list[dict]) -> str | None:
    """Return the reason of an image: success, else one that does not pass, else any; None where nothing was tried."""
    own = [row for row in rows if row["uid"] == uid]
    reasons = [
        "not_resized" if row["status"] == "failed_to_resize" else MESSAGES.get(row["error_message"]) for row in own
    ]
    if any(row["status"] == "success" for row in own):
        return "success"
    return min(reasons, key=lambda each: (each in PASS, ORDER.index(each)), default=None)


def read_as_img2dataset(folder: Path, caption: str | None, *more: str) -> list[dict]:
    """Return what its reader hands out: of all *.parquet of a folder in order, url, caption and some other columns."""
    rows = []
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file, columns=["url", *([caption] if caption else []), *more])
        rows += table.rename_columns(["url", *(["caption"] if caption else []), *more]).to_pylist()
    return rows


@pytest.mark.parametrize(("part", "caption"), [("curated", "text"), ("matched", None)])
def test_rows_are_those_of_a_naive_twin_and_img2dataset_reads_them(run, tmp_path, part, caption):
    of_run = run.kept if part == "curated" else run.images
    tried = results(run.images, Random(1), 3)
    said = export(in_turn(), run.path, tmp_path / "out", Retry([write_results(tried, tmp_path / "d")], part))
    reasons = {row["uid"]: naive_reason(row["uid"], tried) for row in of_run}
    again = [row for row in of_run if reasons[row["uid"]] in PASS]
    assert again
    read = read_as_img2dataset(tmp_path / "out" / "urls", caption, "uid")
    expected = [{"url": row["url"], "uid": row["uid"]} | ({"caption": row["text"]} if caption else {}) for row in again]
    assert read == expected
    facts = json.loads((tmp_path / "out" / "retry.json").read_text("utf-8"))
    counts = Counter(reasons.values())
    assert (facts["images"], facts["not_tried"], facts["urls_of"]) == (len(of_run), counts.pop(None), part)
    assert facts["downloaded"] == counts.pop("success") > 0
    assert facts["again"] | facts["not_again"] == counts
    assert {*facts["again"]} == {*counts} & PASS
    assert said.startswith(f"{len(again)} URLs of {len(of_run)} to download again (")


def test_results_of_other_images_are_refused_and_of_several_tries_what_lasts_counts(run, tmp_path):
    rows = [{"url": row["url"], "status": "failed_to_download", "error_message": "timed out"} for row in run.images]
    (tmp_path / "d").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d" / "00000.parquet")
    with pytest.raises(InputError, match="has none of the images of .*curated; give the results of downloading them"):
        export(in_turn(), run.path, tmp_path / "out", Retry([str(tmp_path / "d")]))  # whose uids are no MD5s
    assert not (tmp_path / "out").exists()
    first, second = ([{**row, "uid": own["uid"]} for row, own in zip(rows, run.images, strict=True)] for _ in range(2))
    for number, row in enumerate(second):
        row["error_message"] = "timed out" if number % 2 else "HTTP Error 404: Not Found"
    tables = [write_results(first, tmp_path / "first"), write_results(second, tmp_path / "second")]
    for given, number in ((tables[:1], 60), (tables, 30)):
        export(in_turn(), run.path, tmp_path / f"{number}", Retry(given, "matched"))
        assert len(read_as_img2dataset(tmp_path / f"{number}" / "urls", None)) == number


def test_an_export_that_broke_off_is_gone_on_with(run, tmp_path):
    given = [write_results(results(run.images, Random(2), 2), tmp_path / "d")]
    tasks: list[int] = []
    export(in_turn(tasks.append), run.path, tmp_path / "quiet", Retry(given))
    for task in (1, tasks[-1]):
        with pytest.raises(KeyboardInterrupt):
            export(in_turn(killed_at(task)), run.path, tmp_path / "out", Retry(given))
    export(in_turn(), run.path, tmp_path / "out", Retry(given))
    assert all_bytes(tmp_path / "out") == all_bytes(tmp_path / "quiet")


def test_the_command_takes_the_folder_of_img2dataset(run, tmp_path, capsys):
    given = write_results(results(run.images, Random(1), 3), tmp_path / "d")
    flags = ["--format", "retry", "--status", given, "--urls-of", "matched"]
    main([str(run.path), "--output", str(tmp_path / "out"), *flags])
    assert " URLs of 60 to download again (" in capsys.readouterr().err.splitlines()[-1]


def test_what_is_no_result_of_img2dataset_is_refused(run, tmp_path, capsys):
    pq.write_table(pa.table({"uid": ["a"], "status": ["success"]}), tmp_path / "t.parquet")
    for flags, fault in (
        ([], "--format retry reads the results of a download; give img2dataset's folder by --status"),
        (["--status", tmp_path / "t.parquet"], "has no column error_message; expected results of img2dataset"),
        (["--status", run.path / "curated"], "expected results of img2dataset, with 00000.parquet beside 00000.tar"),
    ):
        assert fault in refusal(capsys, main, run.path, "--output", tmp_path / "out", "--format", "retry", *flags)
    sentence = refusal(capsys, main, run.path, "--output", tmp_path / "o", "--format", "datacomp", "--status", "x")
    assert "--format datacomp reads no results of img2dataset; leave out --status" in sentence
