"""Choose one form of each dump among the files: its numbered parts or the whole one, plain or multistream.

Each form holds all articles, so a second one would count them twice.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from metadata.wikipedia import multistream

log = logging.getLogger("metadata.wikipedia")

WHOLE_SHARE = 0.8  # of the largest form's bytes; a form of fewer lacks parts: streams make a dump a tenth longer

_NAME = re.compile(r"([a-z_]+wiki-(?:\d{8}|latest))-pages-articles(-multistream)?(\d*)\.xml(?:-p\d+p\d+)?(?:\.\w+)?")
# Files whose names begin alike hold different articles of one dump: pages-articles, content_current, Cirrus.
_DUMP = re.compile(
    r"(([a-z_]+wiki)(?:-(?:\d{8}|latest)-pages-articles|-\d{4}-\d\d-\d\d(?=-p\d)|-\d{8}-cirrussearch|_content-\d{8}(?=-\d)))"
)
# The forms of a dump, the best first: what is cut into most tasks.
_INDEXED, _PARTS, _STREAM_PARTS, _STREAM, _PLAIN = (
    "the multistream dump with its index",
    "its parts",
    "its multistream parts",
    "the multistream dump",
    "the whole dump",
)
_ORDER = (_INDEXED, _PARTS, _STREAM_PARTS, _STREAM, _PLAIN)


def one_form(files: Mapping[str, int]) -> list[str]:
    """Return the paths of files (path → bytes) without those of a second form of the same dump, which the log names."""
    dumps: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if found := _NAME.fullmatch(PurePosixPath(path).name):
            dumps[found[1]][_form(path, multi=bool(found[2]), numbered=bool(found[3]))].append(path)
    left_out: set[str] = set()
    for dump, forms in dumps.items():
        if len(forms) > 1:
            left_out.update(_left_out(dump, forms, files))
    kept = [path for path in files if path not in left_out]
    _warn_of_several(kept)
    return kept


def _warn_of_several(paths: list[str]) -> None:
    """Warn of Wikipedias of which there are dumps of several days or kinds: each of them holds all articles."""
    dumps: dict[str, set[str]] = defaultdict(set)
    for found in filter(None, (_DUMP.match(PurePosixPath(path).name) for path in paths)):
        dumps[found[2]].add(found[1])
    for wiki, names in sorted(dumps.items()):
        if len(names) > 1:
            log.warning("articles of %s count once for each of its dumps: %s; give one", wiki, ", ".join(sorted(names)))


def _form(path: str, multi: bool, numbered: bool) -> str:
    if numbered:
        return _STREAM_PARTS if multi else _PARTS
    if not multi:
        return _PLAIN
    return _INDEXED if multistream.has_index(path) else _STREAM


def _left_out(dump: str, forms: Mapping[str, list[str]], files: Mapping[str, int]) -> list[str]:
    """Return the paths of all forms but the best of those that are whole."""
    size = {form: sum(files[path] for path in paths) for form, paths in forms.items()}
    whole = [form for form in _ORDER if form in size and size[form] >= WHOLE_SHARE * max(size.values())]
    others = [form for form in _ORDER if form in size and form != whole[0]]
    verb = "are" if whole[0] in (_PARTS, _STREAM_PARTS) else "is"
    log.info("%s is given more than once: %s %s read, not %s", dump, whole[0], verb, " nor ".join(others))
    return [path for form in others for path in forms[form]]
