"""The page "The languages" of the site: a row for each language of metadata/languages.csv, with its entries in a build.

`python docs/site/languages.py METADATA.JSON` takes the numbers of entries from that build, into entries.json beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PAGE = "reference/languages.md"
HERE = Path(__file__).parent
ENTRIES = HERE / "entries.json"
LABELS = HERE.parents[1] / "tests" / "cases" / "labels"
OF_TABLES = {"iw", "fil", "nb", "und", "zxx", "mis", "mul"}  # short labels that are none of lid.176
HEAD = """---
hide: [toc]
---

# The languages

For which languages can entries be built, and which names do other programs have for them? The order of the rows is the
order of the entries' ids. The table is made from `metadata/languages.csv`. The docstring of `metadata/languages.py`
says how varieties were merged. A label that is not in any row means `other`.

- **Wikipedias**: the Wikipedias that are merged into the language.
- **Wordnets**: the ISO 639-3 codes that wordnets use for it.
- **lid.176**: its labels in fastText's model, the default.
- **GlotLID, OpenLID**: its labels in models that write ISO 639-3 and a script. OpenLID or NLLB's lid218e has the labels
  in bold; GlotLID has most of all labels.
- **Words**: the way in which text is cut into words: ICU at boundaries, ICU with a dictionary, or at the tsheg between
  syllables. `SEGMENTERS` in `metadata/words.py` can name another segmenter for a language.
"""
BUILT = """- **Entries**: their number in `{name}`, which `{command}` builds. Other metadata state it in metadata.json.
"""


def page() -> str:
    """Return the page as Markdown."""
    from metadata.languages import LANGUAGES

    built = json.loads(ENTRIES.read_text("utf-8"))
    rows = ["| code | name | Wikipedias | wordnets | lid.176 | GlotLID, OpenLID | words | entries |"]
    rows += ["| --- | --- | --- | --- | --- | --- | --- | ---: |"]
    of_openlid = {label for path in LABELS.glob("*.txt") for label in path.read_text("utf-8").split()}
    for language in LANGUAGES:
        cells = [f"`{language.code}`", language.name, _codes(language.wikipedia), _codes(language.wordnet)]
        entries = built["languages"].get(language.code)
        cells += [_codes(of_lid176(language)), _bold(language, of_openlid), words(language)]
        rows.append(f"| {' | '.join([*cells, f'{entries:,}' if entries else ''])} |")
    return f"{HEAD}{BUILT.format(**built)}\n" + "\n".join(rows) + "\n"


def of_lid176(language) -> list[str]:
    """Return the labels of a language in lid.176."""
    return [label for label in language.labels if "_" not in label and label not in OF_TABLES]


def words(language) -> str:
    """Return how text in a language is cut into words."""
    from metadata.words import SEGMENTERS, TIBETAN

    if language.code in SEGMENTERS:
        return f"`{SEGMENTERS[language.code].__module__}`"
    if language.code in TIBETAN:
        return "syllables"
    return "ICU" if language.spaced else "ICU, dictionary"


def _codes(codes) -> str:
    return " ".join(f"`{code}`" for code in codes)


def _bold(language, of_openlid: set[str]) -> str:
    labels = [label for label in language.labels if "_" in label]
    return " ".join(f"**`{label}`**" if label in of_openlid else f"`{label}`" for label in labels)


def take(facts: dict, command: str) -> dict:
    """Return the facts that the page needs from the metadata.json of a build."""
    return {"name": facts["name"], "command": command, "languages": facts["languages"]}


if __name__ == "__main__":
    path, command = sys.argv[1:]
    taken = take(json.loads(Path(path).read_text("utf-8")), command)
    ENTRIES.write_text(json.dumps(taken, indent=1) + "\n", "utf-8")
