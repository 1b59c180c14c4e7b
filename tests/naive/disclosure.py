"""Naive twins of what papers count: one row at a time, over the Parquet files of a run."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from publicsuffixlist import PublicSuffixList

from tests.naive.exclusion import naive_host

SUFFIXES = PublicSuffixList()


def naive_domains(urls: list[str | None]) -> Counter[str]:
    """Count URLs by registered domain, without those that have no host."""
    hosts = filter(None, (naive_host(url or "") for url in urls))
    return Counter(host if is_number(host) else SUFFIXES.privatesuffix(host) or host for host in hosts)


def is_number(host: str) -> bool:
    return host.startswith("[") or host.rpartition(".")[2].isdigit()


def naive_ranks(counts: Counter[str]) -> list[tuple[str, int]]:
    """The tenth of the domains with the most images, rounded up."""
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return ordered[: (len(ordered) + 9) // 10]


def column(run: Path, part: str, name: str) -> list:
    """Return a column of all files of a part of a run."""
    return [value for path in sorted((run / part).glob("*.parquet")) for value in pq.read_table(path)[name].to_pylist()]
