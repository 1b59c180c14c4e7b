"""Learn the weights of the judge, which tells junk and headlines from texts that describe their picture.

    python tools/train_judge.py                                               # judge_rows.parquet -> judge.json
    python tools/train_judge.py rows.csv pages.warc.gz --output my.json       # also from your own rows

rows.csv has the columns label, url, text, page_url (empty for rows of tables) and, if you have it, language. A label is
j for junk, h for a headline, or d for a text that describes its picture; rows with other labels are left out. The facts
of a page come from the WARC or WAT files. A row whose page is in none of them counts as a row of a table. --rows writes
a Parquet file with the label, the features and the surroundings of each row, without texts and addresses.

The model is a softmax with a squared penalty, trained by L-BFGS on all rows in a fixed order, so that the same rows
give the same bytes. It needs SciPy.
"""

import argparse
import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from curation.inputs.crawl import warc, wat
from curation.inputs.tables.columns import TableOptions
from curation.plugins.gate.filters import ImageBatch
from curation.plugins.gate.judge.judge import OUTPUTS, Judge, features
from curation.plugins.gate.judge.reasons import surroundings_features
from curation.plugins.gate.kernels.features import BITS
from curation.schemas import ALT, MATCHED
from runtime.console import command
from runtime.errors import InputError
from runtime.messages import no_column
from runtime.packages import require_packages
from runtime.storage.whole import whole
from runtime.terminal import print_result

NAME = "train_judge"
ROWS = Path(__file__).with_name("judge_rows.parquet")
WEIGHTS = ROOT / "curation" / "plugins" / "gate" / "judge" / "judge.json"
LABELS = "jhd"  # of junk, headlines, and texts that describe their picture
COLUMNS = ("label", "url", "text", "page_url")
FEATURES = pa.list_(pa.uint16())
SCHEMA = pa.schema(
    [
        pa.field("label", pa.string()),
        pa.field("site", pa.string()),  # a hash of the page's or the image's host
        pa.field("language", pa.string()),
        pa.field("of_page", pa.bool_()),
        pa.field("features", FEATURES),  # without those of the surroundings
        pa.field("features_alone", FEATURES),  # as if the row were of a table
        pa.field("surroundings", pa.int32()),  # null unless the page is in a WARC file
    ]
)
PENALTY = 10.0
# A row of a page counts once more with this weight as if it were of a table, and a row with surroundings as if it were
# of a WAT file, so that the weights also fit rows of which less is known.
ALONE = 0.2
LEAST = 2  # A feature gets a weight if so many rows have it.


class OnPage(NamedTuple):
    """What pages state of a text and its image."""

    kind: str
    signals: int | None
    width: int | None
    height: int | None
    surroundings: int | None


def main(argv: Sequence[str] | None = None) -> None:
    """Learn weights, and write them; bad input ends in one sentence and status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", nargs="?", type=Path, help="a CSV file of labelled rows")
    parser.add_argument("pages", nargs="*", type=Path, help="WARC files with pages of these rows")
    parser.add_argument("--alone", action="store_true", help="do not learn from judge_rows.parquet as well")
    parser.add_argument("--rows", type=Path, help="write features and labels to this Parquet file")
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    args = parser.parse_args(argv)
    with command(NAME):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Learn weights by a parsed command line, and write them."""
    require_packages(["scipy"])
    tables = [] if args.labelled and args.alone else [pq.read_table(ROWS)]
    if args.labelled:
        tables.append(rows_of(args.labelled, args.pages))
    table = pa.concat_tables(tables)
    if len(set(table["label"].to_pylist())) < 2:
        raise InputError(
            f"all {len(table):,} rows of {args.labelled} have the same label; pass rows of at least two labels"
        )
    judge = learnt(table)
    if args.rows:
        with whole(args.rows) as file:
            pq.write_table(table, file, compression="zstd", compression_level=19)
    with whole(args.output) as file:
        file.write_bytes(judge.content())
    facts = judge.facts
    print_result(
        f"{args.output}: trained on {facts['rows']:,} rows of {facts['sites']:,} sites; {facts['of_pages']:,} rows are "
        "of pages"
    )


def rows_of(labelled: Path, pages: Sequence[Path]) -> pa.Table:
    """Return the labelled rows with their features, with the schema SCHEMA; InputError if there are none."""
    rows = read_labelled(labelled)
    on_pages, shown = facts_of_pages(pages)
    stated = [on_pages.get((row["url"], row["text"], row["page_url"])) for row in rows]
    full = [matched(row, on_page, shown[row["url"]]) for row, on_page in zip(rows, stated, strict=True)]
    surroundings = [on_page.surroundings if on_page else None for on_page in stated]
    alone = [matched(row, None, 0) for row in rows]
    hosts = [(row["page_url"] or row["url"]).partition("://")[2].partition("/")[0].lower() for row in rows]
    columns = {
        "label": [row["label"] for row in rows],
        "site": [hashlib.sha256(host.encode()).hexdigest()[:12] for host in hosts],
        "language": [row.get("language") or None for row in rows],
        "of_page": [on_page is not None for on_page in stated],
        "features": featured(full),
        "features_alone": featured(alone),
        "surroundings": surroundings,
    }
    return pa.table(columns, SCHEMA)


def read_labelled(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file that have one of LABELS; InputError if it cannot be read, or has none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restval="")
            names = rows.fieldnames or []
            if missing := [name for name in COLUMNS if name not in names]:
                raise no_column(str(path), missing, names, f"the columns must include {', '.join(COLUMNS)}")
            labelled = [row | {"text": row["text"].strip()} for row in rows if row["label"] in {*LABELS}]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error})") from None
    if not labelled:
        raise InputError(f"{path} has no row with a label {', '.join(LABELS)}: junk, a headline, or a description")
    return labelled


def facts_of_pages(paths: Sequence[Path]) -> tuple[Mapping[tuple[str, str, str], OnPage], Counter[str]]:
    """Return what pages state of pairs, by URL, text and page, and how often they show a URL with an alt."""
    on_pages, shown = dict[tuple[str, str, str], OnPage](), Counter[str]()
    for row in (row for path in paths for batch in read(path) for row in batch.to_pylist()):
        sizes = (row["stated_width"], row["stated_height"])
        on_page = OnPage(row["kind"], row["signals"], *sizes, row["surroundings"])
        on_pages.setdefault((row["url"], row["text"], row["page_url"]), on_page)
        shown[row["url"]] += row["kind"] == ALT
    return on_pages, shown


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the candidates of a WARC or WAT file; InputError if it cannot be opened."""
    try:
        with path.open("rb") as file:
            yield from (wat if path.name.endswith(".wat.gz") else warc).read(file, str(path), TableOptions(), Counter())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from None


def matched(row: Mapping[str, str], on_page: OnPage | None, shown: int) -> dict[str, object]:
    """Return a labelled row as a row of MATCHED without surroundings; without a page, as a row of a table."""
    kind, signals, width, height, _ = on_page or OnPage("text", 0, None, None, None)
    candidate = {"text": row["text"], "kind": kind, "entries": []}
    sizes = {"stated_width": width, "stated_height": height}
    page = {"page_url": row["page_url"] if on_page else None, "signals": signals, "shown": shown}
    return {"uid": "", "url": row["url"], **page, **sizes, "candidates": [candidate]}


def featured(rows: Sequence[Mapping[str, object]]) -> list[np.ndarray]:
    batch = pa.RecordBatch.from_pylist(list(rows), MATCHED)
    return features(ImageBatch.of(batch))


def learnt(table: pa.Table) -> Judge:
    """Return the judge that is learnt from rows with the schema SCHEMA."""
    from scipy.sparse import vstack  # type: ignore[import-untyped]

    label = np.array([LABELS.index(letter) for letter in table["label"].to_pylist()])
    of_page = table["of_page"].to_numpy()
    around = table["surroundings"].fill_null(-1).to_numpy()
    has_around = around >= 0
    features = counted(table["features"])
    alone = counted(table["features_alone"])
    rows = vstack([features + counted(around_features(around)), alone[of_page], features[has_around]]).tocsr()
    weight = np.concatenate([np.ones(len(label)), np.full(of_page.sum() + has_around.sum(), ALONE)])
    used = np.flatnonzero(np.bincount(rows.indices, minlength=1 << BITS) >= LEAST)
    found, bias = fitted(rows[:, used], np.concatenate([label, label[of_page], label[has_around]]), weight)
    step = float(np.abs(found).max(initial=0) / 127) or 1.0
    weights = np.zeros((1 << BITS, len(OUTPUTS)), np.int8)
    weights[used] = np.rint(found / step)
    by_language = Counter(filter(None, table["language"].to_pylist()))
    facts = {
        "rows": len(table),
        "of_pages": int(of_page.sum()),
        "sites": len(set(table["site"].to_pylist())),
        "labels": dict(sorted(Counter(table["label"].to_pylist()).items())),
        "languages": dict(sorted(by_language.items(), key=lambda item: (-item[1], str(item[0])))),
    }
    return Judge(weights, step, tuple(map(float, bias)), facts)


def around_features(surroundings: np.ndarray) -> pa.ChunkedArray:
    """Return the features of the surroundings of each row; none where the number is -1."""
    numbers = [[feature.number for feature in surroundings_features(int(number))] for number in surroundings]
    return pa.chunked_array([pa.array(numbers, FEATURES)])


def counted(lists: pa.ChunkedArray) -> Any:  # a csr_matrix of SciPy
    """Return how often each row has each feature, float64[row, 2**BITS]."""
    from scipy.sparse import csr_matrix

    array = lists.combine_chunks()
    offsets = np.concatenate([[0], np.cumsum(array.value_lengths().to_numpy())])
    numbers = array.flatten().to_numpy().astype(np.int32)
    matrix = csr_matrix((np.ones(len(numbers)), numbers, offsets), (len(array), 1 << BITS))
    matrix.sum_duplicates()
    return matrix


def fitted(rows: Any, label: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights, float64[feature, output], and bias, float64[output], of the most probable model."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    is_label = np.stack([label == output for output in range(len(OUTPUTS))], axis=1).astype(float)
    columns, outputs = rows.T.tocsr(), len(OUTPUTS)

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = point[outputs:].reshape(-1, outputs), point[:outputs]
        odds = rows @ weights + bias
        most = np.maximum(odds.max(axis=1), 0)  # the odds of describing are 0
        shares = np.exp(odds - most[:, None])
        total = shares.sum(axis=1) + np.exp(-most)
        likelihood = weight @ ((is_label * odds).sum(axis=1) - most - np.log(total))
        excess = weight[:, None] * (shares / total[:, None] - is_label)
        slopes = [excess.sum(axis=0), (columns @ excess + PENALTY * weights).ravel()]
        return PENALTY / 2 * (weights**2).sum() - likelihood, np.concatenate(slopes)

    start = np.zeros(outputs * (rows.shape[1] + 1))
    point = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300, "ftol": 1e-9}).x
    return point[outputs:].reshape(-1, outputs), point[:outputs]


if __name__ == "__main__":
    main()
