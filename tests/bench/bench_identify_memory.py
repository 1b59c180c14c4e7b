"""Memory of several processes that identify languages with one model: `python bench_identify_memory.py MODEL [EIGHT]`.

PSS counts a page that n processes share as 1/n in each, so the sum over the processes is what they need together.
"""

import subprocess
import sys
from pathlib import Path

from language_texts import ROOT, cc3m

sys.path[:0] = [str(ROOT)]


def work(path: str) -> None:
    """Identify captions, and wait."""
    import pyarrow as pa

    from curation.language.engines import Identifier

    Identifier.open(path).identify(pa.array([text for _, text in cc3m()]))
    print("ready", flush=True)
    sys.stdin.readline()


def megabytes(process: int) -> dict[str, float]:
    """Return Rss, Pss and private memory of a process."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {"Rss": sizes["Rss"], "Pss": sizes["Pss"], "private": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def main(path: str, count: int) -> None:
    command = [sys.executable, __file__, "--work", path]
    workers = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(count)]
    for worker in workers:
        worker.stdout.readline()
    sizes = [megabytes(worker.pid) for worker in workers]
    for worker in workers:
        worker.communicate("\n")
    file = Path(path).stat().st_size / 2**20
    sums = {name: sum(each[name] for each in sizes) for name in sizes[0]}
    print(
        f"{Path(path).name} of {file:.0f} MB in {count} processes: "
        + ", ".join(f"{k} {v:.0f}" for k, v in sums.items())
    )


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(sys.argv[2])
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8)
