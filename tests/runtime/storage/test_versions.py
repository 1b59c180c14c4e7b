"""A file that changes between listing and reading is refused."""

import os

import pytest

from curation.inputs import files
from curation.inputs.files import find, read
from runtime.errors import InputError
from runtime.storage.listing import Version
from tests.support.http_server import Answer
from tests.support.remote_files import LINES, Ranged, contents


def test_an_input_knows_what_the_server_says_of_it(server):
    headers = {"ETag": '"abc"', "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES, headers=headers))])
    assert (source.file_size, source.modified, source.etag) == (len(LINES), 1_700_000_000 * 10**9, '"abc"')
    (source,) = find([server.serve("/b.jsonl", Ranged(LINES, headers={"Last-Modified": "yesterday"}))])
    assert (source.modified, source.etag) == (None, None)


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (Ranged(LINES + b"\n"), rf"it had {len(LINES):,} bytes and has {len(LINES) + 1:,}"),
        (Ranged(LINES, headers={"ETag": '"2"'}), 'its ETag was "1" and is "2"'),
        (Answer(404), "vanished since it was listed"),
        (Answer(410), "vanished since it was listed"),
    ],
)
def test_a_file_that_has_changed_since_it_was_listed_is_refused(server, now, difference):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    server.serve("/a.jsonl", now)
    with pytest.raises(InputError, match=rf"/a\.jsonl has.*{difference}.*; run the same command again"):
        contents(source)


def test_a_file_that_changes_while_it_is_read_is_refused(server):
    (source,) = find([server.serve("/a.jsonl", Ranged(LINES))])
    batches = read(source)
    server.serve("/a.jsonl", *[Ranged(LINES)] * 5, Ranged(LINES, headers={"ETag": '"2"'}))
    with pytest.raises(InputError, match='its ETag was "1" and is "2"'):
        list(batches)


def test_a_file_that_was_never_looked_at_must_stay_as_it_was_opened(server):
    url = server.serve("/a.jsonl", *[Ranged(LINES)] * 5, Ranged(LINES, headers={"ETag": '"2"'}))
    with pytest.raises(InputError, match='its ETag was "1" and is "2"'):
        contents(files.Input(url, "json", 0))


@pytest.mark.parametrize("change", ["vanish", "grow", "replace", "change while read"])
def test_a_local_file_that_has_changed_is_refused(tmp_path, change):
    path = tmp_path / "ä.jsonl"
    path.write_bytes(LINES)
    os.utime(path, ns=(0, 1_700_000_000_000_000_001))
    (source,) = find([str(path)])
    batches = read(source)
    if change == "vanish":
        path.unlink()
    elif change == "grow":
        path.write_bytes(LINES * 2)
    elif change == "replace":
        os.utime(path, ns=(0, 1_700_000_000_000_000_002))
    else:
        next(batches)
        os.utime(path, ns=(0, 0))
    with pytest.raises(InputError, match=r"ä\.jsonl has (vanished|changed) since it was listed"):
        list(batches)


def test_a_time_counts_only_where_no_etag_does():
    listed = Version(1, 10**9, "a")
    assert listed.difference(Version(1, 2 * 10**9, "a")) is None
    assert listed.difference(Version(None, None, None)) is None
    assert listed.difference(Version(1, 2 * 10**9)) == (
        "it was of 1970-01-01 00:00:01+00:00 and is of 1970-01-01 00:00:02+00:00"
    )


def replaced(path):
    """Replace a file by one of the same size and time."""
    stat, other = path.stat(), path.with_name("other")
    other.write_bytes(LINES.swapcase())
    other.replace(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def rewritten(path):
    """Write another content of the same size into a file, and set its time back."""
    stat = path.stat()
    path.write_bytes(LINES.swapcase())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("change", [replaced, rewritten])
def test_another_content_of_the_same_size_and_time_is_another_input(tmp_path, change):
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    (before,) = find([str(path)])
    change(path)
    (after,) = find([str(path)])
    assert (before.size, before.modified) == (after.size, after.modified)
    assert before != after
    assert find([str(path)]) == [after]


@pytest.mark.parametrize("change", [lambda path: path.chmod(0o600), lambda path: os.link(path, f"{path}.2")])
def test_a_change_of_rights_or_a_new_link_may_cost_a_second_reading_but_refuses_nothing(tmp_path, change):
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES)
    (before,) = find([str(path)])
    path.chmod(0o640)
    batches = read(before)
    rows = next(batches).num_rows
    change(path)
    assert rows + sum(batch.num_rows for batch in batches) == LINES.count(b"\n")


def test_a_file_of_another_machines_mount_is_not_refused_for_its_inode():
    listed = Version(1, 10**9, changed=2, inode=3)
    assert listed.difference(Version(1, 10**9, changed=4, inode=5)) is None
