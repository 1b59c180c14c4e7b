"""Starter metadata: the frequent words of many languages, from packages, without a download.

They are built once for each set of versions, into the folder that caches what jobs of this machine share.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict
from functools import partial
from hashlib import blake2b
from pathlib import Path

from metadata.build import Build
from metadata.config import MetadataConfig
from metadata.entries import Entries
from metadata.frequency_lists import WORDFREQ
from metadata.sources import Sources
from metadata.wordnet import packaged
from runtime.caches import cache_folder
from runtime.errors import InputError
from runtime.packages import __version__, require_packages
from runtime.progress import Progress
from runtime.storage.kept import opened
from runtime.storage.whole import Parts

EXTRA = "starter"  # that brings what is needed


def paths() -> dict[str, list[str]]:
    """Return what stands for the starter's sources, by the flag that takes it; refuse where wordfreq is missing."""
    try:
        require_packages([WORDFREQ])
    except InputError as error:
        raise InputError(
            f"starter metadata needs the extra `{EXTRA}`: {error}; or give --metadata or --entries"
        ) from None
    return {"frequencies": [WORDFREQ], "wordnet": list(filter(None, [packaged.folder()]))}


def starter_metadata(config: MetadataConfig, progress: Progress | None = None) -> Entries:
    """Return the starter's entries; the first process builds them, and a damaged copy is built again."""
    found = paths()
    sources = Sources.find(frequencies=found["frequencies"], wordnet=found["wordnet"])
    folder = cache_folder() / f"{EXTRA}-{_key(config, sources)}"
    build = partial(_build, config=config, sources=sources, progress=progress or Progress())
    return opened(folder, build, Entries.open)


def _build(folder: Path, config: MetadataConfig, sources: Sources, progress: Progress) -> None:
    with progress.stage("build starter metadata, once on this machine"):
        Build(config, sources, Parts(folder / "sources", folder)).write(folder, lambda: None)


def _key(config: MetadataConfig, sources: Sources) -> str:
    """Return 32 hex digits of all that decides the entries: versions, numbers, rules and the code of this package."""
    versions = sources.versions() | {"program": __version__, "unicode": unicodedata.unidata_version}
    hashed = blake2b(json.dumps([versions, asdict(config)], sort_keys=True).encode(), digest_size=16)
    code = (path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".csv"))
    for path in sorted(code):  # none where the package is in an archive
        hashed.update(path.read_bytes())
    return hashed.hexdigest()
