"""Rows of a bar chart: a label, a number, a bar and a remark."""

from __future__ import annotations

from dataclasses import dataclass

from curation.report.numbers import number


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart."""

    label: str
    number: str
    remark: str
    length: float | None  # percent of the longest bar; None: a row without a bar

    @classmethod
    def of(cls, label: str, value: float, remark: str, longest: float | None) -> Bar:
        """Return the row of `value`; it has no bar if the value is 0 or `longest`, the largest value, is None."""
        return cls(label, number(value), remark, length(value, longest) if longest and value else None)


def length(value: float, longest: float) -> float:
    """Return the length of the bar of `value` in percent of the longest bar."""
    return 100 * value / longest if longest else 0.0
