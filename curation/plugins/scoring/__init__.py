"""Score how well the images in tars fit their texts, with a CLIP model in one process per machine or GPU."""

from runtime.start import Program

program = Program("clip-score", "curation.plugins.scoring.clip_score")
