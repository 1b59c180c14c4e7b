"""Curate pairs: `spark-submit jobs/curate.py --input crawl/*.wat.gz --metadata DIR --output DIR`."""

import sys

try:
    from curation.commands.curate import main
except ModuleNotFoundError as error:
    missing = f"{error.name} is not installed in {sys.executable}; activate the environment that holds clip-curation"
    print(missing, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
