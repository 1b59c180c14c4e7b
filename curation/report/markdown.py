"""Fill in templates of Markdown and JSON, in which text of users and data is escaped, so that it is shown as it is."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from curation.report.languages import number, percent
from runtime.terminal import in_one_line

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@cache
def templates(package: str) -> Environment:
    """Return the Jinja environment of a package's folder `templates`; only filters escape what is filled in."""
    found = Environment(
        loader=PackageLoader(package), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    # Strings are quoted as in JSON, in YAML too, or Norwegian's `no` would be read as false.
    found.filters.update(json=as_json, number=number, percent=percent, escaped=escaped, code=code, block=block)
    return found


def as_json(value: Any) -> str:
    """Return JSON that is YAML, too, in which some characters cannot stand as they are."""
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False))


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
