"""Recognise Wikipedia files by name and folder: their kind, and the Wikipedia to which they belong.

Files of Wikimedia's other projects, such as Wiktionary and Commons, are never read as a Wikipedia. Their databases are
called `enwiktionary` or `commonswiki`: dumps state this in their file names and in the header of their XML.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from metadata.languages import is_wikipedia

_PACKED = r"(\.(gz|bz2|xz))?"
_KINDS = {  # of a file, by its name
    "xml": re.compile(rf".+\.xml(-[^.]+)?{_PACKED}", re.IGNORECASE),
    "cirrus": re.compile(rf".+\.(json|jsonl|ndjson){_PACKED}", re.IGNORECASE),
    "parquet": re.compile(r".+\.parquet", re.IGNORECASE),
}
# Other files in a dump's folder.
_NO_PAGES = re.compile(r"[._].*|.*-(abstract|all-titles|pages-(logging|meta)|siteinfo|stub).*")
# Cirrus search dumps of articles: enwiki-20240101-cirrussearch-content.json.gz, and since 2025
# index_name=enwiki_content/enwiki_content-20251102-00000.json.bz2. `general` holds all other pages.
_CIRRUS = re.compile(r".*cirrussearch(?!-general).*|.+_content-\d{8}-\d+\..+")
_CIRRUS_FOLDER = re.compile(r"index_name=.+_content")

_FILE_CODE = re.compile(r"([a-z][a-z_]*?)wiki(?![a-z])")  # enwiki-20240101-…, zh_min_nanwiki.xml
_FOLDER_CODE = re.compile(
    r"(?:\d{8}\.|(?:wikipedia|wiki|language|lang|index_name)=)?([a-z]+?(?:[_-][a-z]+)*?)(?:wiki(?:_content)?)?"
)

_FAMILIES = "wikibooks wikimedia wikinews wikiquote wikisource wikiversity wikivoyage wiktionary".split()
# Databases `…wiki` that are no Wikipedia's.
WIKIS = (
    "advisory apiportal commons donate foundation incubator labs labtest login mediawiki meta nostalgia outreach "
    "quality sources species strategy ten test test2 testcommons testwikidata thankyou usability vote wikidata "
    "wikifunctions wikimania wikitech"
).split()
_DATABASE = rf"[a-z_]+(?:{'|'.join(_FAMILIES)})|(?:{'|'.join(WIKIS)})wiki|wikimania\d{{4}}wiki"
_NAMED = re.compile(_DATABASE)
_NAME = re.compile(rf"({_DATABASE})(?![a-z0-9])")
_FOLDER = re.compile(rf"(?:index_name=)?({_DATABASE})(?:_content|_general)?")
_SITES = "mediawiki wikibooks wikidata wikifunctions wikimedia wikinews wikiquote wikisource wikiversity wikivoyage"
_ADDRESS = re.compile(rf"//((?:[a-z0-9-]+\.)*(?:{'|'.join([*_SITES.split(), 'wiktionary'])})\.org)\b")


def kind_of(path: str) -> str | None:
    """Return the kind of a file (xml, cirrus or parquet), None for another one."""
    name = PurePosixPath(path).name
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), None)


def is_sought(path: str) -> bool:
    """Return whether a file in a folder is to be read: there, unlike by name, JSON may be anything."""
    pure, kind = PurePosixPath(path), kind_of(path)
    if kind is None or _NO_PAGES.fullmatch(pure.name):
        return False
    return kind != "cirrus" or bool(_CIRRUS.fullmatch(pure.name) or _CIRRUS_FOLDER.fullmatch(pure.parent.name))


def code_in_path(path: str) -> str | None:
    """Return the Wikipedia in the name of a file, or else of its folder.

    >>> code_in_path("dumps/enwiki-latest-pages-articles.xml.bz2"), code_in_path("20231101.zh-yue/train.parquet")
    ('en', 'zh_yue')
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    by_name, by_folder = _FILE_CODE.match(pure.name), _FOLDER_CODE.fullmatch(pure.parent.name)
    return next((code for found in (by_name, by_folder) if found and (code := known(found[1]))), None)


def project_in_path(path: str) -> str | None:
    """Return the other project in the name of a file, or of the two folders above it; None for a Wikipedia's name.

    >>> project_in_path("en/enwiktionary-latest.xml"), project_in_path("commonswiki/enwiki-latest.xml")
    ('enwiktionary', None)
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    by_name = _FILE_CODE.match(pure.name)
    if by_name and known(by_name[1]):
        return None
    by_folder = (_FOLDER.fullmatch(folder.name) for folder in list(pure.parents)[:2])
    return next((found[1] for found in (_NAME.match(pure.name.lower()), *by_folder) if found), None)


def known(code: str) -> str | None:
    """Return a Wikipedia's code as languages.csv has it, None for another one."""
    return code.replace("-", "_") if is_wikipedia(code) else None


def is_other_project(database: str) -> bool:
    """Return whether a database belongs to another project than Wikipedia.

    >>> is_other_project("enwiktionary"), is_other_project("commonswiki"), is_other_project("enwiki")
    (True, True, False)
    """
    return _NAMED.fullmatch(database) is not None


def project_in_address(address: str) -> str | None:
    """Return the host of another project in an address, or None.

    >>> project_in_address("https://en.wiktionary.org/wiki/dog"), project_in_address("https://en.wikipedia.org/wiki/Dog")
    ('en.wiktionary.org', None)
    """
    found = _ADDRESS.search(address)
    return found[1] if found else None
