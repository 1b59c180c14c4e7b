"""Make metadata/language_names.csv from CLDR and IANA's registry: `python tests/support/cldr_names.py`.

The package language-data carries both. The table has, beside codes and labels of languages.csv, all by which a table of
pairs may call a language: its names in English, the tags that the registry lists with a language of the table as their
first part (`ca-valencia`, `zh-cmn`), codes that were withdrawn, and those that libraries use (`ger`). Names are written
as `key` has them. A name that two languages share is in the table if CLDR gives it to one of them only.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path

from language_data.name_data import CODE_TO_NAMES
from language_data.registry_parser import parse_registry
from language_data.util import data_filename

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from metadata.languages import LANGUAGES, OTHER, Language, key, of_label  # noqa: E402

PATH = ROOT / "metadata" / "language_names.csv"
# ISO 639-2/B: codes of libraries where these are others than those of linguists.
BIBLIOGRAPHIC = dict(
    pair.split("=")
    for pair in (
        "alb=sq arm=hy baq=eu bur=my chi=zh cze=cs dut=nl fre=fr geo=ka ger=de gre=el ice=is mac=mk mao=mi may=ms "
        "per=fa rum=ro slo=sk tib=bo wel=cy"
    ).split()
)


KIND = r" \((macrolanguage|individual language)\)"  # after a name in the registry
COMMON = {"Farsi": "fa", "Mandarin": "zh", "Myanmar": "my", "Kurmanji": "ku", "Sorani": "ckb", "unknown": "und"}


def names_csv() -> str:
    """Return the content of metadata/language_names.csv."""
    found: dict[str, set[str]] = {}
    for source in (_codes(), _names(), _cldr(), _registry()):
        added: dict[str, set[str]] = {}
        for name, language in source:
            if key(name) not in found:
                added.setdefault(key(name), set()).add(language.code)
        found |= added
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "code"])
    writer.writerows(sorted((name, *codes) for name, codes in found.items() if len(codes) == 1 and name))
    return out.getvalue()


def _codes() -> Iterator[tuple[str, Language]]:
    for language in LANGUAGES:
        yield from ((code, language) for code in language.wordnet)
    for code, now in BIBLIOGRAPHIC.items():
        yield code, of_label(now)


def _names() -> Iterator[tuple[str, Language]]:
    yield from ((language.name, language) for language in LANGUAGES)
    yield from ((name, of_label(code)) for name, code in COMMON.items())


def _cldr() -> Iterator[tuple[str, Language]]:
    for tag, names in CODE_TO_NAMES.items():
        if "en" in names and (language := _of_tag(tag)):
            yield names["en"], language
    for file in ("extra_language_names.csv", "override_language_names.csv"):
        with open(data_filename(file), encoding="utf-8") as rows:
            for place, tag, name in csv.reader(rows):
                if place == "en" and (language := _of_tag(tag)):
                    yield name, language


def _registry() -> Iterator[tuple[str, Language]]:
    for row in parse_registry():
        tag = row.get("Tag") or row["Subtag"]
        kind, now = row["Type"], row.get("Preferred-Value")
        if kind in ("language", "extlang", "grandfathered"):
            language = _of_tag(now or tag)
            if language and kind == "language":
                yield from ((re.sub(KIND, "", name), language) for name in row["Description"])
            if language:
                yield from ((f"{prefix}-{tag}", language) for prefix in row.get("Prefix", ()))
                yield tag, language
        elif kind == "variant":
            for prefix in row.get("Prefix", ()):
                if language := _of_tag(prefix):
                    yield f"{prefix}-{tag}", language


def _of_tag(tag: str) -> Language | None:
    """Return the language of a tag as ISO 639 has it, by its primary part, if the table has it."""
    return _by_iso().get(tag.split("-")[0])


@cache
def _by_iso() -> dict[str, Language]:
    parts = {label.split("_")[0]: each for each in LANGUAGES for label in each.labels}
    codes = {each.code: each for each in LANGUAGES if len(each.code) == 2}
    return parts | codes | {code: each for each in LANGUAGES for code in each.wordnet} | {"sgn": OTHER}


if __name__ == "__main__":
    PATH.write_text(names_csv(), encoding="utf-8")
