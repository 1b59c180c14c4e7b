"""Croissant 1.1 metadata of a curated manifest: croissant.json, which names each file with its SHA-256."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from curation.export.card import DATA, About, description
from curation.schemas import CURATED

VERSION = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"
FILES, PAIRS = "files", "pairs"

COLUMNS = {
    "uid": "The image: MD5 of its URL as 32 hexadecimal digits, or what the input called it.",
    "url": "The URL of the image.",
    "text": "The text of the image.",
    "language": "The language of the text, a code of the metadata.",
    "lid_score": "How sure language identification was, from 0 to 1; null where the input brought the language.",
    "entries": "The ids of the metadata entries in the text.",
    "probability": "The probability with which the pair was kept.",
    "page_url": "A page that shows the image.",
}

_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("arrayShape", "containedIn", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
    *("subField", "transform"),
)
# The JSON-LD context that the specification prescribes.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(facts: dict, about: About, name: str, folder: Path) -> dict:
    """Return the content of croissant.json for the manifest in data/ of `folder` and the figures of its run."""
    said = {
        "license": about.license,
        "version": about.dataset_version,
        "datePublished": about.date,
        "citeAs": about.cite,
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": name,
        "description": description(facts),
        **{key: value for key, value in said.items() if value},
        "distribution": [*_file_objects(folder), _file_set()],
        "recordSet": [_record_set()],
    }


def _file_objects(folder: Path) -> list[dict]:
    files = sorted(folder.glob(DATA))
    with ThreadPoolExecutor() as threads:  # hashing lets go of the interpreter
        digests = list(threads.map(_sha256, files))
    return [_file_object(f"data/{file.name}", digest) for file, digest in zip(files, digests, strict=True)]


def _file_object(path: str, digest: str) -> dict:
    named = {"@type": "cr:FileObject", "@id": path, "name": path}
    return named | {"contentUrl": path, "encodingFormat": PARQUET, "sha256": digest}


def _file_set() -> dict:
    return {"@type": "cr:FileSet", "@id": FILES, "name": FILES, "encodingFormat": PARQUET, "includes": DATA}


def _record_set() -> dict:
    named = {"@type": "cr:RecordSet", "@id": PAIRS, "name": PAIRS, "description": "One row per image."}
    return named | {"key": {"@id": f"{PAIRS}/uid"}, "field": [_field(column) for column in CURATED]}


def _field(column: pa.Field) -> dict:
    of_column = {"fileSet": {"@id": FILES}, "extract": {"column": column.name}}
    named = {"@type": "cr:Field", "@id": f"{PAIRS}/{column.name}", "name": column.name}
    lists = {"isArray": True, "arrayShape": "-1"} if pa.types.is_list(column.type) else {}
    return named | {"description": COLUMNS[column.name], "dataType": _type(column), "source": of_column} | lists


def _type(column: pa.Field) -> str:
    if column.name in ("url", "page_url"):
        return "sc:URL"
    if pa.types.is_floating(column.type):
        return "sc:Float"
    return "sc:Integer" if pa.types.is_list(column.type) else "sc:Text"


def _sha256(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
