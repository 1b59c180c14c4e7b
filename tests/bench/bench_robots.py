"""Compare what robots.txt files say, by our reader, with others: python tests/bench/bench_robots.py [FILES].

The others are a naive twin of RFC 9309 (tests/naive/robots.py), urllib.robotparser, and protego and robotspy where they
are installed. A file on which two differ is of the class whose lines, once they are left out, let both
agree: the first in the order of CLASSES.
"""

import re
import sys
import time
from collections import Counter
from urllib.robotparser import RobotFileParser

from curation.plugins.gate.robots.robots_text import HostRules
from curation.schemas import HOST_SIGNALS
from tests.naive.robots import naive_is_allowed
from tests.support.robots_files import AGENTS, paths, robots_file

ORIGIN = "http://h"
AGENT = rb"(?im)^\s*user-agent\s*:\s*"
RULE = rb"(?im)^\s*(?:allow|dis+al+ow)\s*:?\s*"
CLASSES = {
    "Allow of index.html, taken for its folder": RULE + rb"\S*index\.html.*$",
    "? in a pattern, whose length counts as that of %3F": RULE + rb"\S*\?.*$",
    "an agent with a version, an asterisk or a neighbour": AGENT + rb"(?:gptbot/1.2|ccbot\*|gptbot,ccbot).*$",
    "an agent whose name is a part of another's": AGENT + rb"(?:gpt|bot|google)\s*(?:#.*)?$",
    "an agent without a name": AGENT + rb"$",
    "other fields between agents": rb"(?im)^\s*(?:noindex|crawl-delay|sitemap)\b.*$",
    "a misspelled field, or one without a colon": rb"(?im)^\s*(?:dissallow.*|disallow /.*)$",
    "wildcards": RULE + rb"\S*[*$].*$",
    "escapes, spaces and letters outside ASCII": RULE + rb"(?:\S*[%\x80-\xff~]\S*|/a b).*$",
    "which of Allow and Disallow counts": rb"(?im)^\s*allow.*$",
    "an empty value": RULE + rb"$",
    "path parameters and two slashes": RULE + rb"\S*(?:;|//).*$",
    "a pattern without a slash at its begin": RULE + rb"a\s*$",
}


def ours(content):
    each = {agent: HostRules({"/robots.txt": content}, (agent.lower(),)) for agent in AGENTS}
    return lambda agent, path: not each[agent].signals(path) & HOST_SIGNALS["robots"]


def twin(content):
    return lambda agent, path: naive_is_allowed(content, agent, path)


def protego(content):
    parsed = Protego.parse(content.decode("utf-8-sig"))
    return lambda agent, path: parsed.can_fetch(ORIGIN + path, agent)


def standard_library(content):
    parsed = RobotFileParser()
    parsed.parse(content.decode("utf-8-sig").splitlines())
    parsed.modified()
    return lambda agent, path: parsed.can_fetch(agent, ORIGIN + path)


def robotspy(content):
    parsed = RobotsParser.from_string(content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))
    return lambda agent, path: parsed.can_fetch(agent, ORIGIN + path)


OTHERS = {"twin": twin, "urllib": standard_library}
try:
    from protego import Protego

    OTHERS["protego"] = protego
except ImportError:
    print("protego is not installed: pip install protego")
try:
    from robots import RobotsParser

    OTHERS["robotspy"] = robotspy
except ImportError:
    print("robotspy is not installed: pip install robotspy")


def answers(reader, content, seed):
    says = reader(content)
    return [says(agent, path) for agent in AGENTS for path in paths(seed)]


def class_of(reader, content, seed):
    """Return the class of a file on which a reader differs."""
    content = re.sub(rb"\r\n?", b"\n", content)
    left = content
    for together in (False, True):
        for name, lines in CLASSES.items():
            left = re.sub(lines, b"", left if together else content)
            if answers(ours, left, seed) == answers(reader, left, seed):
                return f"several, up to: {name}" if together else name
    return "of the path that is asked for, or not known"


def main(number=100_000):
    differ, files, classes, seconds = Counter(), Counter(), {name: Counter() for name in OTHERS}, Counter()
    for seed in range(number):
        content, said = robots_file(seed), {}
        for name, reader in {"ours": ours, **OTHERS}.items():
            begin = time.process_time()
            said[name] = answers(reader, content, seed)
            seconds[name] += time.process_time() - begin
        for name, reader in OTHERS.items():
            if wrong := sum(one != other for one, other in zip(said["ours"], said[name], strict=True)):
                differ[name] += wrong
                files[name] += 1
                classes[name][class_of(reader, content, seed)] += 1
    print(f"{number:,} files, {number * len(said['ours']):,} questions, ours: {seconds['ours']:.1f} s")
    for name in OTHERS:
        print(f"{name}: {differ[name]:,} answers differ, in {files[name]:,} files; {seconds[name]:.1f} s")
        for each, count in classes[name].most_common():
            print(f"  {count:7,} {each}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
