"""The output folder of curate: what is in it, whose it is, and how finished parts come to their names.

A part that has its name is whole. `matched/` carries the description of what it was made from, so that another
threshold, seed or target size uses it again, and anything else is refused.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from curation.report import write_report
from curation.run import Run
from metadata.errors import InputError
from metadata.parquet import first_rows, part_files
from metadata.parts import Parts, read_json, write_json
from metadata.tallies import Tallies

VERSION = 1
SAMPLE_ROWS = 20  # curated rows that the report shows
PARTS = ("matched", "curated", "counts.parquet", "thresholds.json", "run.json", "report.html", ".work")


@dataclass(frozen=True)
class Output:
    """An output folder, claimed for images matched as `description` says."""

    path: Path
    description: dict  # what matched/ depends on: inputs, digests, parameters

    @classmethod
    def claim(cls, path, description: dict, overwrite: bool = False) -> Output:
        """Return the folder, made if need be; one that holds another run is refused, or emptied with `overwrite`."""
        if "://" in str(path):
            raise InputError(f"output is {path}; give a local folder (one that all workers share)")
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise InputError(f"output {path} is a file; give a folder")
        output = cls(path, json.loads(json.dumps(description)))
        if overwrite:
            output._clear()
        else:
            output._require_own()
        output.work.mkdir(parents=True, exist_ok=True)
        write_json(output.work / "run.json", output._stamp())
        return output

    @property
    def work(self) -> Path:
        """Where artefacts lie while the run lasts."""
        return self.path / ".work"

    @property
    def matched(self) -> Path:
        """The folder of matched images."""
        return self.path / "matched"

    @property
    def parts(self) -> Parts:
        """The parts of the output that come to their names whole."""
        return Parts(self.path, self.work)

    def matched_tallies(self) -> Tallies | None:
        """Return the tallies of a matched/ that is there already, or None."""
        stamp = self.parts.stamp("matched")
        return Tallies(stamp["tallies"]) if stamp else None

    def finish_matched(self, tallies: Tallies) -> None:
        """Give the matched files their place, stamped with their description and tallies."""
        self.parts.finish("matched", self._stamp() | {"tallies": tallies.rows()})

    def write_results(self, run: Run, rates) -> None:
        """Write what describes the run, run.json last: where it is, all is there."""
        run.counts.save(str(self.path / "counts.parquet"), run.entries, rates)
        write_json(self.path / "thresholds.json", run.thresholds_json())
        samples = first_rows(part_files(self.path / "curated"), SAMPLE_ROWS)
        write_report(self.path / "report.html", run, rates, samples)
        write_json(self.path / "run.json", run.run_json())
        shutil.rmtree(self.work, ignore_errors=True)

    def retract_results(self) -> None:
        """Remove what describes the earlier sample, so that nothing half replaced looks whole."""
        for name in ("run.json", "report.html"):
            (self.path / name).unlink(missing_ok=True)

    def _stamp(self) -> dict:
        return {"version": VERSION, "made_from": self.description}

    def _require_own(self) -> None:
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        stamp = self.parts.stamp("matched") or read_json(self.work / "run.json")
        if stamp is None:
            raise InputError(
                f"output {self.path} holds files that are no run of curate; give an empty or new folder, or --overwrite"
            )
        differing = [name for name in self._stamp()["made_from"] if not self._same(stamp, name)]
        if stamp.get("version") != VERSION or differing:
            what = ", ".join(differing) or "version of this program"
            raise InputError(
                f"output {self.path} holds another run (other {what}); give another folder, or --overwrite this"
            )

    def _same(self, stamp: dict, name: str) -> bool:
        return stamp.get("made_from", {}).get(name) == self.description[name]

    def _clear(self) -> None:
        for name in PARTS:
            part = self.path / name
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
