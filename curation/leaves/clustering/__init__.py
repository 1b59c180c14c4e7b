"""Cluster the images of a finished run by embeddings with balanced k-means, and write the cluster of each image."""

from functools import partial

from runtime.programs import start

program = partial(start, "clip-cluster", "curation.leaves.clustering.clip_cluster")
