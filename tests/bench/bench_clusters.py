"""Measure balanced k-means against scikit-learn's, and the assignment of vectors against the bare matrix product.

    python tests/bench/bench_clusters.py [blobs real unseen training assign copies real_copies looks] --millions 10 \\
        --real embeddings.parquet

blobs:  sizes and inertia where balance costs nothing: groups of equal size; needs scikit-learn (`make bench`).
real:   what balance costs among the embeddings of a table, as clip-cluster writes them.
unseen: sizes of 32 clusters among a million vectors, after training on some others for each cluster.
training: seconds and memory of training, by so many millions of vectors; OMP_NUM_THREADS says on how many threads.
assign: vectors of 384 dimensions, made in blocks, to 1,024 centres, in turns with NumPy's product of the same blocks,
        in two processes of one thread each, as Spark's tasks run. Digests of the answers for several sizes of blocks
        show that these do not matter; OMP_NUM_THREADS=2 gives the same ones.
copies: what leaders of one fine cluster cost an image, by its size: one where no vector is a copy, one where nearly all
        are; with the digests of the answers for other blocks.
real_copies: by cosine, how many vectors of --real, or made-up ones, stay in one cluster and in --clusters, beside what
        SemDeDup's own rule keeps; leaders are compared with those by all pairs, and pairs with faiss's if it is there.
looks:  clip-cluster over made-up vectors with planted copies (a quarter, of a cosine of 0.95 to 1): what one, two and
        three looks lose of the pairs, beside processor seconds of the search, and of all, in turns.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as in Spark's workers; read when NumPy is imported
    os.environ.setdefault(name, "1")

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from concurrent.futures import ProcessPoolExecutor

from curation.plugins.clustering import clip_cluster as pipeline
from curation.plugins.clustering import training as module
from curation.plugins.clustering.training import Centres, ClusterConfig, TrainedClusters, train
from curation.plugins.near_duplicates import vectors as leading
from curation.plugins.near_duplicates.vectors import scaled
from runtime.engine.local import Local
from tests.support.finished_run import finished_run, image

DIMENSION, CENTRES, PART = 384, 1024, 1 << 16  # vectors of one file
COSINES = (0.98, 0.95, 0.9, 0.85, 0.8)
KINDS = {"16 groups": (16, 500, 0.3), "64 groups": (64, 300, 0.5), "256 groups": (256, 100, 0.5)}


def blobs(args) -> None:
    """Print a row for each kind of groups: both inertias, and sizes."""
    for kind, (number, size, width) in KINDS.items():
        _compare(kind, _groups(number, size, width), number)


def real(args) -> None:
    """Print a row for each number of clusters."""
    vectors = _table(args.real)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.random.default_rng(0).permutation(vectors)
    for number in args.clusters:
        _compare(f"{len(vectors):,} texts", vectors, number)


def unseen(args) -> None:
    """Print a row for each number of training vectors: how far sizes of other vectors are from equal."""
    chance = np.random.default_rng(1)
    groups = chance.normal(size=(300, 32)).astype(np.float32)
    for each in (1024, 8192):
        centres = TrainedClusters.of(_near(groups, 32 * each, chance), 32, 4, 0).fine
        sizes = np.bincount(centres.assign(_near(groups, 1_000_000, chance))[0], minlength=32) / (1_000_000 / 32)
        print(f"{each:,} each: deviation {sizes.std():.1%}, sizes {sizes.min():.2f} to {sizes.max():.2f}")


def training(args) -> None:
    """Print seconds and memory of training 1,024 fine and 4 coarse clusters."""
    chance = np.random.default_rng(0)
    groups = chance.normal(size=(3000, DIMENSION)).astype(np.float32)
    vectors = np.empty((round(args.millions * 1e6), DIMENSION), np.float32)
    for begin in range(0, len(vectors), PART):
        some = vectors[begin : begin + PART]
        some[:] = _near(groups, len(some), chance)
    begin = time.perf_counter()
    sizes = np.bincount(TrainedClusters.of(vectors, CENTRES, 4, 0).fine.assign(vectors)[0], minlength=CENTRES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    shares = sizes / sizes.mean()
    print(f"{time.perf_counter() - begin:.0f} s, {peak:.1f} GB, sizes {shares.min():.2f} to {shares.max():.2f}")


def _near(groups: np.ndarray, number: int, chance: np.random.Generator) -> np.ndarray:
    """Return vectors of length 1 with noise around the groups."""
    drawn = groups[chance.integers(0, len(groups), number)]
    found = drawn + 0.8 * chance.normal(size=drawn.shape).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def assign(args) -> None:
    """Print the speed of both, and the digest of the answers for other blocks."""
    parts = [PART] * max(1, round(args.millions * 1e6 / PART))
    with ProcessPoolExecutor(2) as pool:
        seconds = list(pool.map(_timed, range(len(parts))))
        rows, product, ours, made = (sum(column) for column in zip(*seconds, strict=True))
    print(f"{rows:,} vectors; rows/s of a process: product {rows / product:,.0f}, assignment {rows / ours:,.0f}")
    print(f"assignment takes {ours / product:.2f} of the product's time; making the vectors took {made:,.0f} s")
    for block in (1024, 100, 4096):
        module.BLOCK = block
        print(f"blocks of {block}: {_digest(_part(0)[:20_000])}")


def copies(args) -> None:
    """Print a row for each size of a cluster, and digests."""
    chance = np.random.default_rng(0)
    for kind, noise in (("no copies", 2.0), ("nearly all are copies", 0.1)):
        for number in (round(args.millions * 1e6 / 4), round(args.millions * 1e6)):
            vectors = np.empty((number, DIMENSION), np.float32)
            middle = chance.normal(size=DIMENSION)
            for begin in range(0, number, PART):
                some = vectors[begin : begin + PART]
                some[:] = middle + noise * chance.normal(size=some.shape)
            _leaders(vectors[:100])  # compiles
            begin = time.process_time()
            found = _leaders(vectors)
            spent = (time.process_time() - begin) / number * 1e6
            stay, peak = len(np.unique(found)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            print(f"{kind}, {number:,} vectors: {stay:,} stay, {spent:.1f} µs an image, {peak:.0f} MB", flush=True)
    vectors = scaled(_mixture(5000))
    for first, block, chunk in ((64, 1024, 4096), (1, 100, 333), (500, 500, 1000)):
        leading.FIRST_BLOCK_VECTORS = first
        leading.MAX_BLOCK_VECTORS = block
        leading.CHUNK_VECTORS = chunk
        digest = blake2b(_leaders(vectors).tobytes(), digest_size=8).hexdigest()
        print(f"blocks of {first} to {block} against {chunk}: {digest}")


def real_copies(args) -> None:
    """Print a row for each number of clusters and cosine: pairs, the share inside clusters, shares that stay."""
    vectors = scaled(np.random.default_rng(0).permutation(_table(args.real) if args.real else _mixture(20_000)))
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    later, earlier, products = _pairs(unit, COSINES[-1])
    print(_faiss(unit, COSINES[-1], later, earlier), flush=True)
    for number in (1, *args.clusters):
        own = np.zeros(len(unit), np.int32)
        if number > 1:
            short = unit.astype(np.float32)
            own = train(short, np.ones(len(short)), number, seed=0).assign(short)[0]
        for cosine in COSINES:
            near = np.flatnonzero(products >= cosine)
            inside = near[own[later[near]] == own[earlier[near]]]
            expected = _by_pairs(later[inside], earlier[inside], len(vectors))
            for each in range(number):
                rows = np.flatnonzero(own == each)
                found = _leaders(vectors[rows], cosine)
                if len(rows) and not np.array_equal(
                    rows[np.unique(found, return_index=True)[1]][found], expected[rows]
                ):
                    raise SystemExit(f"leaders of {number} clusters differ at {cosine}")
            stay, their = (
                (expected == np.arange(len(vectors))).mean(),
                _by_similarity(unit, own, later, earlier, inside),
            )
            share = len(inside) / max(1, len(near))
            print(f"| {number:,} | {cosine} | {len(near):,} | {share:.1%} | {stay:.2%} | {their:.2%} |", flush=True)


def looks(args) -> None:
    """Print a row for each number of clusters, kind of vectors and number of looks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number, chance = round(args.millions * 1e6), np.random.default_rng(0)
    images = [image(each) for each in range(number)]
    uids, spectrum = [each["uid"] for each in images], np.arange(1, DIMENSION + 1) ** -0.7
    kinds = {
        "3,000 groups": _near(chance.normal(size=(3000, DIMENSION)).astype(np.float32), number, chance),
        "one cloud, variances as i^-1.4": chance.normal(size=(number, DIMENSION)) * spectrum,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = finished_run(Path(folder) / "run", images, t=10**9)
        for kind, vectors in kinds.items():
            vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
            half = number // 4
            vectors[half : 2 * half] = _planted(vectors[:half], chance)
            column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), DIMENSION)
            pq.write_table(pa.table({"uid": uids, "embedding": column}), f"{folder}/embeddings.parquet")
            for fine in args.clusters:
                for looked in (1, 2, 3):
                    config = ClusterConfig(fine, texts="pool", same_meaning=COSINES[1], looks=looked)
                    search, whole, gone = _looked(folder, run.path, config)
                    lost = sum(a not in gone and b not in gone for a, b in zip(uids[:half], uids[half:], strict=False))
                    row = f"| {kind} | {fine:,} | {looked} | {lost / half:.2%} | {len(gone):,} |"
                    print(f"{row} {search:.1f} s | {whole:.0f} s |", flush=True)


def _planted(vectors: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return a vector of length 1 for each of `vectors`, with a cosine of 0.95 to 1, in any direction."""
    away = chance.normal(size=vectors.shape)
    away -= np.einsum("ij,ij->i", away, vectors)[:, np.newaxis] * vectors
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    cosine = chance.uniform(0.9501, 1, (len(vectors), 1))
    return cosine * vectors + np.sqrt(1 - cosine**2) * away


def _looked(folder: str, run: Path, config: ClusterConfig) -> tuple[float, float, set[str]]:
    """Return the processor seconds of the search for copies and of the whole command, and the copies."""
    import pyarrow.parquet as pq

    spent, write = [], pipeline.write_copies
    pipeline.write_copies = lambda *given: _timed_call(spent, write, *given)
    output = f"{folder}/clusters"
    begin = time.process_time()
    pipeline.cluster(
        Local(1), pipeline.ClusterRequest(str(run), output, config, [f"{folder}/embeddings.parquet"], overwrite=True)
    )
    whole, pipeline.write_copies = time.process_time() - begin, write
    return sum(spent), whole, {*pq.read_table(f"{output}/copies")["uid"].to_pylist()}


def _timed_call(spent: list[float], function, *given):
    begin = time.process_time()
    found = function(*given)
    spent.append(time.process_time() - begin)
    return found


def _table(path: str) -> np.ndarray:
    """Return the embeddings of a table."""
    import pyarrow.parquet as pq

    column = pq.read_table(path, columns=["embedding"])["embedding"].combine_chunks()
    return np.asarray(column.flatten(), np.float32).reshape(len(column), -1)


def _mixture(number: int) -> np.ndarray:
    """Return vectors of groups of all widths, from equal ones to unlike ones."""
    chance = np.random.default_rng(2)
    groups, width = chance.normal(size=(2000, DIMENSION)), chance.choice([0, 0.2, 0.3, 0.5, 0.8], 2000)
    drawn = chance.integers(0, 2000, number)
    return (groups[drawn] + width[drawn, np.newaxis] * chance.normal(size=(number, DIMENSION))).astype(np.float32)


def _leaders(vectors: np.ndarray, cosine: float = 0.95) -> np.ndarray:
    leaders = leading.MeaningLeaders(vectors.shape[1], cosine)
    try:
        return np.concatenate([leaders.of(vectors[begin : begin + PART])[0] for begin in range(0, len(vectors), PART)])
    finally:
        leaders.close()


def _pairs(unit: np.ndarray, cosine: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs (later, earlier) of vectors of length 1 with this cosine, and it, by products in float64."""
    found, products = [], []
    for begin in range(0, len(unit), 1024):
        near = unit[begin : begin + 1024] @ unit[: begin + 1024].T
        rows, others = np.nonzero(near >= cosine)
        is_pair = others < rows + begin
        found.append(np.stack([rows + begin, others])[:, is_pair])
        products.append(near[rows, others][is_pair])
    later, earlier = np.concatenate(found, axis=1)
    return later, earlier, np.concatenate(products)


def _by_pairs(later: np.ndarray, earlier: np.ndarray, number: int) -> np.ndarray:
    """Return the leader of each vector, by all pairs, one vector after the other."""
    bounds, leader = np.searchsorted(later, np.arange(number + 1)), np.arange(number)
    for row in np.unique(later):
        near = earlier[bounds[row] : bounds[row + 1]]
        leader[row] = near[leader[near] == near].min(initial=row)
    return leader


def _by_similarity(
    unit: np.ndarray, own: np.ndarray, later: np.ndarray, earlier: np.ndarray, inside: np.ndarray
) -> float:
    """Return the share that SemDeDup keeps: vectors near none that is farther from the centre of their cluster."""
    sums = np.zeros((own.max() + 1, unit.shape[1]))
    np.add.at(sums, own, unit)
    similarity = np.einsum("ij,ij->i", unit, sums[own])
    place = np.empty(len(unit), np.int64)
    place[np.argsort(similarity, kind="stable")] = np.arange(len(unit))
    one, other = later[inside], earlier[inside]
    goes = np.where(place[one] > place[other], one, other)
    return 1 - len(np.unique(goes)) / len(unit)


def _faiss(unit: np.ndarray, cosine: float, later: np.ndarray, earlier: np.ndarray) -> str:
    """Return how faiss's pairs differ from these, and the largest distance of such a pair from the cosine."""
    if find_spec("faiss") is None:
        return ""
    import faiss

    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit.astype(np.float32))
    bounds, _, others = index.range_search(unit.astype(np.float32), cosine)
    rows = np.repeat(np.arange(len(unit)), np.diff(bounds.astype(np.int64)))
    theirs = (rows * len(unit) + others)[others < rows]
    other = np.setxor1d(theirs, later * len(unit) + earlier)
    off = [abs(unit[pair // len(unit)] @ unit[pair % len(unit)] - cosine) for pair in other]
    return f"faiss: {len(other)} of {len(theirs):,} pairs differ, by {max(off, default=0):.0e} of the cosine at most"


def _compare(kind: str, vectors: np.ndarray, number: int) -> None:
    from sklearn.cluster import KMeans

    begin = time.perf_counter()
    centres = train(vectors, np.ones(len(vectors)), number, seed=0)
    seconds = time.perf_counter() - begin
    numbers, squares = centres.assign(vectors)
    begin = time.perf_counter()
    plain = KMeans(number, n_init=1, random_state=0).fit(vectors)
    plain_seconds = time.perf_counter() - begin
    sizes, others = (np.bincount(each, minlength=number) * number / len(vectors) for each in (numbers, plain.labels_))
    print(
        f"| {kind} | {number:,} | {sizes.min():.2f} to {sizes.max():.2f} | {others.min():.2f} to {others.max():.2f} | "
        f"{squares.sum() / plain.inertia_:.3f} | {seconds:.0f} s | {plain_seconds:.0f} s |",
        flush=True,
    )


def _groups(number: int, size: int, width: float, dimension: int = 32) -> np.ndarray:
    random = np.random.default_rng(number)
    middles = random.normal(size=(number, dimension))
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    vectors = np.repeat(middles, size, axis=0)
    vectors += random.normal(size=vectors.shape) * width / np.sqrt(dimension)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return random.permutation(vectors).astype(np.float32)


def _part(number: int) -> np.ndarray:
    """Return vectors about the centres, as embeddings are about those of their clusters."""
    random = np.random.default_rng(number + 1)
    vectors = _centres().vectors[random.integers(0, CENTRES, PART)]
    vectors = vectors + random.standard_normal((PART, DIMENSION), np.float32) * np.float32(0.05)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _centres() -> Centres:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(CENTRES, DIMENSION))
    vectors *= 0.6 / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Centres(vectors.astype(np.float32), random.uniform(0, 0.1, CENTRES))


def _timed(number: int) -> tuple[int, float, float, float]:
    """Return the rows of a part, and seconds of the product, of the assignment and of making the vectors."""
    begin = time.perf_counter()
    vectors, centres = _part(number), _centres()
    made = time.perf_counter() - begin
    centres.assign(vectors[:1])  # compiles
    product = ours = 0.0
    out = np.empty((module.BLOCK, CENTRES), np.float32)
    for begin in range(0, len(vectors), 8 * module.BLOCK):  # in turns: other work on the machine slows down both
        some = vectors[begin : begin + 8 * module.BLOCK]
        product += _seconds(lambda some=some: _product(some, centres.vectors, out))
        ours += _seconds(lambda some=some: centres.assign(some))
    return len(vectors), product, ours, made


def _product(vectors: np.ndarray, centres: np.ndarray, out: np.ndarray) -> None:
    for begin in range(0, len(vectors), len(out)):
        np.matmul(vectors[begin : begin + len(out)], centres.T, out=out)


def _seconds(function) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _digest(vectors: np.ndarray) -> str:
    numbers, squares = _centres().assign(vectors)
    return blake2b(numbers.tobytes() + squares.tobytes(), digest_size=8).hexdigest()


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["blobs", "assign"])
    parser.add_argument("--millions", type=float, default=1)
    parser.add_argument("--real", metavar="TABLE", help="a Parquet file or folder with a column embedding")
    parser.add_argument("--clusters", type=int, nargs="+", default=[4, 64, 1024])
    args = parser.parse_args()
    for part in args.parts:
        globals()[part](args)


if __name__ == "__main__":
    main()
