"""The dataset card of a curated manifest: README.md as Hugging Face reads it, a YAML head and a page for people."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date

from metadata.languages import language
from runtime.errors import InputError

DATA = "data/*.parquet"  # where the manifest lies beside the card
SHOWN = 50  # languages in the card's table

# Metadata languages are called as their Wikipedias are; where those are not ISO 639, its code, or None.
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
    """What only its publisher can say of a dataset; what is not said is left out."""

    name: str | None = None
    license: str | None = None  # of the manifest: texts and images belong to their authors
    dataset_version: str | None = None
    date: str | None = None  # of publication
    cite: str | None = None

    def __post_init__(self):
        if self.date is not None and not _is_date(self.date):
            raise InputError(f"the date is {self.date!r}; give one such as 2026-11-25")


def description(facts: dict) -> str:
    """Return one sentence about what the run of these figures (run.json) kept."""
    rows, codes = facts["rows"], _kept_languages(facts)
    return (
        f"{rows['kept']:,} image-text pairs in {len(codes)} languages, balanced over metadata entries "
        f"from {rows['images']:,} images of the web: image URLs and alt texts, without the images."
    )


def card(facts: dict, about: About, name: str) -> str:
    """Return the content of README.md for the run of these figures."""
    return "\n".join(["---", *_head(facts, about, name), "---", "", *_body(facts, about, name)]) + "\n"


def size_category(rows: int) -> str:
    """Return Hugging Face's word for a number of rows.

    >>> size_category(999), size_category(5_000_000)
    ('n<1K', '1M<n<10M')
    """
    bounds = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    place = sum(rows >= 10 ** (3 + power) for power in range(len(bounds)))
    if place == 0:
        return "n<1K"
    return f"{bounds[place - 1]}<n<{bounds[place]}" if place < len(bounds) else "n>1T"


def _head(facts: dict, about: About, name: str) -> list[str]:
    """Return the YAML; strings are quoted as in JSON, so that Norwegian's `no` is no truth value."""
    tags = [ISO_639.get(code, code) for code in _kept_languages(facts)]
    values = {
        "pretty_name": name,
        "license": about.license,
        "language": sorted({tag for tag in tags if tag}),
        "multilinguality": ["multilingual" if len(tags) > 1 else "monolingual"],
        "size_categories": [size_category(facts["rows"]["kept"])],
        "task_categories": ["zero-shot-image-classification"],
        "tags": ["clip", "image-text"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": DATA}]}],
    }
    return [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value]


def _body(facts: dict, about: About, name: str) -> list[str]:
    cited = ["", "## Citation", "", about.cite] if about.cite else []
    return [f"# {name}", "", description(facts), "", *_USE, *_origin(facts), *_languages(facts), *_CAUTIONS, *cited]


def _origin(facts: dict) -> list[str]:
    rows, numbers = facts["rows"], facts["parameters"]
    there = f"of these downloaded: {rows['existing']:,}; " if "existing" in rows else ""
    return [
        "## How it was made",
        "",
        "By clip-curation, after Meta CLIP (arXiv 2309.16671, 2507.22062): the language of each text, the metadata",
        "entries in it, counts per entry, a threshold t per language, and sampling at the rate t / count.",
        "",
        f"- images read: {rows['images']:,}; with a matching text: {rows['matched']:,}; {there}kept: {rows['kept']:,}",
        f"- tail share {facts['tail_share']:.4g}, t of English {_english_threshold(facts)}, seed {numbers['seed']}, "
        f"rules `{numbers['rules']}`",
        f"- metadata `{facts['made_from']['metadata']}`, to which the ids in `entries` belong",
        "",
    ]


def _english_threshold(facts: dict) -> str:
    of_english = facts["languages"].get("en")
    return f"{of_english['t']:,}" if of_english else "(none)"


def _languages(facts: dict) -> list[str]:
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


def _language_row(code: str, row: dict) -> str:
    numbers = " | ".join(f"{row[name]:,}" for name in ("texts", "matched", "t", "kept"))
    return f"| {code} | {language(code).name} | {numbers} |"


def _kept_languages(facts: dict) -> list[str]:
    """Return the languages of the kept texts, those with the most first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def _is_date(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


_USE = (
    """\
## Use

```python
from datasets import load_dataset

pairs = load_dataset("path/of/this/folder", split="train", streaming=True)
```

Images are fetched by [img2dataset](https://github.com/rom1504/img2dataset):

```sh
img2dataset --url_list data --input_format parquet --url_col url --caption_col text \\
    --save_additional_columns '["uid","language","entries","probability"]' \\
    --output_format webdataset --output_folder images
```

| column | |
| --- | --- |
| `uid` | of the image: MD5 of its URL, or what the input called it |
| `url`, `page_url` | of the image, and of a page that shows it |
| `text`, `language`, `lid_score` | the text, its language, and how sure identification was |
| `entries` | ids of the metadata entries in the text |
| `probability` | with which it was kept |

Rows are in random order.
""".splitlines()
    + [""]
)

_CAUTIONS = """\
## Mind

Links die, and what is behind them changes. Texts and images come from the open web and belong to their authors; nothing
was filtered for safety, privacy or quality beyond the balance that is described here.
""".splitlines()
