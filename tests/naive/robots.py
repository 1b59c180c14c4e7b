"""Naive twin of what robots.txt says, written from RFC 9309: groups, tokens, and the longest pattern that fits."""

import json
import re

TYPOS = ("dissallow", "dissalow", "disalow", "diasllow", "disallaw")


def naive_lines(content):
    """Return the pairs of field and value in a file of bytes."""
    content = content[:512_000].removeprefix(b"\xef\xbb\xbf")
    pairs = []
    for line in re.split(rb"\r\n|\r|\n", content):
        line = line.split(b"#")[0].strip(b" \t")
        match = re.match(rb"([^:]*):(.*)$", line, re.S) or re.match(rb"(\S+)[ \t]+(\S+)$", line)
        if match:
            field = match[1].strip(b" \t").lower().decode("latin-1")
            field = {"useragent": "user-agent", "user agent": "user-agent"}.get(field, field)
            pairs.append(("disallow" if field in TYPOS else field, match[2].strip(b" \t")))
    return pairs


def naive_groups(content):
    """Return the groups of a file, each as its agents and rules."""
    groups, was_rule = [], True
    for field, value in naive_lines(content):
        if field == "user-agent":
            if was_rule:
                groups.append(([], []))
            was_rule = False
            token = value.lower()
            token = token if token == b"*" else re.match(rb"[^\s/*;,()]*", token)[0]
            groups[-1][0].append(token.decode("latin-1"))
        elif field in ("allow", "disallow", "content-signal", "content-usage"):
            was_rule = True
            if value and groups:
                groups[-1][1].append((field, value))
    return groups


def naive_is_allowed(content, agent, path):
    """Say whether an agent may fetch a path with its query."""
    groups = naive_groups(content)
    own = [group for group in groups if agent.lower() in group[0]] or [group for group in groups if "*" in group[0]]
    best = (0, True)
    for field, value in (rule for group in own for rule in group[1]):
        if field in ("allow", "disallow"):
            pattern = normal(value)
            if fits(pattern, path):
                best = max(best, (len(pattern), field == "allow"))
    return best[1]


def naive_is_reserved(content, path):
    """Say whether tdmrep.json reserves a path: the first location that fits decides."""
    for row in json.loads(content):
        if fits(normal(row["location"].encode()), path):
            return row["tdm-reservation"] == 1
    return False


def normal(path):
    """Return a path with each octet in one form: unreserved characters as they are, others outside ASCII %-escaped."""
    out = ""
    for escape, octet in re.findall(rb"(%[0-9a-fA-F]{2})|(.)", path, re.S):
        value = int(escape[1:], 16) if escape else octet[0]
        is_unreserved = chr(value).isascii() and (chr(value).isalnum() or chr(value) in "-._~")
        is_kept = is_unreserved or (octet and 0x20 < value < 0x7F)
        out += chr(value) if is_kept else f"%{value:02X}"
    return out


def octets(text):
    """Return the octets that are compared: those that RFC 3986 reserves are %-escaped, but for the / between parts."""
    return "".join(f"%{ord(each):02X}" if each not in "/%-._~" and not each.isalnum() else each for each in text)


def fits(pattern, path):
    """Say whether a pattern, with * and a $ at its end, fits the beginning of a path."""
    ends = pattern.endswith("$")
    parts = (pattern[:-1] if ends else pattern).split("*")
    expression = ".*".join(re.escape(octets(part)) for part in parts)
    return re.match(expression + (r"\Z" if ends else ""), octets(normal(path.encode())), re.S) is not None
