"""Draw rows of a run's manifest to be read by eye, at most so many of a language, and count what was found.

    python tests/bench/draw_rows.py draw out --rows 300 --per-language 15 --output rows.csv
    python tests/bench/draw_rows.py shares rows.csv ...

draw:   a row's draw depends on `--seed` and its uid alone, so that runs share rows. Columns: uid, set (the inputs that
        have the image), language, lid_score, text, url, page_url, signals and stated sizes as in matched/
shares: of files to which columns were added: label (describes, headline or junk), class (what kind of it),
        wrong_language (1 or 0, whatever the label); the share of each with its 95 % interval (Wilson)
"""

import argparse
import csv
import json
import sys
from collections import Counter
from math import sqrt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curation import draws
from curation.image_ids import uids
from curation.inputs import files

STATED = ["signals", "stated_width", "stated_height"]
COLUMNS = ["uid", "set", "language", "lid_score", "text", "url", "page_url", *STATED]
Z = 1.96  # of 95 %


def draw(args: argparse.Namespace) -> None:
    """Write the rows, and print how many there are of each language."""
    table = drawn(pq.read_table(args.run / "curated").drop_columns("entries"), args.rows, args.per_language, args.seed)
    table = table.append_column("set", sets(args.run, table["uid"].combine_chunks()))
    table = table.join(pq.read_table(args.run / "matched", columns=["uid", *STATED]), "uid")
    table = table.sort_by([("language", "ascending"), ("order", "ascending")])
    pa.csv.write_csv(table.select(COLUMNS), args.output)
    counts = Counter(table["language"].to_pylist())
    print(f"{len(table)} rows of {len(counts)} languages: {', '.join(f'{k} {v}' for k, v in counts.most_common())}")


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


def shares(args: argparse.Namespace) -> None:
    """Print a line for each label and one for the wrong language, then the classes."""
    for path in args.labelled:
        rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
        counts = Counter(row["label"] for row in rows)
        counts["wrong language"] = sum(row["wrong_language"] == "1" for row in rows)
        print(f"{path.name}: {len(rows)} rows of {len({row['language'] for row in rows})} languages")
        for name, count in counts.items():
            low, high = wilson(count, len(rows))
            print(f"  {name}: {count}, {count / len(rows):.1%} ({low:.1%} to {high:.1%})")
        classes = Counter(f"{row['label']}, {row['class']}" for row in rows if row["class"])
        print("  " + "; ".join(f"{name} {count}" for name, count in classes.most_common()))


def wilson(count: int, rows: int) -> tuple[float, float]:
    """Return the ends of the interval of `count` / `rows`."""
    share, more = count / rows, Z * Z / rows
    half = Z * sqrt(share * (1 - share) / rows + more / 4 / rows)
    return (share + more / 2 - half) / (1 + more), (share + more / 2 + half) / (1 + more)


def main() -> None:
    """Run the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    drawing = parts.add_parser("draw")
    drawing.set_defaults(part=draw)
    drawing.add_argument("run", type=Path, help="output folder of clip-curate")
    drawing.add_argument("--rows", type=int, default=300)
    drawing.add_argument("--per-language", type=int, default=15)
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--output", type=Path, required=True)
    sharing = parts.add_parser("shares")
    sharing.set_defaults(part=shares)
    sharing.add_argument("labelled", type=Path, nargs="+")
    args = parser.parse_args()
    args.part(args)


if __name__ == "__main__":
    main()
