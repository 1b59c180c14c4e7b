"""Write a finished run in a form that other programs read: `python jobs/export.py --help`."""

import sys

try:
    from curation.commands.export import main
except ModuleNotFoundError as error:
    print(f"{error.name} is not installed in {sys.executable}; docs/quick-start.md says how to install", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    main()
