"""A multistream dump is read in spans, which give together what the whole file gives."""

import bz2
import logging
import random
import re

import fsspec
import pytest

from metadata.wikipedia import dumps
from metadata.wikipedia.dump_files import find
from metadata.wikipedia.dumps import Span, index_path, spans
from runtime.errors import InputError
from tests.naive.wikipedia import naive_articles, naive_spans
from tests.support.dumps import INDEX, dump, page, read, write
from tests.support.dumps import multistream as written
from tests.support.http_server import Answer


@pytest.fixture(autouse=True)
def short_spans(monkeypatch):
    """Every stream is a span, unless a test says otherwise."""
    monkeypatch.setattr(dumps, "SPAN_BYTES", 1)


def named(count: int, first: int = 0) -> list[list[str]]:
    """Return streams of two pages each."""
    return [[page(f"{2 * i}"), page(f"{2 * i + 1}")] for i in range(first, first + count)]


def titles_of(files) -> list[str]:
    return [title for _, title, _ in read(files)[0]]


def whole(path):
    """Return what the dump gives without its index."""
    index = path.with_name(INDEX.format("", ""))
    aside = index.rename(index.with_name("aside"))
    found = read(find([path]))
    aside.rename(index)
    return found


@pytest.mark.parametrize("least", [1, 600, 3_000, 1 << 20])
def test_spans_give_the_articles_and_tallies_of_the_whole_dump(tmp_path, monkeypatch, least):
    monkeypatch.setattr(dumps, "SPAN_BYTES", least)
    draw = random.Random(least)
    kinds = [
        lambda i: page(f"Ä{i}", f"Text {i} " * draw.randrange(1, 300)),
        lambda i: page(f"{i}", ns="10"),
        lambda i: page(f"{i}", extra='<redirect title="e" />'),
        lambda i: page(None),
        lambda i: page(f"{i}")[:-7],  # never closed
        lambda i: page(f"{i}", "a &undefined; b"),
        lambda i: "",
    ]
    streams = [[draw.choice(kinds)(i) for i in range(draw.randrange(1, 5))] for _ in range(60)]
    path = written(tmp_path, streams)
    files = find([path])
    assert [(file.span.start, file.span.end) for file in files if file.span] == (
        naive_spans(path.read_bytes(), least) if path.stat().st_size >= 2 * least else []
    )
    assert (len(files) > 1) == (least < 1 << 20)
    assert read(files) == whole(path)


def test_spans_give_what_the_naive_twin_gives(tmp_path):
    path = written(tmp_path, named(30))
    expected = naive_articles(bz2.decompress(path.read_bytes()))
    assert titles_of(find([path])) == [title for title, _ in expected] == [str(i) for i in range(60)]


def test_every_span_knows_the_namespaces_of_the_head(tmp_path):
    path = written(tmp_path, [[page("a")], [page("b", "c [[Schublade:D|e]] f")]])
    assert read(find([path]))[0][-1] == ("de", "b", "c f")


def test_a_span_ends_after_the_least_bytes(tmp_path, monkeypatch):
    path = written(tmp_path, named(20))
    each = spans(str(path))
    assert len(each) == 20 + 1
    monkeypatch.setattr(dumps, "SPAN_BYTES", each[0].end + 1)
    fewer = spans(str(path))
    assert fewer[0] == Span(0, each[1].end)
    assert [span.end for span in fewer[:-1]] == [span.start for span in fewer[1:]]
    assert [span.last for span in fewer] == [False] * (len(fewer) - 1) + [True]


def test_numbered_parts_have_indexes_of_their_own(tmp_path):
    for number in (1, 2):
        written(tmp_path, named(3, 3 * number), number, f"-p{number}p{number}")
    files = find([tmp_path])
    assert len({file.path for file in files}) == 2
    assert len(files) == 2 * 4
    assert titles_of(files) == [str(i) for i in range(6, 18)]


def test_damage_in_a_stream_costs_its_span_only_and_counts_once_a_file(tmp_path):
    path = written(tmp_path, named(10))
    packed = bytearray(path.read_bytes())
    for span in (spans(str(path))[4], spans(str(path))[7]):
        packed[span.start + 30 : span.start + 36] = b"damage"
    path.write_bytes(packed)
    rows, tally = read(find([path]))
    assert [title for _, title, _ in rows] == [str(i) for i in range(20) if i // 2 not in (3, 6)]
    assert tally["dropped.corrupt"] == 1
    assert len(whole(path)[0]) == 6  # without its index the dump ends at the damage


def test_a_dump_that_is_cut_short_is_read_as_before_and_the_log_says_why(tmp_path, caplog):
    path = written(tmp_path, named(10))
    path.write_bytes(path.read_bytes()[: spans(str(path))[6].start + 40])
    files = find([path])
    assert [file.span for file in files] == [None]
    rows, tally = read(files)
    assert len(rows) == 10
    assert tally["dropped.truncated"] == 1
    assert re.search(r"is read by one task, as its index \S+ does not fit it \(offset [\d,]+ after", caplog.text)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: [f"{int(lines[2].split(':')[0]) + 1}:5:A\n"], "no bz2 stream starts at byte"),
        (lambda lines: lines[4:] + lines[:4], "offset"),
        (lambda lines: [*lines, "99999999:1:A\n"], "offset 99,999,999 after"),
        (lambda lines: ["<html>\n"], "has no offset"),
        (lambda lines: ["0:1:A\n", *lines], "offset 0 after 0"),
    ],
)
def test_an_index_that_does_not_fit_is_not_used(tmp_path, caplog, change, sentence):
    path = written(tmp_path, named(5))
    index = path.with_name(INDEX.format("", ""))
    lines = bz2.decompress(index.read_bytes()).decode().splitlines(keepends=True)
    index.write_bytes(bz2.compress("".join(change(lines)).encode()))
    assert spans(str(path)) == []
    assert sentence in caplog.text
    assert titles_of(find([path])) == [str(i) for i in range(10)]


@pytest.mark.parametrize("content", [b"no bz2", bz2.compress(b"100:1:A\n" * 9)[:-9]])
def test_an_index_that_is_damaged_is_not_used(tmp_path, caplog, content):
    path = written(tmp_path, named(5))
    path.with_name(INDEX.format("", "")).write_bytes(content)
    assert spans(str(path)) == []
    assert "cannot be used (" in caplog.text


def test_articles_are_those_of_the_whole_dump_whatever_the_index_says(tmp_path):
    path = written(tmp_path, named(12))
    index = path.with_name(INDEX.format("", ""))
    lines = bz2.decompress(index.read_bytes()).splitlines(keepends=True)
    draw = random.Random(3)
    outcomes = set()
    for _ in range(60):
        some = sorted(draw.sample(lines, draw.randrange(1, len(lines))), key=lines.index)
        content = bytearray(b"".join(some))
        for _ in range(draw.choice([0, 0, 1, 3])):
            content[draw.randrange(len(content))] = draw.choice(b"0123456789:\n\xff")
        index.write_bytes(bz2.compress(bytes(content)))
        files = find([path])
        outcomes.add(files[0].span is not None)
        assert titles_of(files) == [str(i) for i in range(24)]
    assert outcomes == {True, False}


def test_an_index_may_be_unpacked(tmp_path):
    path = written(tmp_path, named(5))
    packed = path.with_name(INDEX.format("", ""))
    write(tmp_path / packed.name.removesuffix(".bz2"), bz2.decompress(packed.read_bytes()))
    packed.unlink()
    assert len(spans(str(path))) == 6


def test_an_index_is_no_dump(tmp_path):
    path = written(tmp_path, named(2))
    index = path.with_name(INDEX.format("", ""))
    assert {file.path for file in find([tmp_path])} == {file.path for file in find([index, path])} == {str(path)}
    with pytest.raises(InputError, match="the index of a multistream dump: also pass the dump"):
        find([index])


def test_a_small_dump_is_not_split_and_its_index_not_read(tmp_path, monkeypatch):
    path = written(tmp_path, named(5))
    path.with_name(INDEX.format("", "")).write_bytes(b"none")
    monkeypatch.setattr(dumps, "SPAN_BYTES", path.stat().st_size)
    assert [file.span for file in find([path])] == [None]


@pytest.mark.parametrize(
    ("name", "advice"),
    [("multistream", "fetch its index"), ("articles", "in its numbered parts, or the multistream dump with its index")],
)
def test_of_a_long_dump_that_is_one_task_the_log_says_what_to_fetch(tmp_path, monkeypatch, caplog, name, advice):
    caplog.set_level(logging.WARNING)
    path = write(tmp_path / f"dewiki-20240101-{name}.xml.bz2", dump(page()), bz2.compress)
    assert spans(str(path)) == []
    assert caplog.text == ""
    monkeypatch.setattr(dumps, "LONG_TASK", 10)
    assert spans(str(path)) == []
    assert advice in caplog.text


def test_a_dump_at_a_url_is_read_in_spans(tmp_path):
    path = written(tmp_path, named(8))
    memory = fsspec.filesystem("memory")
    for each in (path, path.with_name(INDEX.format("", ""))):
        memory.pipe(f"/streams/{each.name}", each.read_bytes())
    files = find([f"memory://streams/{path.name}"])
    assert len(files) == 9
    assert titles_of(files) == [str(i) for i in range(16)]


def test_of_a_server_only_the_bytes_of_a_span_are_asked_for(tmp_path, server):
    pytest.importorskip("aiohttp")
    path = written(tmp_path, named(8))
    index = path.with_name(INDEX.format("", ""))
    for each in (path, index):
        server.serve(f"/{each.name}", _ranged(each.read_bytes()))
    files = find([f"{server.url}/{path.name}"])
    assert len(files) == 9
    before = len(server.requests)
    assert titles_of(files[-1:]) == ["14", "15"]
    asked = [request.headers["Range"] for request in server.requests[before:] if request.method == "GET"]
    assert asked
    assert all(int(each.removeprefix("bytes=").partition("-")[0]) >= files[-1].span.start for each in asked)


def _ranged(body: bytes):
    """Answer any range of a body."""

    def answer(request):
        if "Range" not in request.headers:
            return Answer(200, body, {"Accept-Ranges": "bytes"})
        start, _, end = request.headers["Range"].removeprefix("bytes=").partition("-")
        last = min(int(end) if end else len(body) - 1, len(body) - 1)
        content = {"Content-Range": f"bytes {start}-{last}/{len(body)}"}
        return Answer(206, body[int(start) : last + 1], content)

    return answer


def test_a_dump_at_a_server_without_ranges_is_read_as_a_whole(tmp_path, server, caplog):
    pytest.importorskip("aiohttp")
    path = written(tmp_path, named(60))
    for each in (path, path.with_name(INDEX.format("", ""))):
        server.serve(f"/{each.name}", Answer(200, each.read_bytes()))
    files = find([f"{server.url}/{path.name}"])
    assert [file.span for file in files] == [None]
    assert "its index" in caplog.text
    assert titles_of(files) == [str(i) for i in range(120)]


def test_the_name_of_an_index_is_that_of_its_dump():
    assert index_path("https://a.org/b/dewiki-latest-pages-articles-multistream.xml.bz2") == (
        "https://a.org/b/dewiki-latest-pages-articles-multistream-index.txt.bz2"
    )
    assert index_path("dewiki-latest-pages-articles.xml.bz2") is None
