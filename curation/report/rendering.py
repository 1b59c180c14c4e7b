"""The templates of pages and drawings, and what they may call."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

from curation.report import charts
from curation.report.numbers import counted, number
from curation.report.sentences import Quoted


@cache
def environment() -> Environment:
    """Return the templates. What is filled into them is escaped, wherever it comes from."""
    templates = Environment(
        loader=PackageLoader("curation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(counted=counted, number=number, sha256=_sha256)
    templates.tests["quoted"] = lambda part: isinstance(part, Quoted)
    templates.globals["charts"] = charts  # sizes in pixels
    return templates


def _sha256(text: str) -> str:
    """Return the digest of a script as a Content Security Policy names it."""
    return b64encode(sha256(text.encode()).digest()).decode()
