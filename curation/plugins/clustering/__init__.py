"""Cluster the images of a finished run by embeddings with balanced k-means, and write the cluster of each image."""

from runtime.start import importing, run


def program() -> None:
    """Run the command `clip-cluster`."""
    with importing("clip-cluster"):
        from curation.plugins.clustering.clip_cluster import main
    run(main)
