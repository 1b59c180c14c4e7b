"""Build the metadata entries of each language from wordnets, Wikipedia dumps and page views.

spark-submit jobs/build_metadata.py --wordnet PATH --wikipedia PATH --pageviews PATH --output DIR
"""

import sys

try:
    from metadata.commands import main
except ModuleNotFoundError as error:
    print(
        f"{error.name} is not installed in {sys.executable}: activate the environment that holds this project, or "
        "install it there with `pip install .`",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    main()
