"""Score how well the images in tars fit their texts, with a CLIP model in one process per machine or GPU."""

from runtime.programs import Program

program = Program("clip-score", "curation.leaves.scoring.clip_score")
