"""Make metadata/scripts.csv from CLDR, which the package language-data carries: `python tests/support/cldr_scripts.py`.

A language is written in the scripts that CLDR states for its code, its Wikipedias or its wordnets, and in those that
its labels in languages.csv name (`crh_Latn`). Scripts that CLDR calls secondary count only where it states no other:
most of them were used long ago, or are transcriptions.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from importlib.resources import files
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from metadata.languages import LANGUAGES, OTHER, Language  # noqa: E402

PATH = ROOT / "metadata" / "scripts.csv"
# Names of ISO 15924 for several scripts at once.
SEVERAL = {
    "Hans": ("Hani", "Bopo"),
    "Hant": ("Hani", "Bopo"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}
RANKS = ("primary", "secondary")
TRANSCRIBED = {
    "ar",
    "el",
    "hi",
    "ru",
    "sa",
    "sd",
    "ta",
    "te",
    "ug",
    "ur",
}  # their labels with _Latn mean transcriptions


def scripts_csv() -> str:
    """Return the content of metadata/scripts.csv."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["code", "scripts"])
    stated = _stated()
    for language in LANGUAGES:
        if language != OTHER:
            writer.writerow([language.code, " ".join(sorted(_scripts(language, stated)))])
    return out.getvalue()


def _scripts(language: Language, stated: dict[str, dict[str, set[str]]]) -> set[str]:
    codes = (language.code, *language.wikipedia, *language.wordnet)
    primary, secondary = ({script for code in codes for script in stated[rank].get(code, ())} for rank in RANKS)
    labels = {label.split("_")[1] for label in language.labels if re.fullmatch("[a-z]{3}_[A-Z][a-z]{3}", label)}
    labels -= {"Latn"} if language.code in TRANSCRIBED else set()
    return {each for script in (primary or secondary) | labels for each in SEVERAL.get(script, (script,))}


def _stated() -> dict[str, dict[str, set[str]]]:
    """Return, as primary and as secondary, the scripts of each language in CLDR's supplemental data."""
    text = files("language_data").joinpath("data", "supplementalData.xml").read_text("utf-8")
    stated: dict[str, dict[str, set[str]]] = {rank: defaultdict(set) for rank in RANKS}
    for element in ElementTree.fromstring(text).iterfind("languageData/language"):
        stated[element.get("alt", "primary")][element.attrib["type"]].update(element.get("scripts", "").split())
    return stated


if __name__ == "__main__":
    PATH.write_text(scripts_csv(), encoding="utf-8")
