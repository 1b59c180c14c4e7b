"""The command `clip-score`: score with a CLIP model how well each image in tars fits its text."""

from argparse import Namespace
from collections.abc import Sequence

from curation.leaves.scoring.scorer import ScoringConfig
from curation.leaves.scoring.scores import ScoreRequest, score_images, table
from curation.outputs.filled import Filled
from runtime.arguments import Parser, absolute, add_fields, made
from runtime.console import command
from runtime.packages import require_packages
from runtime.progress import ConsoleProgress
from runtime.terminal import say

NAME = "clip-score"
RUNNING = {
    "--batch-size N": "images that the model sees at a time",
    "--device NAME": "auto (a GPU where there is one), cpu, cuda, or as cuda:1",
    "--precision": "of products of matrices; bf16 is for GPUs",
    "--workers N": "threads that read and decode images",
}
PACKAGES = ("open_clip", "transformers", "torch", "PIL")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line `argv` (None: the process's own); bad input prints one sentence and exits with status 2."""
    args = parse(argv)
    with command(NAME):
        say(table(run(args)))


def run(args: Namespace) -> Filled:
    """Score images by the values of a command line, and return the folder of scores."""
    require_packages(PACKAGES, "score")
    config = made(ScoringConfig, args)
    request = ScoreRequest(args.input, args.output, args.run, args.overwrite)
    progress = ConsoleProgress()
    with progress.stage(f"load {args.model}"):
        from curation.leaves.scoring.scorer import open_scorer

        scorer = open_scorer(args.model, args.pretrained, config)
    return score_images(request, scorer, progress)


def parse(argv: Sequence[str] | None = None) -> Namespace:
    """Return the values of the command line `argv` (None: the process's own)."""
    parser = Parser(
        NAME,
        "Write how well each image of img2dataset's tars fits its text: the cosine similarity that a CLIP model gives "
        "them. `clip-curate --images DIR --keep 'clip_score >= 0.25'` then balances the pairs above a cut.",
        (
            "--input images/ --model ViT-B-32 --output scores",
            "--input images/ --model ViT-B-32 --device cuda --output scores",
            "--input images/00000.tar --model ViT-B-32 --output scores",
        ),
    )
    parser.add_input("tars of img2dataset on this machine: files, folders with tars directly in them, or globs")
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME",
        help="a folder, of open_clip if it holds open_clip_config.json, else of transformers; a name of open_clip, as "
        "ViT-B-32-quickgelu, with --pretrained, or as hf-hub:OWNER/NAME or local-dir:FOLDER; any other OWNER/NAME is a "
        "repository for transformers, as facebook/metaclip-2-worldwide-huge-quickgelu",
    )
    parser.add_argument(
        "--pretrained", metavar="TAG", help="weights of a name of open_clip: a tag, as metaclip_400m, or a file"
    )
    parser.add_argument(
        "--run",
        type=absolute,
        metavar="RUN",
        help="output folder of clip-curate: score each text that it matched to an image; the highest score counts "
        "(default: the text in the tar)",
    )
    parser.add_output("folder of the scores, one file a tar; tars that are in it from the same model stay")
    parser.add_argument("--overwrite", action="store_true", help="replace other scores in the output folder")
    add_fields(parser.add_argument_group("how images are scored"), ScoringConfig, RUNNING)
    return parser.parse_args(argv)
