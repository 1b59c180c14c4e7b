"""Compare what robots.txt files say, by our reader, with other readers: python tests/bench/bench_robots.py [FILES].

The others are a naive twin of RFC 9309 (tests/naive/robots.py), protego and urllib.robotparser by themselves, and
robotspy where it is installed. Differences are counted by reader and by what a file holds; an example of each is shown.
"""

import sys
import time
from collections import Counter
from urllib.robotparser import RobotFileParser

from protego import Protego

from curation.gate.host_rules import HostRules
from tests.naive.robots import naive_is_allowed
from tests.support.robots_files import AGENTS, paths, robots_file

ORIGIN = "http://h"


def ours(content):
    each = {agent: HostRules({"/robots.txt": content}, (agent.lower(),)) for agent in AGENTS}
    return lambda agent, path: not each[agent].signals(path) & 128


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
    from robots import RobotsParser

    parsed = RobotsParser.from_string(content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))
    return lambda agent, path: parsed.can_fetch(agent, ORIGIN + path)


def main(number=100_000):
    others = {"twin": twin, "protego": protego, "urllib": standard_library, "robotspy": robotspy}
    asked, differ, examples, seconds = 0, Counter(), {}, Counter()
    files = Counter()
    for seed in range(number):
        content = robots_file(seed)
        answers = {}
        for name, reader in {"ours": ours, **others}.items():
            begin = time.process_time()
            try:
                says = reader(content)
                answers[name] = [says(agent, path) for agent in AGENTS for path in paths(seed)]
            except ImportError:
                continue
            seconds[name] += time.process_time() - begin
        asked += len(answers["ours"])
        for name in answers.keys() - {"ours"}:
            wrong = [k for k, (a, b) in enumerate(zip(answers["ours"], answers[name], strict=True)) if a != b]
            differ[name] += len(wrong)
            if wrong:
                files[name] += 1
                agent, path = AGENTS[wrong[0] // 6], paths(seed)[wrong[0] % 6]
                examples.setdefault(name, []).append((content, agent, path, answers["ours"][wrong[0]]))
    print(f"{number:,} files, {asked:,} questions")
    for name in others:
        if name in seconds:
            print(f"{name}: {differ[name]:,} answers differ, in {files[name]:,} files; {seconds[name]:.1f} s")
    print(f"ours: {seconds['ours']:.1f} s")
    return examples


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
