"""Parameters of a run as lists of names and values: numbers, inputs and versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.report.numbers import number

INPUTS = 20  # inputs that are named
Named = list[tuple[str, str]]  # names and values


@dataclass(frozen=True)
class Parameters:
    """The numbers, inputs and programs with which a run was made."""

    numbers: Named
    made_from: Named
    inputs: Named  # path and size in bytes
    more_inputs: int
    versions: Named

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Parameters:
        """Return the parameters, given the content of run.json."""
        shown = {"inputs", *facts["parameters"]}
        made_from = {key: value for key, value in facts["made_from"].items() if key not in shown}
        if facts["downloads"]:
            made_from["downloads"] = ", ".join(facts["downloads"]["folders"])
        inputs = facts["made_from"].get("inputs", [])
        return cls(
            numbers=_named(facts["parameters"]),
            made_from=_named(made_from),
            inputs=[(each["path"], number(each["size"])) for each in inputs[:INPUTS]],
            more_inputs=max(0, len(inputs) - INPUTS),
            versions=_named(facts["versions"]),
        )


def _named(values: dict[str, Any]) -> Named:
    return [(key.replace("_", " "), _written(value)) for key, value in values.items()]


def _written(value: Any) -> str:
    """Return a value as text.

    >>> _written({"rules": "meta", "seed": None})
    'rules meta, seed –'
    """
    if value and isinstance(value, dict):
        return ", ".join(f"{key} {_written(each)}" for key, each in value.items())
    return "–" if value in (None, {}) else str(value)
