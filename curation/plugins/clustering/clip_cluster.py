"""The command `clip-cluster`: embed texts, train on a sample, assign each image, and describe the clusters.

The output folder keeps the embeddings for the next clustering. The page clusters.html shows sizes, languages and
nearest texts in the style of a run's report. `clusters.json` is written last: a folder with this file is complete.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curation.plugins.clustering import embeddings as embedded
from curation.plugins.clustering import joining
from curation.plugins.clustering.embeddings import Embeddings
from curation.plugins.clustering.joining import COARSE, FINE, Nearest
from curation.plugins.clustering.semantic_copies import MeaningComparison, write_copies
from curation.plugins.clustering.training import ClusterConfig, TrainedClusters
from curation.plugins.joins.uid_join import REPEATED
from curation.report.charts import Bar
from curation.report.page import environment
from curation.run.finished_run import curated_files
from curation.run.results import Results
from metadata.languages import language
from runtime.arguments import Parser, absolute_path, add_fields, add_flags, helps, made
from runtime.cogroup import Places
from runtime.console import command
from runtime.engine import Engine, EngineLike, engine_for
from runtime.errors import AGAIN, InputError
from runtime.folders.descriptor import Kind
from runtime.folders.folder import AlreadyComplete, Folder, Wanted, making
from runtime.packages import versions
from runtime.progress import ConsoleProgress, Progress
from runtime.redaction import hidden
from runtime.storage.arrays import save_array
from runtime.storage.own_files import OwnFile, own_files, written_files
from runtime.storage.parquet import read_table, row_count, write_tables
from runtime.storage.paths import as_path
from runtime.storage.scratch import scratch
from runtime.storage.whole import write_text
from runtime.tallies import Tallies, TaskResult
from runtime.terminal import aligned, print_result
from runtime.wording import counted, number, percent

KIND = Kind("clusters", "clip-cluster", version=2, descriptor="clusters.json")
FACTS, PAGE, CENTRES, COARSE_CENTRES = "clusters.json", "clusters.html", "centres.parquet", "coarse_centres.parquet"
LANGUAGE_ROWS = 30  # the most languages in the page's table; other languages are summed in a last row
LANGUAGES_OF_CLUSTER = 3  # the most languages that the page names beside a coarse cluster

CLUSTERS, COPIES, EMBEDDINGS = "clusters", "copies", "embeddings"  # the names of folders in the output


@dataclass(frozen=True)
class ClusterRequest:
    """A request for clusters: the run, the source of embeddings, the clusters' parameters, and the output folder."""

    run: str
    output: str
    config: ClusterConfig = field(default_factory=ClusterConfig)
    embeddings: Sequence[str] = ()  # tables of embeddings; without them, the texts are embedded
    embedding_column: str = "embedding"  # the column of these tables that has the embeddings
    encoder: str = embedded.DEFAULT
    overwrite: bool = False

    def made_from(self, run: Results, embedded_by: Embeddings | Path) -> dict[str, Any]:
        """Return all that the clusters depend on: the run, tables of embeddings or an encoder, parameters, versions.

        `embedded_by` is a table of embeddings, or an encoder's folder.
        """
        tables = [] if isinstance(embedded_by, Path) else [*embedded_by.table.files]
        sources = {
            "run": run.digest,
            "tables": [hidden(path) for path, _ in tables],
            "encoder": embedded.encoder_facts(self.encoder, embedded_by) if isinstance(embedded_by, Path) else None,
        }
        read = [repr(version) for _, version in tables]
        how = {"column": self.embedding_column, "config": asdict(self.config), "read": read, "versions": versions()}
        return sources | how


def cluster(engine: EngineLike, request: ClusterRequest, progress: Progress | None = None) -> dict[str, Any]:
    """Write the clusters of a run's images into the output folder, and return the content of clusters.json.

    The same call continues after an interruption: embedded texts are not embedded again. If the folder is complete,
    nothing is written anew. InputError for an unusable run, output folder, or source of embeddings.
    """
    progress = progress or Progress()
    source = Results.open(request.run)
    tables = Embeddings.find(request.embeddings, request.embedding_column) if request.embeddings else None
    embedded_by = tables or embedded.find_encoder(request.encoder)
    made_from = request.made_from(source, embedded_by)
    wanted = Wanted(KIND, made_from, [str(source.path), *request.embeddings], request.overwrite, kept=[EMBEDDINGS])
    try:
        with making(engine, request.output, wanted, progress) as folder, scratch() as local:
            steps = ClusterSteps(folder.engine, request, source, folder, local, progress)
            embeddings = embedded_by if isinstance(embedded_by, Embeddings) else steps.embed(embedded_by, made_from)
            sample = steps.sample(embeddings)
            clusters = steps.train(sample)
            return steps.finish(clusters, steps.assign(embeddings, clusters, sample), made_from)
    except AlreadyComplete as done:
        progress.note(str(done))
        return KIND.read(as_path(request.output)) or {}


@dataclass(frozen=True)
class ClusterSteps:
    """The steps of a clustering, which the driver runs one after another."""

    engine: Engine
    request: ClusterRequest
    run: Results
    folder: Folder
    local: Path  # a folder for files that are shipped to workers
    progress: Progress

    def embed(self, encoder: Path, made_from: dict[str, Any]) -> Embeddings:
        """Embed all texts that have no embeddings yet, and return the table of all embeddings.

        `encoder` is the encoder's folder, and `made_from` is the result of `ClusterRequest.made_from`.
        """
        texts = self.request.config.texts
        digest = made_from["encoder"]["digest"]
        description = {"run": made_from["run"], "texts": texts, "encoder": digest, "images_per_file": embedded.SPAN}
        folder = self.folder.path / EMBEDDINGS
        spans = embedded.spans_of(embedded.files_of(self.run, texts))
        wanted = Wanted(embedded.EMBEDDINGS, description, overwrite=False, grows=True)
        replaces = self.request.overwrite and not wanted.is_begun(folder)
        with making(None, folder, replace(wanted, overwrite=replaces), self.progress) as embeddings:
            part = embeddings.part(spans)
            if part.missing:
                title = f"embed the texts of {len(part.missing)} of {len(spans)} parts"
                with self.progress.stage(title, unit="parts"):
                    how = embedded.Embedding(self.engine.ship(encoder), texts, self._run_seed)
                    self.engine.run(part.missing, part.task(partial(embedded.embed, how=how)))
            part.commit()
        return Embeddings.find([str(folder)], "embedding")

    def sample(self, embeddings: Embeddings) -> np.ndarray:
        """Return the vectors of a random sample of the manifest's images, float32[vector, dimension].

        InputError if too few images have an embedding.
        """
        config = self.request.config
        files = curated_files(self.run)
        share = config.share(self.run.facts["rows"]["kept"], embeddings.dimension)
        with self.progress.stage(f"read the embeddings of {share:.0%} of the manifest, to train on them"):
            keys = embedded.drawn_keys(self.engine, files, share, config.seed, self.folder.parts.begin("drawn"))
            shipped = self.engine.ship(save_array(self.local / "keys.npy", keys))
            folder = self.folder.parts.begin("sample")
            write = partial(embedded.write_vectors, embeddings=embeddings, keys=shipped, folder=folder)
            tallies = self.engine.run(list(enumerate(embeddings.table.files)), write)
            vectors = embedded.read_vectors(written_files(folder, tallies.files), keys.shape[1], embeddings.dimension)
        if not len(vectors):
            raise InputError(
                f"no embedding in {embeddings.table.name} belongs to an image of the manifest of {self.run.path}; pass "
                "tables with uids or URLs of this run"
            )
        config.require_enough(len(vectors))
        return vectors

    def train(self, sample: np.ndarray, look: int = 0) -> TrainedClusters:
        """Return fine and coarse clusters trained on the vectors of `sample`; `look` is added to the seed."""
        config = self.request.config
        title = f"train {config.fine:,} fine and {config.coarse:,} coarse clusters on {len(sample):,} images"
        with self.progress.stage(title, unit="turns"):
            return TrainedClusters.of(sample, config.fine, config.coarse, config.seed + look)

    def assign(self, embeddings: Embeddings, clusters: TrainedClusters, sample: np.ndarray) -> ClusterCounts:
        """Write the cluster of each image that has an embedding, and copies if asked for; return the counts.

        `sample` are the training vectors.
        """
        files = embedded.files_of(self.run, self.request.config.texts)
        folder = self.folder.parts.begin("assigned")
        texts = self.folder.parts.begin("nearest")
        is_asked = self.request.config.same_meaning is not None
        with self.progress.stage("assign embeddings to clusters"):
            shipped = self.engine.ship(clusters.save(self.local / "clusters"))
            write = partial(joining.write_assigned, embeddings=embeddings, clusters=shipped, folder=folder)
            assigned = self.engine.run(list(enumerate(embeddings.table.files)), write)
        with self.progress.stage("join clusters with images"):
            to = self.folder.parts.begin(CLUSTERS)
            chosen = self.folder.parts.begin("chosen") if is_asked else None
            rows = written_files(folder, assigned.files)
            how = joining.JoinedOutput(to, texts, clusters.coarse_of, self.request.config.texts, self._run_seed, chosen)
            written = joining.write_clusters(self.engine, files, rows, how)
        sums = dict(sorted(written.files.items()))
        of_texts = _taken(sums, joining.NEAREST_OF)
        of_chosen = _taken(sums, joining.CHOSEN_OF)
        nearest = Nearest()
        images = [*map(row_count, files)]
        copies = TaskResult()
        for file in own_files(texts, of_texts, AGAIN):
            nearest.add(read_table(file))
        if chosen:
            config = self.request.config
            first = MeaningComparison(
                embeddings=embeddings,
                rows=Places.of([*map(row_count, rows)]),
                images=Places.of(images),
                fine=config.fine,
                cosine=config.same_meaning or 1.0,
                seed=config.seed,
            )
            copies = self.copies(first, own_files(chosen, of_chosen, AGAIN), sample)
        return ClusterCounts(sum(images), len(sample), assigned, written, nearest, copies, sums)

    def copies(self, how: MeaningComparison, chosen: Sequence[OwnFile], sample: np.ndarray) -> TaskResult:
        """Write the semantic copies in each fine cluster; return their counts and checksums.

        Each further look (search for copies) uses newly trained clusters. `how` describes the first look, `chosen` are
        files of CHOSEN, and `sample` are the training vectors.
        """
        last = self.request.config.looks or 1
        for look in range(1, last + 1):
            folder = self.folder.parts.begin(COPIES if look == last else f"look-{look}")
            with self.progress.stage(f"find copies, with a cosine of {how.cosine} or more"):
                result = write_copies(self.engine, chosen, replace(how, is_last=look == last), folder)
            if look < last:
                again = self.engine.ship(self.train(sample, look).save(self.local / f"clusters-{look}"))
                how = replace(how, clusters=again, before=written_files(folder, result.files))
        return result

    def finish(self, clusters: TrainedClusters, counted: ClusterCounts, made_from: dict[str, Any]) -> dict[str, Any]:
        """Give clusters and copies their final names, write all other files, clusters.json last; return its content."""
        path, sums = self.folder.path, self.folder.checksums
        sums |= {f"{CLUSTERS}/{name}": checksum for name, checksum in counted.checksums.items()}
        sums |= {f"{COPIES}/{name}": checksum for name, checksum in sorted(counted.copies.files.items())}
        facts = cluster_facts(self.request.config, clusters, counted)
        page = {**made_from, **facts}
        self.folder.finish(CLUSTERS)
        if "copies" in facts:
            self.folder.finish(COPIES)
        sums |= write_centres(path, clusters, facts)
        sums |= {PAGE: write_text(path / PAGE, cluster_page(page))}
        return self.folder.complete(facts)

    @property
    def _run_seed(self) -> int:
        return self.run.facts["parameters"]["seed"]


def _taken(sums: dict[str, str], prefix: str) -> dict[str, str]:
    """Remove the checksums of the files whose name begins with `prefix` from `sums`, and return them by name."""
    return {name: sums.pop(name) for name in [*sums] if name.startswith(prefix)}


@dataclass(frozen=True)
class ClusterCounts:
    """The counts of a clustering, for clusters.json."""

    images: int  # the number of images of the run, with or without an embedding
    trained_on: int  # the number of training vectors
    assigned: Tallies  # the result of `write_assigned`
    written: TaskResult  # the result of `write_clusters`
    nearest: Nearest
    copies: TaskResult  # the result of `write_copies`; empty if copies were not asked for
    checksums: dict[str, str]  # the checksums of the files of clusters, by name


def cluster_facts(config: ClusterConfig, clusters: TrainedClusters, counted: ClusterCounts) -> dict[str, Any]:
    """Return the facts of clusters.json."""
    fine = len(clusters.fine)
    coarse = len(clusters.coarse)
    written = counted.written
    embeddings = int(counted.assigned["embeddings"])
    images = int(written["images"])
    more = int(written[REPEATED])
    sizes = {kind: _sizes(written, kind, length) for kind, length in ((FINE, fine), (COARSE, coarse))}
    facts = {
        "parameters": {name: value for name, value in asdict(config).items() if value is not None},
        "versions": versions(),
        "images": images,
        "without_embedding": counted.images - images,
        "embeddings": {
            "dimension": clusters.fine.vectors.shape[1],
            "rows": embeddings,
            "unusable": int(counted.assigned["unusable"]),  # These embeddings are null, not finite, or have only zeros.
            "repeated": more,
            "of_other_images": embeddings - images - more,
        },
        "trained_on": counted.trained_on,
        "fine": fine,
        "coarse": coarse,
        "fine_sizes": sizes[FINE],
        "coarse_sizes": sizes[COARSE],
        "coarse_of_fine": clusters.coarse_of.tolist(),
        "balance": {kind: _spread(of_kind) for kind, of_kind in sizes.items()},
        # The sum of the squared distances of all images to their centres, added in the order of files.
        "inertia": sum(value for _, value in sorted(written.noted(joining.INERTIA))),
        "languages": _languages(written, coarse),
        "coarse_texts": counted.nearest.of(COARSE, coarse),
        "fine_texts": counted.nearest.of(FINE, fine),
    }
    if config.same_meaning is not None:
        counts = {name: int(counted.copies[name]) for name in ("copies", "copied")}
        facts["copies"] = {"cosine": config.same_meaning, "images": counts["copies"], "of": counts["copied"]}
    return facts


def _sizes(written: Tallies, kind: str, clusters: int) -> list[int]:
    sizes = written.by_item(kind)
    return [int(sizes.get(number, 0)) for number in range(clusters)]


def _spread(sizes: list[int]) -> dict[str, float]:
    """Divide sizes by their mean; return the smallest and the largest quotient, and the standard deviation of all."""
    shares = np.array(sizes) / np.mean(sizes)
    return {"smallest": float(shares.min()), "largest": float(shares.max()), "deviation": float(shares.std())}


def _languages(written: Tallies, coarse: int) -> dict[str, list[int]]:
    """Return, by language, its number of images in each coarse cluster; languages with the most images come first."""
    images_by_language: dict[str, list[int]] = {}
    for cluster in range(coarse):
        for code, images in written.by_language(COARSE, cluster).items():
            images_by_language.setdefault(code, [0] * coarse)[cluster] = int(images)
    return dict(sorted(images_by_language.items(), key=lambda item: (-sum(item[1]), item[0])))


def write_centres(folder: Path, clusters: TrainedClusters, facts: dict[str, Any]) -> dict[str, str]:
    """Write the fine and the coarse centres to two Parquet files in `folder`; return their checksums by name."""
    fine = {
        "fine": np.arange(len(clusters.fine), dtype=np.int32),
        "coarse": clusters.coarse_of,
        "price": clusters.fine.prices,  # The price is added to the squared distance when centres are compared.
        "images": facts["fine_sizes"],
        "centre": embedded.lists_of(clusters.fine.vectors),
    }
    coarse = {
        "coarse": np.arange(len(clusters.coarse), dtype=np.int32),
        "images": facts["coarse_sizes"],
        "centre": embedded.lists_of(clusters.coarse),
    }
    tables = {CENTRES: pa.table(fine), COARSE_CENTRES: pa.table(coarse)}
    return {name: write_tables(folder / name, [table], table.schema) for name, table in tables.items()}


def cluster_page(facts: dict[str, Any]) -> str:
    """Return the HTML of the page clusters.html, given the content of clusters.json."""
    template = environment(__package__).get_template("clusters.html")
    return template.render(
        facts=facts,
        sizes=[
            Bar(f"cluster {cluster}", size, f"{percent(size, facts['images'])} of the images")
            for cluster, size in enumerate(facts["coarse_sizes"])
        ],
        named=[_named(facts, cluster) for cluster in range(facts["coarse"])],
        languages=_language_rows(facts),
    )


def _named(facts: dict[str, Any], coarse: int) -> str:
    """Return the LANGUAGES_OF_CLUSTER largest languages of a coarse cluster with their shares, as text."""
    of_it = sorted(((row[coarse], code) for code, row in facts["languages"].items() if row[coarse]), reverse=True)
    images = facts["coarse_sizes"][coarse]
    largest = of_it[:LANGUAGES_OF_CLUSTER]
    return ", ".join(f"{language(code).name} {percent(count, images)}" for count, code in largest)


def _language_rows(facts: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return the rows of the page's table: a language's name, code, number of images, and share of each coarse cluster.

    The last row sums all languages after the first LANGUAGE_ROWS.
    """
    languages = [*facts["languages"].items()]
    rows = [(language(code).name, code, counts) for code, counts in languages[:LANGUAGE_ROWS]]
    if rest := [counts for _, counts in languages[LANGUAGE_ROWS:]]:
        rows.append((f"{len(rest)} more", "", [sum(column) for column in zip(*rest, strict=True)]))
    return [(name, code, _shares(counts)) for name, code, counts in rows]


def _shares(counts: list[int]) -> list[str]:
    """Return the sum of a language's images, and the share of each coarse cluster in it, as text."""
    images = sum(counts)
    return [number(images), *(percent(count, images) for count in counts)]


NAME = "clip-cluster"
CHARACTERS_SHOWN = 60  # the most characters of a text that are printed


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        print_result(f"{cluster_lines(run(args))}\nclusters: {args.output}")


def run(args: Namespace) -> dict[str, Any]:
    """Cluster images by the values of a command line, and return the content of clusters.json."""
    config = made(ClusterConfig, args)
    request = ClusterRequest(
        run=args.run,
        output=args.output,
        config=config,
        embeddings=args.embeddings,
        embedding_column=args.embedding_column,
        encoder=args.encoder,
        overwrite=args.overwrite,
    )
    return cluster(engine_for(args, "cluster"), request, ConsoleProgress())


def cluster_lines(facts: dict[str, Any]) -> str:
    """Return the lines that the command prints at the end, given the content of clusters.json."""
    rows = [("cluster", "images", "", "a text near its centre")]
    for coarse, (size, texts) in enumerate(zip(facts["coarse_sizes"], facts["coarse_texts"], strict=True)):
        first = texts[0]["text"][:CHARACTERS_SHOWN] if texts else ""
        rows.append((str(coarse), number(size), percent(size, facts["images"]), first))
    fine = facts["balance"]["fine"]
    lines = [
        f"{counted(facts['images'], 'image')} in {counted(facts['fine'], 'fine cluster')}, with "
        f"{fine['smallest']:.2f} to {fine['largest']:.2f} times the mean number of images; "
        f"{counted(facts['without_embedding'], 'image')} without an embedding",
        *aligned(rows, left=(0, 3)),
    ]
    if copies := facts.get("copies"):
        lines.append(
            f"{counted(copies['images'], 'image')} ({percent(copies['images'], facts['images'])}) are copies of "
            f"{counted(copies['of'], 'image')}, by a cosine of {copies['cosine']} or more"
        )
    return "\n".join(lines)


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line `argv` (None: the process's own)."""
    parser = Parser.of(NAME, __package__)
    add_flags(parser, helps(__package__, "run"), type=absolute_path)
    add_fields(parser, ClusterConfig, helps(__package__, "texts"))
    add_flags(parser, helps(__package__, "output"), required=True, type=absolute_path)
    add_flags(parser, helps(__package__, "switches"), action="store_true")
    add_fields(parser, ClusterConfig, helps(__package__, "numbers"))
    source = parser.add_argument_group("where embeddings come from")
    add_fields(source, ClusterRequest, helps(__package__, "tables"))
    add_flags(source, helps(__package__, "encoder"), default=ClusterRequest.encoder)
    parser.add_engine()
    return parser.parse_args(argv)
