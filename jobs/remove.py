"""Remove images from a finished manifest: `python jobs/remove.py --help`."""

import sys

try:
    from curation.commands.remove import main
except ModuleNotFoundError as error:
    missing = f"{error.name} is not installed in {sys.executable}; activate the environment that holds clip-curation"
    print(missing, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
