"""Build the metadata entries of each language from wordnets, Wikipedia dumps and page views.

`spark-submit jobs/build_metadata.py --wordnet PATH --wikipedia PATH --pageviews PATH --output DIR`
"""

import sys

try:
    from metadata import program
except ModuleNotFoundError:
    print(
        f"clip-curation is not installed in {sys.executable}: activate the environment that holds it, or install it "
        "there: pip install FOLDER_OF_THE_PROJECT",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    program()
