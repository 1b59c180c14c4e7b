"""Curate pairs: `spark-submit jobs/curate.py --input crawl/*.wat.gz --metadata DIR --output DIR`."""

import sys

try:
    from curation.commands.curate import main
except ModuleNotFoundError as error:
    print(
        f"{error.name} is not installed in {sys.executable}: activate the environment that holds this project, or "
        "install it there with `pip install .`",
        file=sys.stderr,
    )
    sys.exit(2)


if __name__ == "__main__":
    main()
