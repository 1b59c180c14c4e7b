"""Recognise files of Wikimedia's other projects, which are never read as a Wikipedia.

Their databases are called `enwiktionary` or `commonswiki`; dumps have that name in their own, and in their heads.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

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


def is_other_project(database: str) -> bool:
    """Return whether a database is that of another project than Wikipedia.

    >>> is_other_project("enwiktionary"), is_other_project("commonswiki"), is_other_project("enwiki")
    (True, True, False)
    """
    return _NAMED.fullmatch(database) is not None


def in_file_name(name: str) -> str | None:
    """Return the database of another project by which a file's name begins, or None."""
    found = _NAME.match(name.lower())
    return found[1] if found else None


def in_folders(path: str) -> str | None:
    """Return the database of another project after which one of the two folders above a file is called, or None.

    >>> in_folders("dumps/enwiktionary/20240101/pages.xml"), in_folders("dumps/en/pages.xml")
    ('enwiktionary', None)
    """
    folders = [folder.name for folder in list(PurePosixPath(path.replace("\\", "/")).parents)[:2]]
    return next((found[1] for folder in folders if (found := _FOLDER.fullmatch(folder))), None)


def in_address(address: str) -> str | None:
    """Return the host of another project in an address, or None.

    >>> in_address("https://en.wiktionary.org/wiki/dog"), in_address("https://en.wikipedia.org/wiki/Dog")
    ('en.wiktionary.org', None)
    """
    found = _ADDRESS.search(address)
    return found[1] if found else None
