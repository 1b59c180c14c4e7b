"""Score how well the images in tars fit their texts, with a CLIP model in one process per machine or GPU."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-score", "curation.leaves.scoring.clip_score")
