"""Croissant 1.1 metadata of a curated manifest and its entries: croissant.json, with the SHA-256 of each file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.schemas import COUNTS, CURATED

DATA_FOLDER, ENTRIES_FOLDER = "data", "entries"  # of the dataset
DATA, ENTRIES = f"{DATA_FOLDER}/*.parquet", f"{ENTRIES_FOLDER}/*.parquet"
VERSION = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"

PAIR_COLUMNS = {
    "uid": "The image: MD5 of its URL as 32 hexadecimal digits, or its name in the input.",
    "url": "The URL of the image.",
    "text": "The text of the image.",
    "language": "The language of the text, a code of the metadata.",
    "lid_score": "How sure the identification of the language is, from 0 to 1; null if the input gave the language.",
    "entries": "The ids of the metadata entries in the text, as in the record set of entries.",
    "probability": "The probability with which the pair was kept.",
    "page_url": "A page on which the image has the text.",
}
CAPTION = (
    pa.field("caption", pa.string()),
    pa.field("caption_score", pa.float64()),
    pa.field("caption_source", pa.string()),
)
CLUSTER = (pa.field("coarse", pa.int32()), pa.field("fine", pa.int32()))
BESIDE_COLUMNS = {
    "caption": "A caption of the image, made by a model; null if there is none.",
    "caption_score": "The score of the caption, as the table of captions gives it; null if it gives none.",
    "caption_source": "What wrote the caption, as the table of captions says; null if it does not say.",
    "coarse": "The coarse cluster of the image; null if there is none.",
    "fine": "The fine cluster of the image; null if there is none.",
}
ENTRY_COLUMNS = {
    "id": "The id of the entry: its position over all languages, from 0.",
    "language": "The language of the entry, a code of the metadata.",
    "entry": "The entry: a word, a phrase or a name.",
    "count": "The number of texts that contain the entry.",
    "rate": "The probability with which the entry keeps each of its texts: t / count, at most 1.",
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


@dataclass(frozen=True)
class RecordSet:
    """Parquet files of one schema as a Croissant record set, with a description of each column."""

    name: str
    description: str
    files: str  # pattern of their paths
    key: str
    schema: pa.Schema
    columns: dict[str, str]

    @property
    def file_set(self) -> str:
        """The id of the set of its files."""
        return f"{self.name}-files"


PAIRS = RecordSet("pairs", "One row per image.", DATA, "uid", CURATED, PAIR_COLUMNS)
ENTRY_RECORDS = RecordSet("entries", "One row per metadata entry.", ENTRIES, "id", COUNTS, ENTRY_COLUMNS)
RECORD_SETS = (PAIRS, ENTRY_RECORDS)


def with_columns(fields: Sequence[pa.Field]) -> tuple[RecordSet, ...]:
    """Return the record sets where pairs have these columns of captions or clusters, too."""
    more = {field.name: BESIDE_COLUMNS[field.name] for field in fields}
    return replace(PAIRS, schema=pa.schema([*CURATED, *fields]), columns=PAIR_COLUMNS | more), ENTRY_RECORDS


def croissant(
    name: str, description: str, stated: dict[str, str | None], folder: Path, record_sets: tuple[RecordSet, ...]
) -> dict[str, Any]:
    """Return the content of croissant.json for the files in `folder`; what is None is not stated."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": name,
        "description": description,
        **{key: value for key, value in stated.items() if value},
        "distribution": [*_file_objects(folder), *map(_file_set, record_sets)],
        "recordSet": [_record_set(each) for each in record_sets],
    }


def _file_objects(folder: Path) -> list[dict[str, Any]]:
    files = [file for each in RECORD_SETS for file in sorted(folder.glob(each.files))]
    with ThreadPoolExecutor() as threads:  # hashing releases the interpreter lock
        digests = list(threads.map(_sha256, files))
    paths = [file.relative_to(folder).as_posix() for file in files]
    return [_file_object(path, digest) for path, digest in zip(paths, digests, strict=True)]


def _file_object(path: str, digest: str) -> dict[str, Any]:
    named = {"@type": "cr:FileObject", "@id": path, "name": path}
    return named | {"contentUrl": path, "encodingFormat": PARQUET, "sha256": digest}


def _file_set(records: RecordSet) -> dict[str, Any]:
    named = {"@type": "cr:FileSet", "@id": records.file_set, "name": records.file_set}
    return named | {"encodingFormat": PARQUET, "includes": records.files}


def _record_set(records: RecordSet) -> dict[str, Any]:
    named = {"@type": "cr:RecordSet", "@id": records.name, "name": records.name, "description": records.description}
    fields = [_field(records, column) for column in records.schema]
    return named | {"key": {"@id": f"{records.name}/{records.key}"}, "field": fields}


def _field(records: RecordSet, column: pa.Field) -> dict[str, Any]:
    source = {"fileSet": {"@id": records.file_set}, "extract": {"column": column.name}}
    named = {"@type": "cr:Field", "@id": f"{records.name}/{column.name}", "name": column.name}
    described = {"description": records.columns[column.name], "dataType": _type(column), "source": source}
    return named | described | ({"isArray": True, "arrayShape": "-1"} if pa.types.is_list(column.type) else {})


def _type(column: pa.Field) -> str:
    if column.name in ("url", "page_url"):
        return "sc:URL"
    if pa.types.is_floating(column.type):
        return "sc:Float"
    return "sc:Integer" if pa.types.is_list(column.type) or pa.types.is_integer(column.type) else "sc:Text"


def _sha256(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
