"""Score how well images of tars fit their texts, with a CLIP model in one process per machine or GPU."""
