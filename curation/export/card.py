"""Dataset card of a curated manifest: README.md with a YAML head, as Hugging Face reads it, and a page for people."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from metadata.languages import language
from runtime.errors import InputError

DATA_FOLDER, ENTRIES_FOLDER = "data", "entries"  # beside the card
DATA, ENTRIES = f"{DATA_FOLDER}/*.parquet", f"{ENTRIES_FOLDER}/*.parquet"
SHOWN = 50  # languages in the card's table

# ISO 639 codes of languages whose metadata code, that of their Wikipedia, is another; None if they have none.
ISO_639 = {
    "als": "gsw",
    "bat_smg": "sgs",
    "bh": "bho",
    "cbk_zam": "cbk",
    "eml": "egl",
    "fiu_vro": "vro",
    "map_bms": None,
    "other": None,
    "roa_rup": "rup",
    "roa_tara": None,
    "zh_min_nan": "nan",
}


@dataclass(frozen=True)
class About:
    """What the publisher states about a dataset; the card leaves out what is None."""

    dataset_name: str | None = None
    license: str | None = None  # of the manifest: texts and images belong to their authors
    dataset_version: str | None = None
    date: str | None = None  # of publication
    cite: str | None = None

    def __post_init__(self) -> None:
        if self.date is not None and not _is_date(self.date):
            raise InputError(f"the date is {self.date!r}; give one such as 2026-11-25")


def description(facts: dict[str, Any]) -> str:
    """Return one sentence about the kept pairs, given the content of run.json."""
    rows, codes = facts["rows"], _kept_languages(facts)
    return (
        f"{rows['kept']:,} image-text pairs in {len(codes)} languages, balanced over metadata entries "
        f"from {rows['images']:,} images of the web: image URLs and alt texts, without the images."
    )


def card(facts: dict[str, Any], about: About, name: str, more: Sequence[tuple[str, str]] = ()) -> str:
    """Return the content of README.md, given the content of run.json; `more` are further columns and what they hold."""
    columns = [f"| `{column}` | {meaning} |" for column, meaning in more]
    return "\n".join(["---", *_head(facts, about, name), "---", "", *_body(facts, about, name, columns)]) + "\n"


def size_category(rows: int) -> str:
    """Return Hugging Face's word for a number of rows.

    >>> size_category(999), size_category(5_000_000)
    ('n<1K', '1M<n<10M')
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    reached = sum(rows >= 10 ** (3 + power) for power in range(len(bounds)))
    if reached == 0:
        return "n<1K"
    return f"{bounds[reached - 1]}<n<{bounds[reached]}" if reached < len(bounds) else "n>1T"


def _head(facts: dict[str, Any], about: About, name: str) -> list[str]:
    """Return the lines of YAML; strings are quoted as in JSON, or Norwegian's `no` would be read as false."""
    tags = [ISO_639.get(code, code) for code in _kept_languages(facts)]
    values = {
        "pretty_name": name,
        "license": about.license,
        "language": sorted({tag for tag in tags if tag}),
        "multilinguality": ["multilingual" if len(tags) > 1 else "monolingual"],
        "size_categories": [size_category(facts["rows"]["kept"])],
        "task_categories": ["zero-shot-image-classification"],
        "tags": ["clip", "image-text"],
        "configs": [_config("default", DATA), _config("entries", ENTRIES)],
    }
    return [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value]


def _config(name: str, path: str) -> dict[str, Any]:
    return {"config_name": name, "data_files": [{"split": "train", "path": path}]}


def _body(facts: dict[str, Any], about: About, name: str, columns: list[str]) -> list[str]:
    cited = ["", "## Citation", "", about.cite] if about.cite else []
    title = ["# " + _escaped(name), "", description(facts), ""]
    return [*title, *_USE, *columns, *_USE_OF_ENTRIES, *_origin(facts), *_languages(facts), *_CAUTIONS, *cited]


def _origin(facts: dict[str, Any]) -> list[str]:
    rows, numbers = facts["rows"], facts["parameters"]
    passed = rows.get("gated", rows.get("existing"))  # the latter of earlier versions
    kept = f"kept of {facts['part']}" if "part" in facts else "kept"
    past_gate = "" if passed is None else f"; of these {_past_gate(facts)}: {passed:,}"
    return [
        "## How it was made",
        "",
        "By clip-curation, after Meta CLIP (arXiv 2309.16671, 2507.22062): the language of each text, the metadata",
        "entries in it, counts per entry, a threshold t per language, and sampling at the rate t / count.",
        "",
        f"- images read: {rows['images']:,}; with a matching text: {rows['matched']:,}{past_gate}; "
        f"{kept}: {rows['kept']:,}",
        f"- tail share {facts['tail_share']:.4g}, t of English {_english_threshold(facts)}, seed {numbers['seed']}, "
        f"rules `{numbers['rules']}`",
        f"- digest of the metadata whose ids are in `entries`: `{facts['made_from']['metadata']}`",
        "",
    ]


def _past_gate(facts: dict[str, Any]) -> str:
    conditions = [f"`{condition['text']}`" for condition in facts.get("gate", {}).get("conditions", [])]
    return f"meet {' and '.join(conditions)}" if conditions else "downloaded"


def _english_threshold(facts: dict[str, Any]) -> str:
    of_english = facts["languages"].get("en")
    return f"{of_english['t']:,}" if of_english else "(none)"


def _languages(facts: dict[str, Any]) -> list[str]:
    codes = _kept_languages(facts)
    left = len(codes) - SHOWN
    return [
        "## Languages",
        "",
        "| language | | texts read | with an entry | t | kept |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        *(_language_row(code, facts["languages"][code]) for code in codes[:SHOWN]),
        *([f"| and {left} more | | | | | |"] if left > 0 else []),
        "",
    ]


def _language_row(code: str, row: dict[str, Any]) -> str:
    numbers = " | ".join(f"{row[name]:,}" for name in ("texts", "matched", "t", "kept"))
    return f"| {code} | {language(code).name} | {numbers} |"


def _kept_languages(facts: dict[str, Any]) -> list[str]:
    """Return the languages of the kept texts, the one with the most texts first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def _escaped(text: str) -> str:
    """Return a text that stands in a line of Markdown as it is: the name of a folder may look like a link."""
    return re.sub(r"[\\`*_\[\]<>&|~$]", r"\\\g<0>", " ".join(text.split()))


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


_USE = """\
## Use

```python
from datasets import load_dataset

pairs = load_dataset("path/of/this/folder", split="train", streaming=True)
```

The column `entries` holds ids. They are rows of the configuration `entries`, which has the text, the count and the
sampling rate of every metadata entry:

```python
entries = load_dataset("path/of/this/folder", "entries", split="train")
row = next(iter(pairs))
print(row["text"], entries[row["entries"]]["entry"])
```

The images can be downloaded with [img2dataset](https://github.com/rom1504/img2dataset):

```sh
img2dataset --url_list data --input_format parquet --url_col url --caption_col text \\
    --save_additional_columns '["uid","language","entries","probability"]' \\
    --output_format webdataset --output_folder images
```

| column of the pairs | |
| --- | --- |
| `uid` | the image: MD5 of its URL, or its name in the input |
| `url`, `page_url` | URL of the image, and of a page on which it has the text |
| `text`, `language`, `lid_score` | the text, its language, and how sure the identification of the language is |
| `entries` | ids of the metadata entries in the text |
| `probability` | the probability with which the pair was kept |
""".splitlines()

_USE_OF_ENTRIES = (
    """
| column of the entries | |
| --- | --- |
| `id`, `language`, `entry` | the entry, its language, and its id over all languages |
| `count` | the number of texts that contain it |
| `rate` | the probability with which it keeps each of them: t / count, at most 1 |

The pairs are in random order.
""".splitlines()
    + [""]
)

_CAUTIONS = """\
## Limitations

Links break, and the images behind them change. Texts and images come from the open web and belong to their authors.
They were not filtered for safety, privacy or quality; they were only balanced, as described here.
""".splitlines()
