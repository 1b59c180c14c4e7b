"""Count the texts of a finished run that name classes of evaluation sets.

`spark-submit jobs/align.py RUN --classes en=imagenet.json`
"""

import sys

try:
    from curation.leaves.report_sections import program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    program()
