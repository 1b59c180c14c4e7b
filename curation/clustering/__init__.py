"""Cluster images by embeddings with balanced k-means, and write the cluster of each image of a finished run."""
