"""Cluster the images of a finished run: `spark-submit jobs/cluster.py RUN --output clusters`."""

import sys

try:
    from curation.leaves.clustering import program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    program()
