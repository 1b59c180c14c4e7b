"""Write what a dry run foresees as lines of at most 80 columns."""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from textwrap import wrap

from curation.config import CurationConfig
from curation.report.console import aligned
from curation.report.languages import named
from curation.report.numbers import counted, percent, short
from curation.run.preview import Found, Preview
from runtime.terminal import in_one_line, readable

WIDTH = 80
LEAST_COST = 0.01  # core-hours that are told apart
ROWS = 2  # of each group of inputs
LANGUAGES = 8  # those with the most pairs
REASONS = 4  # for which rows were dropped


def lines(preview: Preview) -> str:
    """Return what the console shows of a preview."""
    request = preview.request
    size = readable(sum(each.size for each in request.files))
    tables = [f"table:{each}: Spark reads it, and nothing of it is in these figures" for each in request.tables]
    blocks = [
        [f"{counted(len(request.files), 'input')}, {size}", *tables],
        *map(_group, preview.found),
        aligned(_languages(preview)),
        [*_expected(preview)] if preview.found else [],
        ["asked of images:", *(_fitted(f"  {line}", WIDTH) for line in request.gate.lines())] if request.gate else [],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _group(found: Found) -> list[str]:
    """Return what is said of one group of inputs: its columns, and its first rows as they are read."""
    sample = found.sample
    dialect = f" ({sample.dialect})" if sample.dialect else ""
    about = f"about {short(sample.pairs)} pairs"
    first = f"{sample.format}{dialect}: {counted(len(sample.files), 'file')}, {readable(sample.size)}, {about}"
    columns = ", ".join(f"{field} = {' or '.join(map(in_one_line, names))}" for field, names in sample.columns.items())
    dropped = {name.removeprefix("dropped."): rows for name, rows in sample.tally.items() if name[:8] == "dropped."}
    reasons = [f"{rows:,} {name}" for name, rows in sorted(dropped.items(), key=lambda each: -each[1])[:REASONS]]
    notes = [f"columns: {columns}" * bool(columns), f"dropped of these: {', '.join(reasons)}" * bool(reasons)]
    more = [line for note in notes for line in _wrapped(note)]
    rows = found.rows.slice(0, ROWS).select(["url", "text"]).to_pylist()
    shown = [_fitted(part, WIDTH) for row in rows for part in (f"  {row['url']}", f"    {row['text']}")]
    return [first, *more, *shown]


def _languages(preview: Preview) -> list[tuple[str, ...]]:
    found = preview.languages()
    total = sum(pairs for _, pairs, _ in found)
    named_rows = [(named(code), pairs, matched) for code, pairs, matched in found[:LANGUAGES]]
    if rest := found[LANGUAGES:]:
        named_rows.append((f"{len(rest)} more", sum(row[1] for row in rest), sum(row[2] for row in rest)))
    lines = [(name, percent(pairs, total), percent(matched, pairs)) for name, pairs, matched in named_rows]
    sample = sum(each.rows.num_rows for each in preview.found)
    return [(f"language of {counted(sample, 'pair')}", "share", "matched"), *lines] if lines else []


def _expected(preview: Preview) -> Iterator[str]:
    """Yield the lines about all inputs."""
    config, parts = preview.request.config, preview.disk()
    share = percent(preview.matched, preview.pairs)
    yield f"expected: {short(preview.pairs)} pairs, {short(preview.matched)} with a match ({share})"
    yield from _wrapped(_kept(preview.kept, config))
    each = ", ".join(f"{name} {readable(round(size))}" for name, size in parts.items())
    yield from _wrapped(f"disk: {readable(round(sum(parts.values())))}: {each}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seconds, hours = preview.core_seconds, preview.core_seconds / 3600
    yield f"  time: {_plainly(hours)} core-hours, {_lasting(seconds / cores)} on the {cores} cores of this machine;"
    yield "    beside it 10 to 20 s to start, and the gate, where one is asked for"
    price = f"{_plainly(hours)} times the price" if hours >= LEAST_COST else "less than a hundredth of the price"
    yield f"  cost: {price} of a core-hour"


def _plainly(hours: float) -> str:
    """Return a number of two digits without an exponent.

    >>> _plainly(7.3e-05), _plainly(0.0234), _plainly(12_345)
    ('under 0.01', '0.023', '12,000')
    """
    if hours < LEAST_COST:
        return f"under {LEAST_COST}"
    return f"{hours:.2g}" if hours < 10 else f"{int(float(f'{hours:.2g}')):,}"


def _kept(kept: float | None, config: CurationConfig) -> str:
    """Return the line about the pairs that are kept."""
    asked = config.target_size
    t = f"at t = {config.english_threshold:,}" if config.balance else "without balancing"
    if kept is None:
        return f"kept {t}: unknown, as each row looked into stands for more pairs; see docs/how-to/choosing-t.md"
    if asked is not None and round(kept) > asked:
        why = "at t = 1 each entry still keeps about one text; see docs/how-to/choosing-t.md"
        return f"kept: {short(round(kept))} or more, not the {asked:,} asked for: {why}"
    if asked is not None and round(kept) < asked:
        return f"kept: {short(round(kept))}, all that match, fewer than the {asked:,} asked for"
    how = t if asked is None else "as asked for"
    return f"kept {how}: {short(round(kept))}; less where an image or its texts come again"


def _wrapped(line: str) -> list[str]:
    return wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _lasting(seconds: float) -> str:
    """Return a duration.

    >>> _lasting(3.2), _lasting(600), _lasting(7200), _lasting(500_000)
    ('3 s', '10 minutes', '2.0 hours', '5.8 days')
    """
    for size, unit, digits in ((86400, "days", 1), (3600, "hours", 1), (60, "minutes", 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def _fitted(text: str, width: int) -> str:
    """Return a line of at most so many columns of a terminal, in which nothing acts on it.

    >>> _fitted("  a\\tb\\x1b[2J", 40), _fitted("  猫と犬と鳥", 9)
    ('  a\\\\u0009b\\\\u001b[2J', '  猫と犬…')
    """
    text = in_one_line(text[: 4 * width])
    ends = [*accumulate(map(_columns, text))]
    return text if not ends or ends[-1] <= width else f"{text[: bisect_right(ends, width - 1)]}…"


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
