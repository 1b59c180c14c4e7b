"""Remove images from a finished manifest: `python jobs/remove.py --help`."""

import sys

try:
    from curation.commands.remove import main
except ModuleNotFoundError as error:
    print(f"{error.name} is not installed in {sys.executable}; docs/quick-start.md says how to install", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    main()
