"""Find the files of a finished run: its manifest and its matched images, with their checksums in run.json.

Files with missing rows are refused. `output_folder` writes the files, and `results` reads figures from them.
"""

from collections import Counter
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from curation.licences import licenses_in
from curation.schemas import with_extra
from metadata.languages import OTHER
from runtime.argument_types import typed
from runtime.errors import InputError
from runtime.folders.descriptor import OF_EVERY_KIND
from runtime.folders.stamps import digest_of
from runtime.packages import versions
from runtime.redaction import redacted
from runtime.storage.checksums import content_digest
from runtime.storage.json_files import content_of
from runtime.storage.listing import described
from runtime.storage.own_files import OwnFile, own_files
from runtime.storage.parquet import require_rows
from runtime.storage.paths import as_path, names, reachable, read_bytes
from runtime.tallies import Tallies, values_under

OF_TIME = ("report.html", "times.json")  # These files differ when the same run is repeated.
MATCHED_PART = "matched"  # Later runs reuse this part; they write all others anew.
RERUN = "run the same command of clip-curate again"
EXPECTED_RUN = "pass the output folder of a finished run of clip-curate or clip-remove"
Opened = TypeVar("Opened", bound="FinishedRun")


@typed
@dataclass(frozen=True, eq=False)
class FinishedRun:
    """The output folder of a run of curate; `facts` is the content of run.json."""

    path: Path
    facts: dict

    @classmethod
    def open(cls: type[Opened], path: str | PathLike[str]) -> Opened:
        """Return the results in the folder `path`; InputError if the folder has no finished run."""
        path = as_path(path)
        try:
            with reachable(path):
                facts = content_of(read_bytes(path / "run.json"))
            return cls(path, {name: facts[name] for name in ("rows", "languages", "made_from")} | facts)
        except InputError:
            raise
        except ValueError as error:
            raise OwnFile(path / "run.json", None, RERUN).damaged(error) from None
        except (OSError, KeyError, TypeError) as error:
            what = f"has a run.json that is not of a run ({error!r})" if "run.json" in names(path) else described(path)
            raise InputError(f"{path} {what}; {EXPECTED_RUN}") from None

    def __repr__(self) -> str:
        rows = self.facts["rows"]
        of = f"{type(self).__name__} of {redacted(str(self.path))}"
        return f"<{of}: {rows['kept']:,} of {rows['matched']:,} matched images kept>"

    @property
    def digest(self) -> str:
        """A digest of the facts without `made` (time and command line): a repeated run has the same digest."""
        facts = {name: value for name, value in self.facts.items() if name != "made"}
        checksums = {name: value for name, value in facts.get("checksums", {}).items() if name not in OF_TIME}
        return digest_of(facts | {"checksums": checksums})

    @property
    def counted(self) -> tuple[Path, int]:
        """The folder and the number of the counted images: all matched images, or the images that passed the gate."""
        rows = self.facts["rows"]
        part = "gated" if "gated" in rows else "matched"
        return self.path / part, rows[part]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the manifest."""
        return with_extra(self.facts.get("parameters", {}).get("extra_columns", ()))

    def files(self, part: str) -> list[OwnFile]:
        """Return the Parquet files of a part, such as `curated`; InputError if files are missing or are not of the run.

        A part of another run's manifest has no matched images.
        """
        if self.is_partial and part in (MATCHED_PART, self.counted[0].name):
            if self.facts.get("removals"):
                raise InputError(
                    f"{self.path} is a manifest from which images were removed, and has no matched images; pass the "
                    "run that it came from, or curate that run again with --exclude"
                )
            raise InputError(
                f"{self.path} is a part of the manifest of another run, and has no matched images; pass the run that "
                "it came from"
            )
        sums = values_under(self.facts.get("checksums", {}), f"{part}/")
        remedy = f"delete {self.path / part} and {RERUN}" if part == MATCHED_PART else self._remedy
        return own_files(self.path / part, sums or None, remedy)  # Without checksums in run.json, no file is compared.

    def file(self, name: str) -> OwnFile:
        """Return a file of the results, such as counts.parquet, with its checksum."""
        return OwnFile(self.path / name, self.facts.get("checksums", {}).get(name), self._remedy)

    @property
    def one_list(self) -> str | None:
        """The language of the single list of entries that all texts were matched with; None for many lists."""
        made_from = self.facts["made_from"]
        return OTHER.code if made_from.get("merge_languages") else made_from.get("metadata_of")

    @property
    def is_partial(self) -> bool:
        """Whether the manifest is a part of another run's manifest, as `removals` or `selections` in run.json state."""
        return bool(self.facts.get("removals") or self.facts.get("selections"))

    @property
    def _remedy(self) -> str:
        if self.facts.get("removals"):
            return "run clip-remove again on the run that it came from"
        return "make it again from the run that it came from" if self.facts.get("selections") else RERUN


def curated_files(run: FinishedRun) -> list[OwnFile]:
    """Return the files of the manifest; InputError if they do not have as many rows as the run wrote."""
    return _whole_files(run, "curated", run.facts["rows"]["kept"])


def matched_files(run: FinishedRun) -> list[OwnFile]:
    """Return the files of the counted images; InputError if rows are missing."""
    folder, rows = run.counted
    return _whole_files(run, folder.name, rows)


def pool_files(run: FinishedRun) -> list[OwnFile]:
    """Return the files of the counted images; for a part of another run's manifest, the files of the manifest."""
    return curated_files(run) if run.is_partial else matched_files(run)


def with_kept(facts: dict[str, Any], kept: Counter[str], tallies: Tallies) -> dict[str, Any]:
    """Return `facts`, the content of run.json, with the numbers of kept pairs, by language, replaced by `kept`.

    `tallies` has the kept pairs by licence, if the manifest states it.
    """
    languages = {code: row | {"kept": kept[code]} for code, row in facts["languages"].items()}
    licenses = {"kept_licenses": licenses_in(tallies)} if "kept_licenses" in facts else {}
    return facts | licenses | {"rows": facts["rows"] | {"kept": kept.total()}, "languages": languages}


def facts_of_part(
    run: FinishedRun, field: str, record: dict[str, Any], note: str, kept: Counter[str], tallies: Tallies
) -> dict[str, Any]:
    """Return the content of run.json for a part of the manifest of `run`: the run's own, with other kept pairs.

    `record` says how the part was made. It is added to the list `field` with the digest of the run's own run.json and
    the versions of packages. `note` is added to the notes. `kept` and `tallies` are as for `with_kept`.
    """
    facts = run.facts
    record = {"from": content_digest(run.path / "run.json"), **record, "versions": versions()}
    more = {field: [*facts.get(field, []), record], "notes": [*facts.get("notes", []), note]}
    facts = with_kept(facts, kept, tallies) | more
    return {name: value for name, value in facts.items() if name not in OF_EVERY_KIND or name == "made_from"}


def _whole_files(run: FinishedRun, part: str, rows: int) -> list[OwnFile]:
    files = run.files(part)
    folder = run.path / part
    if not files:
        fault = f"contains no Parquet files, but the run wrote {rows:,} rows"
        raise InputError(f"{folder} {fault}; curate again with --overwrite")
    require_rows(files, rows)
    return files
