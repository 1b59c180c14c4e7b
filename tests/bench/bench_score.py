"""Measure clip-score in parts: of reading, of decoding, of the model, and all together.

    python tests/bench/bench_score.py [--images 2000] [--turns 3] [--model FOLDER] [--device auto]

The images are photographs of installed packages (`make bench`) and drawn pages, 256 pixels on the longer side, in tars
as img2dataset writes them. Without --model it is a tiny random one for 224 pixels, so that decoding weighs as much as
it can. The first row of a part warms up. Columns: threads, part, images a second, ms of all processors an image.
"""

import argparse
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from curation.plugins.scoring.clip_score import ScoreRequest, decoded_batches, score_images, with_own_texts  # noqa: E402
from curation.plugins.scoring.scorer import Scorer, ScoringConfig, open_scorer
from curation.plugins.tars.samples import local_tars_at, strict_about_size
from tests.support.clip_models import open_clip_model
from tests.support.photographs import encoded, pictures
from tests.support.pictures import write_tar


def main() -> None:
    """Print a row of the table for each part and turn."""
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_tars(work / "tars", args.images)
        model = args.model or open_clip_model(work / "model", side=224)
        for workers in sorted({1, ScoringConfig.workers}):
            scorer = open_scorer(str(model), None, ScoringConfig(device=args.device, workers=workers))
            for turn in range(args.turns):
                for name, part in PARTS.items():
                    begin, used = time.perf_counter(), _processor_seconds()
                    images = part(scorer, work, f"{workers}-{turn}")
                    seconds, used = time.perf_counter() - begin, _processor_seconds() - used
                    print(f"| {workers} | {name} | {images / seconds:,.0f} | {1000 * used / images:.2f} |", flush=True)


def reading(scorer: Scorer, work: Path, turn: str) -> int:
    """Read members and headers of all tars, without decoding."""
    return sum(tar.samples.num_rows for tar in with_own_texts(local_tars_at([str(work / "tars")])))


def decoding(scorer: Scorer, work: Path, turn: str) -> int:
    """Read and decode all images, and scale them as the model takes them."""
    tars = with_own_texts(local_tars_at([str(work / "tars")]))
    with strict_about_size(), ThreadPoolExecutor(scorer.config.workers) as pool:
        return sum(len(batch.images) for batch in decoded_batches(tars, 256, scorer.prepare, pool))


def model(scorer: Scorer, work: Path, turn: str) -> int:
    """Score one batch again and again."""
    image, times = scorer.prepare(Image.new("RGB", (256, 200))), 4
    for _ in range(times):
        scorer.scores([image] * 256, [["a dog in the park on a sunny day"]] * 256)
    return 256 * times


def whole(scorer: Scorer, work: Path, turn: str) -> int:
    """Score all images."""
    return score_images(ScoreRequest([str(work / "tars")], work / f"scores-{turn}"), scorer).facts["scores"]["images"]


PARTS = {"tars alone": reading, "with decoding": decoding, "model alone": model, "all": whole}


def write_tars(folder: Path, images: int) -> None:
    """Write the images into tars of a thousand."""
    shown = [encoded(_small(image)) for image in pictures(drawn=200)]
    for begin in range(0, images, 1000):
        members = {}
        for number in range(begin, min(begin + 1000, images)):
            members[f"{number:09}.jpg"] = shown[number % len(shown)]
            members[f"{number:09}.json"] = {"uid": f"{number:032x}"}
            members[f"{number:09}.txt"] = f"a dog in the park on a sunny day, number {number}".encode()
        write_tar(folder / f"{begin // 1000:05}.tar", members)


def _small(image):
    scale = 256 / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def arguments() -> argparse.Namespace:
    """Return the values of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--model", help="folder of a real model")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
