"""Write a finished run's manifest once more, without the images that lists exclude.

`spark-submit jobs/remove.py RUN --exclude opt-outs.txt --output curated-2`
"""

import sys

try:
    from curation.leaves.export import removal_program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    removal_program()
