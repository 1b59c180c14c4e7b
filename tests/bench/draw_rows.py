"""Draw rows of a run's manifest to be read by eye, at most so many of a language, into a CSV file.

    python tests/bench/draw_rows.py out --rows 300 --per-language 20 --output rows.csv

A row's draw depends on `--seed` and its uid alone, so rows that two runs share come first in both. Columns: uid, set
(the input that has the image), language, lid_score, text, url, page_url, signals and stated sizes as in matched/.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curation import draws  # noqa: E402
from curation.images.uids import uids  # noqa: E402
from curation.inputs import files  # noqa: E402

COLUMNS = ["uid", "set", "language", "lid_score", "text", "url", "page_url", "signals", "stated_width", "stated_height"]


def drawn(manifest: pa.Table, rows: int, per_language: int, seed: int) -> pa.Table:
    """Return the `rows` rows with the lowest draws, at most `per_language` of a language, and the column order."""
    order = np.argsort(draws(seed, "read by eye", manifest["uid"].combine_chunks()), kind="stable")
    seen: Counter[str] = Counter()
    chosen = []
    for row, language in zip(order.tolist(), manifest["language"].take(order).to_pylist(), strict=True):
        seen[language] += 1
        if seen[language] <= per_language:
            chosen.append(row)
    table = manifest.take(chosen[:rows])
    return table.append_column("order", pa.array(range(len(table))))


def sets(run: Path, wanted: pa.Array) -> pa.Array:
    """Return the names of the run's inputs that have the images with the `wanted` uids, with + between them."""
    inputs = [each["path"] for each in json.loads((run / "run.json").read_text("utf-8"))["made_from"]["inputs"]]
    names: dict[str, set[str]] = {uid: set() for uid in wanted.to_pylist()}
    for source in files.find(inputs):
        for batch in files.read(source):
            for uid in uids(batch["url"]).to_pylist():
                if uid in names:
                    names[uid].add(Path(source.path).name.split(".")[0])
    return pa.array(["+".join(sorted(names[uid])) for uid in wanted.to_pylist()])


def main() -> None:
    """Write the rows, and print how many there are of each language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="output folder of clip-curate")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--per-language", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    manifest = pq.read_table(args.run / "curated").drop_columns("entries")
    table = drawn(manifest, args.rows, args.per_language, args.seed)
    table = table.append_column("set", sets(args.run, table["uid"].combine_chunks()))
    matched = pq.read_table(args.run / "matched", columns=["uid", "signals", "stated_width", "stated_height"])
    table = table.join(matched, "uid").sort_by([("language", "ascending"), ("order", "ascending")])
    pa.csv.write_csv(table.select(COLUMNS), args.output)
    counts = Counter(table["language"].to_pylist())
    print(f"{len(table)} rows of {len(counts)} languages: {', '.join(f'{k} {v}' for k, v in counts.most_common())}")


if __name__ == "__main__":
    main()
