"""Write text of users and of data in Markdown, so that it is shown as it is: in a line, as code, or as a block."""

from __future__ import annotations

import re

from runtime.terminal import in_one_line


def escaped(text: str) -> str:
    """Return a text escaped for one line of Markdown: the name of a folder may look like a link."""
    return re.sub(r"[\\`*_\[\]<>&|~$]|#(?=#*$)", r"\\\g<0>", _line(text))


def code(text: str) -> str:
    """Return a text as code within a line of Markdown, between more backticks than it has."""
    line = _line(text) or " "
    fence, space = _fence(line, 1), " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def block(text: str) -> str:
    """Return the lines of a text as a block, between more backticks than it has."""
    lines = "\n".join(map(in_one_line, text.strip().splitlines())).encode("utf-8", "backslashreplace").decode()
    fence = _fence(lines, 3)
    return f"{fence}\n{lines}\n{fence}"


def _fence(text: str, least: int) -> str:
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _line(text: str) -> str:
    return in_one_line(" ".join(text.split())).encode("utf-8", "backslashreplace").decode()
