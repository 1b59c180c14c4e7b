"""Score how well the images of tars fit their texts, by a CLIP model: one process a machine or GPU, without Spark."""
