"""The output folder of curate: what is in it, whose it is, and how finished parts come to their names.

`pairs/` holds what each input gave, with stamps (`ledger`): a run that was interrupted, or that has more inputs, goes
on from there. `matched/`, `existing/` and `curated/` are whole where they have their name. `matched/` carries the
description of what it was made from, so that another threshold, seed or target size uses it again, and anything else is
refused.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from curation.inputs import Input
from curation.ledger import Ledger
from curation.report import write_report
from curation.run import Run
from metadata.errors import InputError
from metadata.parquet import first_rows, part_files
from metadata.parts import STAMP, Parts, read_json, write_json
from metadata.tallies import Tallies

VERSION = 1
SAMPLE_ROWS = 1000  # curated rows of which the report shows some of each language
PARTS = (
    *("pairs", "matched", "existing", "curated", ".work"),
    *("counts.parquet", "thresholds.json", "run.json", "report.html"),
)


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
    def existing(self) -> Path:
        """The folder of the matched images that exist, where a download was told of."""
        return self.path / "existing"

    @property
    def parts(self) -> Parts:
        """The parts of the output that come to their names whole."""
        return Parts(self.path, self.work)

    @property
    def pairs(self) -> Path:
        """The folder of what each input gave."""
        return self.path / "pairs"

    def ledger(self, inputs: list[Input], unique_images: bool = False) -> Ledger:
        """Return which of the run's inputs have been read and matched already, into pairs/ or, if unique, matched/."""
        if unique_images:
            folder = self.parts.reopen("matched")
        else:
            folder = self.pairs
            folder.mkdir(exist_ok=True)
        return Ledger.open(folder, {**self._stamp(), "made_from": self._without_inputs()}, inputs)

    def matched_tallies(self) -> Tallies | None:
        """Return the tallies of a matched/ that is there already and of these inputs, or None."""
        stamp = self.parts.stamp("matched")
        return Tallies(stamp["tallies"]) if stamp and self._same(stamp, "inputs") else None

    def lineage(self) -> list[dict]:
        """Return, for each run that brought new inputs, their number, and the first and last of them."""
        return (self._earlier() or {}).get("lineage", [])

    def finish_matched(self, tallies: Tallies) -> None:
        """Give the matched files their place, stamped with their description, lineage and tallies."""
        known = (self._earlier() or {}).get("made_from", {}).get("inputs", [])
        added = [each["path"] for each in self.description["inputs"] if each not in known]
        lineage = self.lineage()
        if added:
            lineage = [*lineage, {"inputs": len(added), "first": added[0], "last": added[-1]}]
        self.parts.finish("matched", self._stamp() | {"lineage": lineage, "tallies": tallies.rows()})

    def _earlier(self) -> dict | None:
        """Return the stamp of the matched images of this or an earlier run, also while they are added to."""
        return self.parts.stamp("matched") or read_json(self.work / "matched" / STAMP)

    def write_results(self, run: Run, rates) -> None:
        """Write what describes the run, run.json last: where it is, all is there."""
        if not run.downloads:
            shutil.rmtree(self.existing, ignore_errors=True)  # of an earlier run
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
        stamp = self._earlier() or read_json(self.work / "run.json")
        if stamp is None:
            raise InputError(
                f"output {self.path} holds files that are no run of curate; give an empty or new folder, or --overwrite"
            )
        differing = [name for name in self._without_inputs() if not self._same(stamp, name)]
        if not self._paths(stamp["made_from"]) <= self._paths(self.description):
            differing.append("inputs")
        if stamp.get("version") != VERSION or differing:
            what = ", ".join(differing) or "version of this program"
            raise InputError(
                f"output {self.path} holds another run (other {what}); give another folder, or --overwrite this"
            )

    def _same(self, stamp: dict, name: str) -> bool:
        return stamp.get("made_from", {}).get(name) == self.description[name]

    def _without_inputs(self) -> dict:
        return {name: value for name, value in self.description.items() if name != "inputs"}

    def _paths(self, made_from: dict) -> set[str]:
        return {each["path"] for each in made_from.get("inputs", [])}

    def _clear(self) -> None:
        for name in PARTS:
            part = self.path / name
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
