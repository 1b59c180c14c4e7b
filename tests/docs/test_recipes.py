"""Recipes of the pages on feeding training, run as they stand there: failed downloads once more, and shards in MDS."""

import io
import itertools
import re
import sys
import tarfile
import types
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.naive.row_ids import naive_uid
from tests.support.checkout import ROOT

# Messages of Python's urllib, ssl, socket and http.client, as they are on Linux and macOS, and img2dataset's own; and
# whether a later try may succeed.
MESSAGES = {
    "HTTP Error 404: Not Found": False,
    "HTTP Error 410: Gone": False,
    "HTTP Error 403: Forbidden": False,
    "HTTP Error 308: Permanent Redirect": False,
    "HTTP Error 429: Too Many Requests": True,
    "HTTP Error 408: Request Timeout": True,
    "HTTP Error 503: Service Temporarily Unavailable": True,
    "HTTP Error 524: ": True,
    "<urlopen error timed out>": True,
    "The read operation timed out": True,
    "<urlopen error [Errno 110] Connection timed out>": True,
    "<urlopen error _ssl.c:990: The handshake operation timed out>": True,
    "<urlopen error [Errno -3] Temporary failure in name resolution>": True,
    "<urlopen error [Errno -2] Name or service not known>": False,
    "<urlopen error [Errno -5] No address associated with hostname>": False,
    "<urlopen error [Errno 111] Connection refused>": False,
    "<urlopen error [Errno 113] No route to host>": False,
    "<urlopen error [Errno 104] Connection reset by peer>": True,
    "Remote end closed connection without response": True,
    "IncompleteRead(512 bytes read, 90000 more expected)": True,
    "<urlopen error [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol>": True,
    "<urlopen error [Errno 101] Network is unreachable>": True,
    "<urlopen error [Errno 24] Too many open files>": True,
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: it has expired>": False,
    "Use of image disallowed by X-Robots-Tag directive": False,
    "URL can't contain control characters. '/HTTP Error 503' (found at least ' ')": False,
    "": False,
}


HOW_TO = ROOT / "docs" / "how-to"


def recipe(section: str) -> str:
    """Return the Python of a section of the pages."""
    pages = "".join((HOW_TO / name).read_text("utf-8") for name in ("feeding-training.md", "other-loaders.md"))
    text = pages.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.search(r"```python\n(.*?)```", text, re.S)[1]


def run_recipe(section: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    exec(recipe(section), {})


def test_images_that_failed_at_every_try_for_a_passing_reason_are_downloaded_again(tmp_path, monkeypatch):
    tries = [[], [None], *([message] for message in MESSAGES), *itertools.product(MESSAGES, [*MESSAGES, None])]
    uids = [f"{number:05}" for number in range(len(tries))]
    rows = [
        {"uid": uid, "status": "failed_to_download" if message is not None else "success", "error_message": message}
        for uid, messages in zip(uids, tries, strict=True)
        for message in messages
    ]
    rows.append({"uid": uids[0], "status": "failed_to_resize", "error_message": "timed out"})
    for folder, table in (("images", rows), ("out/curated", [{"uid": uid, "text": f"of {uid}"} for uid in uids])):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(2):
            pq.write_table(pa.Table.from_pylist(table[number::2]), tmp_path / folder / f"{number:05}.parquet")
    run_recipe("Failed downloads, once more", tmp_path, monkeypatch)
    again = [uid for uid, messages in zip(uids, tries, strict=True) if messages and all(map(MESSAGES.get, messages))]
    assert sorted(pq.read_table(tmp_path / "again.parquet").to_pylist(), key=lambda row: row["uid"]) == [
        {"uid": uid, "text": f"of {uid}"} for uid in again
    ]
    assert len(again) > 100


def test_shards_have_the_samples_of_the_tars(tmp_path, monkeypatch):
    written, merged = {}, []

    class Writer:
        def __init__(self, out, columns, hashes):
            self.samples, self.columns = written.setdefault(out, []), columns

        def write(self, sample):
            assert {*sample} == {*self.columns}
            assert all(
                isinstance(sample[name], {"bytes": bytes, "str": str}[kind]) for name, kind in self.columns.items()
            )
            self.samples.append(sample)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    modules = {
        "webdataset": types.SimpleNamespace(WebDataset=samples_of),
        "streaming": types.SimpleNamespace(MDSWriter=Writer),
        "streaming.base.util": types.SimpleNamespace(merge_index=merged.append),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "tars").mkdir()
    stated = {"jpg": '{"uid": "7", "url": "http://a.example/é.jpg"}', "png": '{"url": "http://a.example/é.jpg"}'}
    for number, (ending, facts) in enumerate(stated.items()):
        with tarfile.open(tmp_path / "tars" / f"{number:05}.tar", "w") as tar:
            for name, content in ((ending, b"picture"), ("json", facts.encode()), ("txt", "犬".encode())):
                member = tarfile.TarInfo(f"0.{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    run_recipe("Shards in MDS format", tmp_path, monkeypatch)
    sample = {"image": b"picture", "txt": "犬"}
    with_uid = sample | {"json": stated["jpg"], "uid": "7"}
    without = sample | {"json": stated["png"], "uid": naive_uid("http://a.example/é.jpg")}
    assert written == {"shards/00000": [with_uid], "shards/00001": [without]}
    assert merged == ["shards"]


def samples_of(path: str, **options) -> list[dict]:
    """Return the samples of a tar, as webdataset gives them."""
    assert options == {"shardshuffle": False}
    samples: dict[str, dict] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, ending = member.name.partition(".")
            samples.setdefault(key, {"__key__": key})[ending] = tar.extractfile(member).read()
    return [*samples.values()]
