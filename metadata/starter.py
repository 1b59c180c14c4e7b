"""Build starter metadata, the frequent words of many languages, from nothing but installed packages.

With the packages and the config for which starter.csv states the number, digest and SHA-256 of each language's entries,
a language is built when its entries are first needed. Otherwise, all languages are built at once. Either way this
happens once for each set of package versions, into this machine's cache folder, which all jobs share.
"""

import json
import unicodedata
from collections import defaultdict
from dataclasses import asdict
from functools import cached_property, partial
from hashlib import blake2b
from itertools import accumulate, pairwise
from pathlib import Path

import pyarrow as pa

from metadata.build import Build, merged_entries
from metadata.config import MetadataConfig
from metadata.entries import REMEDY, Entries, EntriesOnDisk, digest_of_all, metadata_name, sha256_of_all, strings_digest
from metadata.frequency_lists import LICENCE, WORDFREQ
from metadata.languages import language
from metadata.sources import Sources
from metadata.wordnet import package_folder
from metadata.words import ICU_VERSION
from runtime.errors import InputError
from runtime.folders.parts import Parts
from runtime.kernel_caches import cache_folder
from runtime.packages import __version__, require_packages, table_rows
from runtime.progress import Progress
from runtime.storage.machine_cache import kept, opened_folder, sound
from runtime.tallies import Tally

EXTRA = "starter"  # the extra that installs the packages of starter metadata
STARTER_TABLE = "starter.csv"
TABLE_VERSIONS = {WORDFREQ: "3.1.1"}  # the versions of the packages whose entries the table describes
LANGUAGES_SUFFIX = "-languages"  # A folder of languages that are built one by one has this suffix.


def paths() -> dict[str, list[str]]:
    """Return the values of --frequencies and --wordnet for starter metadata, by flag; InputError without wordfreq."""
    try:
        require_packages([WORDFREQ])
    except InputError as error:
        raise InputError(
            f"starter metadata needs the extra `{EXTRA}`: {error}; or pass --metadata or --entries"
        ) from None
    return {"frequencies": [WORDFREQ], "wordnet": list(filter(None, [package_folder()]))}


def starter_metadata(config: MetadataConfig, progress: Progress | None = None) -> Entries:
    """Return the starter's entries from this machine's cache; build them if they are missing or damaged."""
    sources = _sources()
    folder = cache_folder() / f"{EXTRA}-{_key(config, sources)}"
    if sources.versions() == TABLE_VERSIONS and config == MetadataConfig():
        return Starter(kept(folder.with_name(folder.name + LANGUAGES_SUFFIX), Path.mkdir))
    return _whole(folder, config, progress)


def _sources() -> Sources:
    paths_by_kind = paths()
    return Sources.find(frequencies=paths_by_kind["frequencies"], wordnet=paths_by_kind["wordnet"])


def _whole(folder: Path, config: MetadataConfig, progress: Progress | None = None) -> Entries:
    def build(partial: Path) -> None:
        with (progress or Progress()).stage("build starter metadata, once on this machine", "languages"):
            Build(config, _sources(), Parts(partial / "sources", partial)).write(partial, lambda: None)

    return opened_folder(folder, build, Entries.open)


def _key(config: MetadataConfig, sources: Sources) -> str:
    """Return a digest, 32 hex digits, of the versions, config and code that decide starter entries."""
    versions = sources.versions() | {"program": __version__, "unicode": unicodedata.unidata_version}
    hashed = blake2b(json.dumps([versions, asdict(config)], sort_keys=True).encode(), digest_size=16)
    code = (path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".csv"))
    for path in sorted(code):  # There are none if the package is in an archive.
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


class Starter(Entries):
    """The entries that starter.csv describes; a language is built into a folder when it is first needed.

    For scores and sources, which `table` has, all languages are built.
    """

    on_demand = True
    _folder: Path
    _opened: dict[str, pa.Array]

    def __init__(self, folder: Path) -> None:
        described = {row["language"]: row for row in table_rows("metadata", STARTER_TABLE)}
        ends = accumulate((int(row["entries"]) for row in described.values()), initial=0)
        languages = {code: slice(*ids) for code, ids in zip(described, pairwise(ends), strict=True)}
        digests = {code: row["digest"] for code, row in described.items()}
        name = metadata_name(None, sha256_of_all({code: row["sha256"] for code, row in described.items()}))
        about = {
            "name": name,
            "starter": True,
            "versions": {"icu": ICU_VERSION} | TABLE_VERSIONS,
            "licences": {WORDFREQ: LICENCE},
        }
        vars(self).update(_folder=folder, _opened={}, languages=languages, digests=digests, about=about)

    @cached_property
    def table(self) -> pa.Table:
        """The table of all entries with the columns of SCHEMA."""
        return _whole(self._folder.parent / self._folder.name.removesuffix(LANGUAGES_SUFFIX), MetadataConfig()).table

    @cached_property
    def strings(self) -> pa.Array:
        """The strings of all entries; the index of each string is its id."""
        return pa.concat_arrays([*map(self.of, self.languages)])

    def of(self, code: str) -> pa.Array:
        """Return the strings of a language's entries, which are built if they are not in the folder."""
        if language(code).code not in self.languages:
            return pa.array([], pa.string())
        if code not in self._opened:
            self._opened[code] = sound(self._folder / code, partial(self._build, code), partial(self._read, code))
        return self._opened[code]

    def on_disk(self, folder: Path) -> EntriesOnDisk:
        """Return the folder of the languages; nothing is written to `folder`."""
        return EntriesOnDisk(self._folder, Starter)

    def _build(self, code: str, folder: Path) -> None:
        build = Build(MetadataConfig(), _sources(), Parts(folder, folder))
        entries = merged_entries(code, build.sources_of(code, defaultdict(Tally))).entries
        if strings_digest(entries) != self.digests[code]:
            raise InputError(
                f"wordfreq gave other words of {code} than {STARTER_TABLE} describes; pass --metadata my-metadata "
                "after `clip-metadata --starter --output my-metadata`"
            )
        Entries.build({code: entries}).save_strings(folder)

    def _read(self, code: str, folder: Path) -> pa.Array:
        entries = Entries.of_strings(folder)
        if entries.digest != digest_of_all({code: self.digests[code]}):
            raise InputError(f"{folder} holds other entries than {STARTER_TABLE} describes: {REMEDY}")
        return entries.of(code)
