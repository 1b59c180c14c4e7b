"""Texts of many languages from the folder of real data (SHARED_DATA): captions, sentences, words, titles, links."""

import bz2
import gzip
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


def cc3m() -> Iterator[tuple[str, str]]:
    """Yield English captions, as language and text."""
    for line in (DATA / "pairs" / "cc3m_validation.tsv").read_text("utf-8").splitlines():
        yield "en", line.split("\t")[0]


def wit() -> Iterator[tuple[str, str]]:
    """Yield captions of Wikipedia."""
    for file in sorted((DATA / "pairs" / "wit").iterdir()):
        for line in file.read_text("utf-8").splitlines():
            yield file.stem[-2:], json.loads(line)["caption_reference_description"]


def sentences() -> Iterator[tuple[str, str]]:
    """Yield what is about a sentence each, of Wikipedia's dumps."""
    for file in sorted((DATA / "wikipedia" / "mini").glob("*/wiki.xml.bz2")):
        for sentence in re.split(r"[.!?。\n|]+", re.sub(r"<[^>]*>|[\[\]{}='*&;]", " ", bz2.open(file, "rt").read())):
            yield file.parent.name, sentence


def words() -> Iterator[tuple[str, str]]:
    """Yield lemmas of the wordnets."""
    for file in sorted((DATA / "wordnet" / "omw").glob("*/*.tab")):
        for line in file.read_text("utf-8").splitlines()[1:]:
            yield file.parent.name, line.split("\t")[-1]


def titles() -> Iterator[tuple[str, str]]:
    """Yield titles of Wikipedia pages."""
    with gzip.open(DATA / "pageviews" / "edited_titles_51_wikipedias.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield "", json.loads(line)["page"]


def links() -> Iterator[tuple[str, str]]:
    """Yield the texts of links in WAT and WARC files and in tables of pairs."""
    sys.path[:0] = [str(ROOT)]
    from curation.inputs.files import find, read  # only here: it needs the whole project

    tables = DATA / "pairs" / "web_1000.parquet"
    for source in find([str(DATA / "wat"), str(DATA / "warc"), str(tables)]):
        for batch in read(source):
            yield from (("", text) for text in batch["text"].to_pylist())


KINDS = {"cc3m": cc3m, "wit": wit, "links": links, "sentences": sentences, "words": words, "titles": titles}
