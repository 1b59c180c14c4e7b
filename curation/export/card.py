"""Describe a dataset from templates: Hugging Face's dataset card README.md, and Croissant 1.1 metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from jinja2 import Environment, PackageLoader, StrictUndefined

from curation.export.how_made import is_balanced, is_filtered, sentences
from curation.export.markdown import block, code, escaped
from curation.report.numbers import counted, number
from metadata.languages import language

if TYPE_CHECKING:
    from curation.export.huggingface import HuggingFace

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


# Identifiers of licences for texts and data in a dataset card; `other` stands for all that have none.
LICENSES = (
    *("cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0"),
    *("cdla-permissive-2.0", "c-uda", "odc-by", "odbl", "pddl", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl"),
    *("apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "unlicense", "wtfpl", "zlib"),
    *("gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "openrail", "unknown", "other"),
)
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

# Of the columns beside those of the manifest.
MEANINGS = {
    "caption": "A caption of the image, made by a model; null if there is none.",
    "caption_score": "The score of the caption, as the table of captions gives it; null if it gives none.",
    "caption_source": "What wrote the caption, as the table of captions says; null if it does not say.",
    "coarse": "The coarse cluster of the image; null if there is none.",
    "fine": "The fine cluster of the image; null if there is none.",
}

OF_SOURCE = "The caption of the image by the source in the name of the column; null if there is none."


def card(facts: dict[str, Any], about: HuggingFace, name: str, columns: Sequence[pa.Field] = ()) -> str:
    """Return the content of README.md, given the content of run.json; `columns` are further ones."""
    codes, rows = _kept_languages(facts), facts["rows"]
    return _rendered(
        "card.md",
        facts={"part": None} | facts,
        about=about,
        name=name,
        description=description(facts),
        codes=codes,
        tags=sorted({tag for code in codes if (tag := ISO_639.get(code, code))}),
        size=size_category(rows["kept"]),
        columns=columns,
        sentences=sentences(facts),
        balanced=is_balanced(facts),
        filtered=is_filtered(facts),
        language=language,
    )


def croissant(
    facts: dict[str, Any], about: HuggingFace, name: str, digests: dict[str, str], columns: Sequence[pa.Field] = ()
) -> dict[str, Any]:
    """Return the content of croissant.json, given that of run.json; `digests` has the SHA-256 of each file's path."""
    rendered = _rendered(
        "croissant.json",
        name=name,
        description=description(facts),
        balanced=is_balanced(facts),
        stated={
            "license": about.license,
            "version": about.dataset_version,
            "datePublished": about.date,
            "citeAs": about.cite,
        },
        digests=digests,
        columns=columns,
    )
    return json.loads(rendered)


def description(facts: dict[str, Any]) -> str:
    """Return one sentence about the kept pairs, given the content of run.json."""
    rows, codes = facts["rows"], _kept_languages(facts)
    how = "balanced over" if is_balanced(facts) else "matched with"
    return (
        f"{counted(rows['kept'], 'image-text pair')} in {counted(len(codes), 'language')}, {how} metadata entries "
        f"from {counted(rows['images'], 'image')} of the web: image URLs and alt texts, without the images."
    )


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


def _rendered(template: str, **values: Any) -> str:
    templates = Environment(
        loader=PackageLoader("curation.export"), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    # Strings are quoted as in JSON, in YAML too, or Norwegian's `no` would be read as false.
    templates.globals |= {"meanings": MEANINGS, "of_source": OF_SOURCE}
    templates.filters.update(json=_json, number=number, escaped=escaped, code=code, block=block)
    return templates.get_template(template).render(values)


def _kept_languages(facts: dict[str, Any]) -> list[str]:
    """Return the languages of the kept texts, the one with the most texts first."""
    kept = {code: row["kept"] for code, row in facts["languages"].items() if row["kept"]}
    return sorted(kept, key=lambda code: (-kept[code], code))


def _json(value: Any) -> str:
    """Return JSON that is YAML, too, in which some characters cannot stand as they are."""
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False))
