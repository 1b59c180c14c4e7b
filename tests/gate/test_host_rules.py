"""What a host says of its paths: robots.txt as a naive twin of RFC 9309 says, content signals, tdmrep.json, ai.txt."""

import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

from curation.plugins.gate.robots.host_files import HostFiles, read
from curation.plugins.gate.robots.robots_text import (
    AI_TXT,
    MAX_HOST_FILE_BYTES,
    MAX_WILDCARDS,
    ROBOTS_TXT,
    TDMREP,
    HostRules,
    robots_agents,
)
from curation.schemas import HOST_SIGNALS, SIGNALS
from runtime.errors import InputError
from tests.naive.robots import naive_is_allowed, naive_is_reserved
from tests.support.robots_files import AGENTS, paths, robots_file
from tests.support.robots_warc import robots_warc

ROBOTS, CONTENT, AI = HOST_SIGNALS.values()
USAGE, TDM = SIGNALS["content-usage"], SIGNALS["tdm-reservation"]
EVERYONE = b"User-agent: *\n"
FIELDS = ("Disallow", "Disallow", "Allow")
PIECES = (
    "a",
    "b",
    "/",
    "*",
    "*",
    "$",
    "?",
    "=",
    "%",
    "%61",
    "%24",
    "%2a",
    "%2F",
    "%3f",
    "%e9",
    "%C3%A9",
    "é",
    "~",
    "%7E",
)


def said(
    content: bytes, *urls: str, name: str = ROBOTS_TXT, agents: tuple[str, ...] = ("gptbot", "ccbot")
) -> list[int]:
    rules = HostRules({name: content}, agents)
    return [rules.signals(url) for url in urls]


@pytest.mark.slow
def test_robots_txt_says_what_a_naive_twin_of_rfc_9309_says():
    forbidden = Counter()
    for seed, content in ((seed, robots_file(seed)) for seed in range(600)):
        for agent in AGENTS:
            expected = [0 if naive_is_allowed(content, agent, path) else ROBOTS for path in paths(seed)]
            assert said(content, *paths(seed), agents=(agent.lower(),)) == expected, content
            forbidden.update(expected)
    assert min(forbidden.values()) > 300


def some_path(chance: random.Random, pieces: Sequence[str]) -> str:
    return "/" + "".join(chance.choices(pieces, k=chance.randint(0, 4)))


@pytest.mark.slow
def test_any_patterns_fit_any_paths_as_for_a_naive_twin_of_rfc_9309():
    chance, found = random.Random(37), Counter()
    for _ in range(4000):
        rules = [(chance.choice(FIELDS), some_path(chance, PIECES)) for _ in range(chance.randint(1, 6))]
        path = some_path(chance, PIECES)
        robots = EVERYONE + "".join(f"{field}: {pattern}\n" for field, pattern in rules).encode()
        is_allowed = naive_is_allowed(robots, "gptbot", path)
        assert said(robots, path, agents=("gptbot",)) == [0 if is_allowed else ROBOTS], (robots, path)
        rows = [{"location": pattern, "tdm-reservation": int(field == "Disallow")} for field, pattern in rules]
        tdmrep = json.dumps(rows).encode()
        is_reserved = naive_is_reserved(tdmrep, path)
        assert said(tdmrep, path, name=TDMREP) == [TDM * is_reserved], (tdmrep, path)
        found.update([f"allowed {is_allowed}", f"reserved {is_reserved}", f"differ {is_allowed == is_reserved}"])
    assert min(found.values()) > 200


@pytest.mark.parametrize(
    ("pattern", "refused", "allowed"),
    [
        ("/a$", ["/a"], ["/a$", "/a$b", "/ab"]),
        ("/a%24", ["/a$", "/a%24b"], ["/a", "/a%"]),
        ("/a$b", ["/a$b", "/a%24bc"], ["/a", "/ab"]),
        ("/a%2A", ["/a*", "/a%2a"], ["/ab"]),
        ("/caf%E9", ["/caf%e9", "/caf%E9/x"], ["/caf%E8", "/caf%EF%BF%BD"]),
        ("/100%", ["/100%", "/100%25", "/100%zz"], ["/100"]),
        ("/%zz", ["/%zz"], ["/%25zz", "/zz"]),
        ("/a%2Fb", ["/a%2fb"], ["/a/b"]),
        ("/?u=http://b", ["/?u=http://b", "/%3Fu%3Dhttp%3A//b"], ["/u"]),
        ("/foo/bar/%62%61%7A", ["/foo/bar/baz"], []),
        ("/foo/bar/ツ", ["/foo/bar/%E3%83%84"], ["/foo/bar/"]),
    ],
)
def test_octets_are_compared_whatever_their_spelling(pattern, refused, allowed):
    content = EVERYONE + f"Disallow: {pattern}".encode()
    assert said(content, *refused, *allowed) == [ROBOTS] * len(refused) + [0] * len(allowed)


def steps(rules: HostRules, path: str) -> int:
    """Return the number of calls of functions, of Python and of C, that an answer takes."""
    counted: Counter[str] = Counter()
    sys.setprofile(lambda _, event, __: counted.update([event]))
    try:
        rules.signals(path)
    finally:
        sys.setprofile(None)
    return counted["call"] + counted["c_call"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        [f"Disallow: /*{number}x*y*z$" for number in range(20_000)],
        [f"Disallow: /*{'a*' * 100_000}b"],
        [f"Allow: /{'a' * number}$\nDisallow: /{'a' * number}b*" for number in range(600)],
        [f"Disallow: /{'a' * number}b" for number in range(900)],
        [f"Disallow: /{'a' * number}" for number in range(2, 900)],
    ],
)
def test_the_steps_of_an_answer_are_bounded_whatever_the_rules(lines):
    rules = HostRules({ROBOTS_TXT: EVERYONE + "\n".join(lines).encode()}, ("gptbot",))
    for path in ("/" + "a" * 2000, "/" + "aby" * 2000):
        assert steps(rules, path) < 6 * MAX_WILDCARDS


def test_a_rule_past_the_most_wildcards_is_read_up_to_its_first_one():
    lines = [f"Disallow: /*{number}." for number in range(MAX_WILDCARDS)]
    lines += ["Disallow: /late/*.jpg", "Allow: /late/*.png"]
    rules = HostRules({ROBOTS_TXT: EVERYONE + "\n".join(lines).encode()}, ("gptbot",))
    assert [rules.signals(path) for path in ("/x7.jpg", "/late/x.jpg", "/late/x", "/x.jpg")] == [ROBOTS] * 3 + [0]
    assert rules.faults == ["wildcards"]


def test_what_any_agent_is_refused_counts():
    content = b"User-agent: a\nDisallow: /a\nUser-agent: b\nDisallow: /b\n\nUser-agent: *\nDisallow: /c"
    assert said(content, "/a", "/b", "/c", agents=("a", "b")) == [ROBOTS, ROBOTS, 0]
    assert said(content, "/a", "/b", "/c", agents=("a", "other")) == [ROBOTS, 0, ROBOTS]


@pytest.mark.parametrize(
    ("content", "signals"),
    [
        (b"Content-Signal: ai-train=no", CONTENT),  # before any group
        (EVERYONE + b"Content-signal: search=yes, AI-train=no\nAllow: /", CONTENT),
        (EVERYONE + b"Content-Signal: ai-train=yes, ai-input=no", 0),
        (b"User-agent: other\nContent-Signal: ai-train=no", 0),
        (b"User-agent: ccbot\nContent-Signal: ai-train=no", CONTENT),
        (EVERYONE + b"Content-Signal: ai-train=no\nUser-agent: GPTBot\nUser-agent: CCBot\nAllow: /", CONTENT),
        (EVERYONE + b"Content-Signal: ai-train=no\nUser-agent: GPTBot\nDisallow: /", CONTENT | ROBOTS),
        (EVERYONE + b"Content-Signal: /img ai-train=no", 0),
        (EVERYONE + b"Content-Signal: /x ai-train=no\nContent-Signal: ai-train=yes", CONTENT),
        (EVERYONE + b"Content-Signal: ai-train=no\nContent-Signal: ai-train=yes", CONTENT),
        (EVERYONE + b"Content-Signal: /x ai-train=yes\nContent-Signal: ai-train=no", 0),
        (EVERYONE + b"Content-Usage: train-ai=n", USAGE),
        (EVERYONE + b"Content-Usage: search=y, train-genai=n\nContent-Usage: /x train-genai=y", 0),
    ],
)
def test_robots_txt_keeps_paths_from_training(content, signals):
    assert said(content, "/x.jpg") == [signals]


@pytest.mark.parametrize(
    ("content", "signals", "faults"),
    [
        (b'[{"location": "/x*", "tdm-reservation": 1}]', TDM, []),
        (b'[{"location": "/x*", "tdm-reservation": 1}, {"location": "/x.jpg", "tdm-reservation": 0}]', TDM, []),
        (b'[{"location": "/x", "tdm-reservation": 0}, {"location": "/x.jpg", "tdm-reservation": 1}]', 0, []),
        (b'[{"location": "/x", "tdm-reservation": 2}, {"location": "/x.jpg", "tdm-reservation": 1}]', 0, []),
        (b'{"location": "*", "tdm-reservation": "1"}', TDM, []),
        (
            b'[{"location": "/x#\\nAllow: /", "tdm-reservation": 1}, {"location": 3, "tdm-reservation": 1}, 7, null]',
            0,
            [],
        ),
        (b"<html>", 0, ["no_json"]),
        (b"[" * 100_000, 0, ["no_json"]),
        (b'"\xff"', 0, ["no_json"]),
        (b" " * (MAX_HOST_FILE_BYTES + 1), 0, ["cut"]),
    ],
)
def test_tdmrep_reserves_paths(content, signals, faults):
    rules = HostRules({TDMREP: content}, ("gptbot",))
    assert (rules.signals("/x.jpg"), rules.faults) == (signals, faults)


def test_ai_txt_names_kinds_of_files():
    content = b"User-Agent: *\nDisallow: *.jpg\nDisallow: *.png\nAllow: /"
    assert said(content, "/a/b.jpg", "/a.txt", name=AI_TXT) == [AI, 0]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"\xef\xbb\xbf" + EVERYONE + b"Disallow: /x", []),
        ((EVERYONE + b"Disallow: /x").decode().encode("utf-16"), []),
        ((EVERYONE + b"Disallow: /x").decode().encode("utf-16-le"), []),
        (EVERYONE + b"Disallow: /x\n" + b"\xe9\n", ["not_utf8"]),
        (b"\x89PNG\r\n" + bytes(9) + b"\n" + EVERYONE + b"Disallow: /x", ["binary", "not_utf8"]),
        (EVERYONE + b"Disallow: /x\n" + b"# pad\n" * 110_000 + b"Disallow: /", ["cut"]),
        (EVERYONE + b"Disallow: /x\n" + b"#" * 600_000, ["cut"]),
    ],
)
def test_a_broken_file_is_read_as_far_as_it_goes(content, faults):
    rules = HostRules({ROBOTS_TXT: content}, ("gptbot",))
    assert ([rules.signals(path) for path in ("/x", "/y")], rules.faults) == ([ROBOTS, 0], faults)


def test_a_path_in_another_encoding_is_compared_by_its_bytes():
    assert said(EVERYONE + b"Disallow: /caf\xe9/", "/caf%E9/x", "/cafe/x") == [ROBOTS, 0]


def test_an_empty_file_and_html_say_nothing():
    for content in (b"", b"<!doctype html><title>User-agent: *</title><p>Disallow: /</p>", b"User-agent: *\nDisallow:"):
        assert HostRules(dict.fromkeys((ROBOTS_TXT, AI_TXT), content), ("gptbot",)).is_silent


def test_records_are_read_by_status_and_address(tmp_path):
    records = [
        ("A.example", 1, 200, b"x"),
        ("https://a.example:443/robots.txt", 2, 200, b"y" * (MAX_HOST_FILE_BYTES + 9)),
        ("http://a.example:8080/robots.txt", 3, 200, b"z"),
        ("https://a.example/ai.txt", 3, 200, b""),
        ("http://a.example/robots.txt?x", 3, 200, b"other path"),
        ("http://a b/robots.txt", 3, 200, b"no host"),
        ("b.example", 3, 301, b""),
        ("c.example", 3, 404, b""),
        ("d.example", 3, 503, b""),
    ]
    robots_warc(tmp_path / "a.warc.gz", records)
    ((path, version),), tally = HostFiles.find([tmp_path]).files, Counter()
    rows = [row for batch in read(path, version, tally) for row in batch.to_pylist()]
    assert [(row["host"], row["name"], len(row["content"])) for row in rows] == [
        ("a.example", ROBOTS_TXT, 1),
        ("a.example", ROBOTS_TXT, MAX_HOST_FILE_BYTES + 1),
        ("a.example:8080", ROBOTS_TXT, 1),
        ("a.example", AI_TXT, 0),
    ]
    assert [row["date"] - rows[0]["date"] for row in rows] == [0, 1, 2, 2]
    counted = {name: number for name, number in tally.items() if isinstance(name, str) and name != "records"}
    assert counted == {"status_3xx": 1, "status_4xx": 1, "status_5xx": 1, "other_path": 1, "bad_host": 1}


def test_a_damaged_archive_is_read_around_the_damage(tmp_path):
    robots_warc(tmp_path / "a.warc.gz", [("a.example", 1, 200, b"x"), ("b.example", 1, 200, b"y")])
    data = (tmp_path / "a.warc.gz").read_bytes()
    (tmp_path / "a.warc.gz").write_bytes(data[:-20] + gzip.compress(b"WARC/1.0\r\n"))
    ((path, version),), tally = HostFiles.find([tmp_path]).files, Counter()
    assert [row["host"] for batch in read(path, version, tally) for row in batch.to_pylist()] == ["a.example"]
    assert tally["dropped", "corrupt_gzip"] + tally["dropped", "truncated"] >= 1


def test_agents_come_by_name_and_from_files(tmp_path):
    (tmp_path / "agents").write_text("# mine\nOne\n\nTwo\n")
    assert robots_agents([str(tmp_path / "agents"), "GPTBot", "One"]) == ("One", "Two", "GPTBot")
    assert {"GPTBot", "CCBot", "Google-Extended"} <= {*robots_agents()}
    (tmp_path / "agents").write_text("# none\n")
    with pytest.raises(InputError, match="names no agent"):
        robots_agents([str(tmp_path / "agents")])
