"""Images get the signals that hosts state, as a naive twin says, however files are cut; rules then remove them."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.options import GateOptions
from curation.plugins.gate.robots import host_files
from curation.plugins.gate.robots import hosts as known_hosts
from curation.plugins.gate.robots.host_files import HostFiles
from curation.plugins.gate.robots.hosts import ASKED, BITS, HostRanges, KnownHosts, contents, read_hosts, read_urls
from curation.plugins.gate.robots.robots_text import HostRules, condensed
from curation.schemas import MATCHED
from runtime.cogroup import Grouping
from runtime.errors import InputError
from runtime.progress import advanced
from runtime.storage.own_files import own_files
from runtime.tallies import TaskResult
from tests.naive.robots import naive_is_allowed
from tests.support.finished_run import image
from tests.support.gates import gated
from tests.support.robots_files import URLS, robots_file
from tests.support.robots_warc import robots_warc

AGENTS = ["GPTBot", "CCBot"]
HOSTS = [f"h{number}.example" for number in range(40)]


def some_images(number: int) -> list[dict]:
    """Images on all hosts, of a few pages each, with pages of their own for some texts."""
    chance = random.Random(3)

    def url() -> str:
        scheme, port = chance.choice(["http", "https"]), chance.choice(["", ":443"])
        return f"{scheme}://{chance.choice(HOSTS).upper()}{port}{chance.choice(URLS)}"

    images = []
    for each in range(number):
        row = image(each, url()) | {
            "page_url": chance.choice([None, url(), "no url"]),
            "signals": chance.choice([0, 1, 16]),
        }
        texts = [text | {"page_url": chance.choice([None, url()])} for text in row["candidates"]]
        images.append(row | {"candidates": texts})
    return images


def said(files: dict[str, bytes], url: str | None) -> bool:
    """Say whether robots.txt forbids a URL to an agent, by the naive twin."""
    if url is None or "://" not in url:
        return False
    host, slash, path = url.partition("://")[2].partition("/")
    content = files.get(host.lower().removesuffix(":443"))
    return content is not None and not all(naive_is_allowed(content, agent, slash + path) for agent in AGENTS)


@pytest.mark.slow
def test_images_get_the_signals_of_the_hosts_of_their_url_and_pages(engine, tmp_path):
    (folder := tmp_path / "robots").mkdir()
    images = some_images(400)
    seeds = (seed for seed in range(1000) if b"?" not in robots_file(seed) and b"index" not in robots_file(seed))
    files = {host: robots_file(next(seeds)) for host in HOSTS[:30]}
    old = [(host, 1, 200, b"User-agent: *\nDisallow: /") for host in files]
    robots_warc(folder / "1.warc.gz", [*old, *((host, 2, 200, content) for host, content in [*files.items()][:15])])
    robots_warc(
        folder / "2.warc.gz",
        [(host, 3, 200, content) for host, content in [*files.items()][15:]] + [(HOSTS[35], 4, 404, b"Disallow: /")],
    )
    by_image = {row["uid"] for row in images if said(files, row["url"])}
    pages = {row["uid"]: {row["page_url"], *(text["page_url"] for text in row["candidates"])} for row in images}
    by_page = {uid for uid, urls in pages.items() if any(said(files, url) for url in urls)}
    expected = [row | {"signals": row["signals"] | 128 * (row["uid"] in by_image | by_page)} for row in images]
    assert 50 < len(by_image) < len(by_image | by_page) < 350
    for parts in (1, 5):
        options = GateOptions(robots=[folder], robots_agents=AGENTS)
        rows, counted = gated(engine, tmp_path / "gates", images, options, parts)
        assert rows == expected
        facts = counted.facts()["gate"]["hosts"]
        assert facts["signals"]["robots"] == {
            "any": len(by_image | by_page),
            "image": len(by_image),
            "page": len(by_page),
        }
        assert facts["read"] == {"records": 124, "file./robots.txt": 60, "status_4xx": 1}
        assert facts["urls"]["image"] == 400 > facts["known"]["image"] > 200
    policy = ["robots", "tdm_reservation"]
    options = GateOptions(robots=[folder], robots_agents=AGENTS, policy=policy, keep_removed=1.0)
    rows, counted = gated(engine, tmp_path / "gates", images, options)
    assert rows == [row for row in expected if not row["signals"] & (128 | 16)]
    samples = {path.name.partition("-")[0] for path in tmp_path.glob("gates/*/gate_removed/*.parquet")}
    assert samples == {"conditions"}  # hosts alone remove nothing


def test_a_table_states_all_files_of_a_host_and_rules_remove_by_each(engine, tmp_path):
    (folder := tmp_path / "robots").mkdir()
    images = [
        image(number, f"https://{host}.example/{path}.jpg")
        for number, (host, path) in enumerate(
            [
                *[("a", "x"), ("b", "x"), ("c", "x"), ("c", "y/z"), ("d", "x"), ("e", "x"), ("f", "x")],
                *[("g", "x"), ("h", "x"), ("h", "y"), ("i", "x")],
            ]
        )
    ]
    rows = [
        ("a.example", "User-agent: *\nDisallow:\nContent-Signal: search=yes,ai-train=no", None),
        ("https://B.example/", "User-Agent: *\nContent-Usage: train-ai=n", "/robots.txt"),
        ("c.example", '[{"location": "/y/*", "tdm-reservation": 1}]', "/.well-known/tdmrep.json"),
        ("d.example", "User-Agent: *\nDisallow: *.jpg\nAllow: /", "/ai.txt"),
        ("e.example", "{", "/.well-known/tdmrep.json"),
        ("e.example", "User-agent: GPTBot\nDisallow: /", "robots.txt"),
        ("f.example:8080", "User-agent: *\nDisallow: /", None),
        ("g.example", "License: https://g.example/rsl.xml\nUser-agent: *\nAllow: /", None),
        ("h.example", '<rsl xmlns="https://rslstandard.org/rsl"><content url="/x*"/></rsl>', "/rsl.xml"),
        ("i.example", "<rss/>", "/rsl.xml"),
    ]
    pq.write_table(
        pa.table(dict(zip(["host", "text", "path"], zip(*rows, strict=True), strict=True))), folder / "t.parquet"
    )
    options = GateOptions(robots=[folder / "t.parquet"])
    marked, counted = gated(engine, tmp_path / "gates", images, options)
    names = {bit: name for name, bit in BITS.items()}
    assert [names.get(row["signals"]) for row in marked] == [
        "content-signal",
        "content-usage",
        None,
        "tdm-reservation",
        "ai.txt",
        "robots",
        None,
        "rsl",
        "rsl",
        None,
        None,
    ]
    facts = counted.facts()["gate"]["hosts"]
    assert facts["faults"] == {"no_json": 1, "no_rsl": 1}
    assert facts["signals"]["rsl"] == {"any": 2, "image": 2, "page": 0}
    assert "CCBot" in facts["agents"]
    policy = ["robots", "content_signal", "content_usage", "ai_txt", "tdm_reservation"]
    left, counted = gated(engine, tmp_path / "gates", images, GateOptions(robots=[folder], policy=policy))
    assert [row["url"][8] for row in left] == ["c", "f", "g", "h", "h", "i"]
    assert [each["removed"] for each in counted.facts()["gate"]["conditions"]] == [1, 1, 1, 1, 1]


def test_files_of_other_hosts_are_refused(engine, tmp_path):
    (folder := tmp_path / "robots").mkdir()
    robots_warc(folder / "1.warc.gz", [("other.example", 1, 200, b"User-agent: *\nDisallow: /")])
    with pytest.raises(InputError, match="has no file of a host of the matched images"):
        gated(engine, tmp_path / "gates", some_images(3), GateOptions(robots=[folder]))


def test_what_cannot_be_meant_is_refused(tmp_path):
    (folder := tmp_path / "robots").mkdir()
    with pytest.raises(InputError, match="the rule robots needs files of hosts, such as robots.txt; pass"):
        GateOptions(policy=["robots"]).find()
    with pytest.raises(InputError, match="needs robots.txt files of hosts; pass them by robots"):
        GateOptions(robots_agents=["GPTBot"]).find()
    with pytest.raises(InputError, match=r"holds no file \*.warc.gz or \*.parquet; expected robots.txt of hosts"):
        GateOptions(robots=[folder]).find()
    robots_warc(folder / "1.warc.gz", [])
    with pytest.raises(InputError, match="'a b' is neither the name of an agent nor a file"):
        GateOptions(robots=[folder], robots_agents=["a b"]).find()


def test_a_text_is_cut_and_a_page_that_unpacks_to_more_than_memory_should_hold_is_refused(tmp_path, monkeypatch):
    table = pa.table({"host": ["a.example", "b.example"], "text": ["# \n" * 1_000_000, "User-agent: *"]})
    pq.write_table(table, tmp_path / "hosts.parquet", compression="zstd")
    [(path, version)] = HostFiles.find([tmp_path / "hosts.parquet"]).files
    [batch] = host_files.read(path, version, Counter())
    assert [*map(len, batch["content"].to_pylist())] == [(500 << 10) + 1, 13]
    monkeypatch.setattr(host_files, "MAX_TABLE_PAGE_BYTES", 1 << 20)
    with pytest.raises(
        InputError, match=r"hosts.parquet has a page of texts that takes 2 MB when unpacked; cut each te"
    ):
        GateOptions(robots=[tmp_path / "hosts.parquet"]).find()


def test_urls_whose_hosts_were_looked_up_are_counted_as_progress():
    with contents() as held:
        known = KnownHosts(("gptbot",), TaskResult(), held)
        known.learn(asked([1, 2], name=["/robots.txt"] * 2, date=[1] * 2, content=["Allow: /"] * 2, faults=[[]] * 2))
        before = advanced()
        known.signals(asked([1, 1, 2, 3], file=[0] * 4, row=range(4), kind=["image"] * 4, path=["/"] * 4))
    assert (advanced() - before)["rows"] == 4


def test_signals_are_the_same_for_any_number_of_buckets(tmp_path):
    images = some_images(200)
    (folder := tmp_path / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(images, MATCHED), folder / "00000.parquet")
    contents = {host: robots_file(seed) for seed, host in enumerate(HOSTS)}
    table = pa.table({"host": [*contents], "text": pa.array([*contents.values()], pa.binary())})
    pq.write_table(table, tmp_path / "hosts.parquet")
    [own], files = own_files(folder, None, ""), [*HostFiles.find([tmp_path / "hosts.parquet"]).files]
    answers = []
    for buckets, sent in ((2, 2), (64, 64), (64, 4)):
        ranges, tallies = HostRanges(buckets, tuple(map(str.lower, AGENTS))), TaskResult()
        grouping = Grouping(ASKED, ranges.keys, ranges.signals, ranges.buckets, 1)
        with patch("runtime.cogroup.MOST_BUCKETS", sent):
            rows_read = chain(read_hosts(0, files, tallies), read_urls(0, own, tallies))
            blocks = [*grouping.packed(rows.select(ASKED.names) for rows in rows_read)]
        assert {block.buckets for block in blocks} == {sent}
        found = grouping.run(0, reversed(blocks), tallies)
        rows = [row for batch in found for row in batch.to_pylist()]
        answers.append((sorted(rows, key=str), tallies.rows()))
    assert len(answers[0][0]) > 50
    assert answers[0] == answers[1] == answers[2]


def asked(hosts: Sequence[int], **columns: Sequence[object]) -> pa.RecordBatch:
    """Return ASKED rows of hosts, by number."""
    known = {"high": hosts, "low": hosts} | columns
    nulls = {field.name: [None] * len(hosts) for field in ASKED if field.name not in known}
    return pa.RecordBatch.from_pydict(known | nulls, ASKED)


@pytest.mark.soak
def test_what_hosts_say_takes_bounded_memory_however_much_it_is():
    """Here 300 hosts have rules of 12 MB, which come 10 hosts at a time and are asked for twice."""
    numbers, tallies = range(300), TaskResult()
    with patch.multiple(known_hosts, MAX_HELD_BYTES=1 << 18, MAX_RULES_BYTES=2 << 20), contents() as held:
        known, answers = KnownHosts(("gptbot",), tallies, held), []
        tracemalloc.start()
        for begin in range(0, 300, 10):
            some = numbers[begin : begin + 10]
            texts = ["User-agent: *\n" + "".join(f"Disallow: /{host}/{i}/\n" for i in range(2000)) for host in some]
            known.learn(asked(some, name=["/robots.txt"] * 10, date=[1] * 10, content=texts, faults=[["cut"]] * 10))
        for path in ("/7/1/x", "/7/1x"):
            rows = asked(numbers, file=[0] * 300, row=numbers, kind=["image"] * 300, path=[path] * 300)
            answers.append(known.signals(rows).to_pylist())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answers == [[{"file": 0, "row": 7, "signals": BITS["robots"]}], []]
    assert tallies["fault", "cut"] == 300
    assert peak < 8 << 20


def test_a_file_without_its_comments_says_the_same():
    agents = tuple(map(str.lower, AGENTS))
    odd = [b"\xef\xbb\xbf", b"\xff\xfea\0", b"Disallow: /", b"# \xe9\nUser-agent: *\nDisallow: /\xe9#" + b"x" * 600_000]
    for content in [*odd, *map(robots_file, range(300))]:
        said, faults = condensed(content)
        whole, part = (HostRules({"/robots.txt": each}, agents) for each in (content, said))
        assert [whole.signals(url) for url in URLS] == [part.signals(url) for url in URLS]
        assert whole.faults == faults + part.faults
        assert len(said) <= 100 or len(content) < 10_000
