"""Keep the balanced share of image-text pairs whose texts match metadata entries.

`spark-submit jobs/curate.py --input crawl/*.wat.gz --metadata DIR --output DIR`
"""

import sys

try:
    from curation.commands import curate_program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    curate_program()
