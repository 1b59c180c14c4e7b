"""Export the kept pairs of a finished run to the format of another program.

`spark-submit jobs/export.py RUN --format huggingface --output pairs`
"""

import sys

try:
    from curation.leaves.export import program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    program()
