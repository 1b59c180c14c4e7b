"""Random robots.txt files, as sites write them and as nobody should, from a seed; and paths that they are about."""

import random

AGENTS = ("GPTBot", "CCBot", "Google-Extended", "AI2Bot")
NAMES = [
    *AGENTS,
    "gptbot",
    "*",
    "*",
    "*",
    "GPTBot/1.2",
    "GPT",
    "Bot",
    "CCBot ",
    "ccbot*",
    "Googlebot",
    "Google",
    "",
    "GPTBot,CCBot",
]
PATHS = [
    "/",
    "/a",
    "/a/",
    "/a/b.jpg",
    "/A",
    "/img/*.jpg$",
    "/*",
    "*",
    "/a$",
    "/*?",
    "/?q=",
    "/a*b",
    "/*/b",
    "",
    "/é",
    "/%C3%A9",
]
PATHS += [
    "/a%20b",
    "/a b",
    "/%61",
    "/a/index.html",
    "/a?x=1&y=2",
    "/~u",
    "/%7Eu",
    "a",
    "*.jpg",
    "/**",
    "/a//b",
    "/a;p",
    "/x#y",
]
FIELDS = ["Disallow"] * 5 + ["Allow"] * 3 + ["disallow", "ALLOW", "Dissallow", "Noindex", "Crawl-delay", "Sitemap"]
URLS = [
    "/",
    "/a",
    "/a/",
    "/a/b.jpg",
    "/A",
    "/img/x.jpg",
    "/img/x.jpg?y",
    "/ab",
    "/a/x/b",
    "/?q=1",
    "/é",
    "/%C3%A9",
    "/%c3%a9",
]
URLS += ["/a%20b", "/a/index.html", "/a?x=1&y=2", "/~u", "/%7eu", "/a//b", "/a;p", "/x", "/robots", "/a/index"]
ENDS = ["\n", "\n", "\n", "\r\n", "\r"]


def robots_file(seed):
    """Return the bytes of a file."""
    chance = random.Random(seed)
    lines = []
    for _ in range(chance.randint(1, 4)):
        lines += [f"User-agent: {chance.choice(NAMES)}" for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        for _ in range(chance.randint(0, 4)):
            lines.append(f"{chance.choice(FIELDS)}: {chance.choice(PATHS)}")
        lines += chance.sample(
            ["", "# why", "Sitemap: http://x/s.xml", "Crawl-delay: 3", "nonsense", "Disallow /a"],
            chance.choice([0, 0, 1, 2]),
        )
    if chance.random() < 0.2:
        chance.shuffle(lines)
    if chance.random() < 0.2:
        at = chance.randrange(len(lines))
        lines[at] = chance.choice(
            [
                f"  {lines[at]}  ",
                lines[at].replace(":", " :"),
                lines[at].replace(": ", ":"),
                lines[at].upper(),
                lines[at] + " # why",
                lines[at].replace(": ", ":\t"),
            ]
        )
    text = chance.choice(ENDS).join(lines)
    return chance.choice([b"", b"", b"", b"\xef\xbb\xbf"]) + text.encode()


def paths(seed, number=6):
    """Return some paths to ask for."""
    return random.Random(seed).sample(URLS, number)
