"""The command `clip-cluster`: assign fine and coarse clusters to the images of a finished run."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from curation.leaves.clustering.cluster_run import ClusterRequest, cluster
from curation.leaves.clustering.training import ClusterConfig
from curation.report.language_table import aligned
from runtime.arguments import Parser, absolute, add_fields, made
from runtime.console import command
from runtime.engine import engine_for
from runtime.progress import ConsoleProgress
from runtime.terminal import say
from runtime.wording import counted, number, percent

NAME = "clip-cluster"
SHOWN = 60  # characters of a text that are printed
TEXTS = {"--texts": "images that get a cluster: of the manifest, or of the whole pool"}
NUMBERS = {
    "--fine N": "fine clusters",
    "--coarse N": "coarse clusters, of the fine centres",
    "--sample SHARE": "share of the manifest to train on; more, up to all, where that is less than 8,192 images a fine "
    "cluster",
    "--same-meaning COSINE": "also write which images of a fine cluster are copies of others: those whose embeddings "
    "have this cosine or more, as 0.95",
    "--looks N": "find the copies in N clusterings, one after the other: borders of clusters part copies, and a second "
    "clustering has other borders (default: 1)",
    "--seed N": "seed of the sample and of the first centres",
}

TABLES = {
    "--embeddings TABLE": "Parquet files with the columns uid (or url) and embedding, a list of numbers",
    "--embedding-column NAME": "column of embeddings",
}
ENCODER = (
    "sentence encoder that embeds the texts where no table is given: %(default)s, which the extra `clusters` brings "
    "and which knows English, or the folder of another one, as sentence-transformers saves it"
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        say(summary(run(args)))
        say(f"clusters: {args.output}")


def run(args: Namespace) -> dict[str, Any]:
    """Cluster images by the values of a command line, and return the content of clusters.json."""
    config = made(ClusterConfig, args)
    tables = args.embeddings, args.embedding_column
    request = ClusterRequest(args.run, args.output, config, *tables, args.encoder, args.overwrite)
    return cluster(engine_for(args, "cluster"), request, ConsoleProgress())


def summary(facts: dict[str, Any]) -> str:
    """Return the lines that the command prints at the end, given the content of clusters.json."""
    rows = [("cluster", "images", "", "a text near its centre")]
    for coarse, (size, texts) in enumerate(zip(facts["coarse_sizes"], facts["coarse_texts"], strict=True)):
        first = texts[0]["text"][:SHOWN] if texts else ""
        rows.append((str(coarse), number(size), percent(size, facts["images"]), first))
    fine = facts["balance"]["fine"]
    lines = [
        f"{counted(facts['images'], 'image')} in {counted(facts['fine'], 'fine cluster')}, the smallest "
        f"{fine['smallest']:.2f} and the largest {fine['largest']:.2f} of equal size; "
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
    parser = Parser(
        NAME,
        "Cluster the images of a finished run by balanced k-means, as MoDE does for its data experts: a table of uid, "
        "fine and coarse cluster and distance, the centres, and a page of nearest texts, sizes and languages.",
        (
            "curated --output clusters",
            "curated --output clusters --embeddings embeddings/",
            "curated --output clusters --fine 1024 --coarse 4",
        ),
    )
    parser.add_argument("run", metavar="RUN", type=absolute, help="output folder of clip-curate")
    add_fields(parser, ClusterConfig, TEXTS)
    parser.add_output(
        "folder of the clusters, which all machines share, or a URL; embeddings of texts in it are used again"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace other clusters in the output folder")
    add_fields(parser, ClusterConfig, NUMBERS)
    source = parser.add_argument_group("where embeddings come from")
    add_fields(source, ClusterRequest, TABLES)
    source.add_argument("--encoder", default=ClusterRequest.encoder, metavar="NAME", help=ENCODER)
    parser.add_engine()
    return parser.parse_args(argv)
