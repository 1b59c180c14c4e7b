"""Damaged weights of a judge: refused, or those that were written, whatever else the file says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from curation.plugins.gate.judge.judge import OUTPUTS, Judge, standard
from curation.plugins.gate.kernels.features import BITS
from runtime.errors import InputError
from tests.fuzz.target import Target, plain, require_named

ODD = (
    b"[" * 999,
    b"NaN",
    b"Infinity",
    b"1e999",
    b"9" * 400,
    b'"',
    b"{}",
    b"null",
    b"\\ud800",
    b"\xff",
    b"clip-curation",
)


@cache
def judges() -> dict[str, Judge]:
    """Return the judge of the package and one without a weight, by digest."""
    blind = Judge(np.zeros((1 << BITS, len(OUTPUTS)), np.int8), 0.5, (1.0, -2.0), {"rows": 2})
    return {judge.digest: judge for judge in (standard(), blind)}


def wholes(folder: Path) -> list[bytes]:
    """Return a file of each judge; most of the second is no weights."""
    return [judge.content() for judge in judges().values()]


def look(folder: Path, data: bytes) -> str:
    """Read the file, and write what it means."""
    path = folder / "judge.json"
    path.write_bytes(data)
    try:
        judge = Judge.read(path)
    except InputError as refusal:
        require_named(path, refusal)
        return "refused"
    assert judge.digest in judges()
    again = Judge.parse(judge.content(), "again")
    assert (again.digest, again.facts) == (judge.digest, judge.facts)
    return "read"


JUDGES = {"judges": Target(wholes, look, plain(*ODD))}
