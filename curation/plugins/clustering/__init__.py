"""Cluster the images of a finished run by embeddings with balanced k-means, and write the cluster of each image."""

from runtime.start import Program

program = Program("clip-cluster", "curation.plugins.clustering.clip_cluster")
