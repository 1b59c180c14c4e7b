"""Clusters of images by embeddings: balanced k-means, and the cluster of each image of a finished run."""
