"""Read a made-up index of 2.5 million pages, a tenth of English: the seconds that this takes, and the spans it gives.

python -m tests.bench.bench_multistream
"""

import bz2
import random
import tempfile
from pathlib import Path
from time import perf_counter

from metadata.wikipedia import dumps

STREAMS, PAGES = 25_000, 100
STREAM_BYTES = 750_000


def main() -> None:
    draw = random.Random(1)
    kinds = ("station", "album", "film", "family name", "river")
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "index.txt.bz2")
        with bz2.open(index, "wt", encoding="utf-8") as file:
            for stream in range(STREAMS):
                for page in range(PAGES):
                    title = f"{draw.randrange(10**9)} ({draw.choice(kinds)})"
                    file.write(f"{600 + stream * STREAM_BYTES}:{stream * PAGES + page}:{title}\n")
        begin = perf_counter()
        starts = dumps._starts(str(index), STREAMS * STREAM_BYTES + 1_000)
        seconds = perf_counter() - begin
        print(f"{STREAMS * PAGES:,} pages, index of {index.stat().st_size / 1e6:.0f} MB, {len(starts) + 1} spans")
        print(f"{seconds:.1f} s, {seconds / (STREAMS * PAGES) * 1e6:.1f} s a million pages")


if __name__ == "__main__":
    main()
