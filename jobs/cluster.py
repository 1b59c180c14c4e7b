"""Cluster the images of a finished run: `spark-submit jobs/cluster.py RUN --output clusters`."""

import sys

try:
    from curation.commands.cluster import main
except ModuleNotFoundError as error:
    print(
        f"{error.name} is not installed in {sys.executable}: activate the environment that holds this project, or "
        "install it there with `pip install .`",
        file=sys.stderr,
    )
    sys.exit(2)


if __name__ == "__main__":
    main()
