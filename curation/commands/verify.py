"""The flag --verify: check a folder instead of curating, without Spark, and end as --help does."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from typing import Any

from curation.runs.verify import verify
from runtime.console import command
from runtime.terminal import say


class Verify(Action):
    """Checks the folder that it is given as soon as it is met, so that no other flag is required."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: Any = None) -> None:
        """Say that all files are as they were written and end with status 0; else say which are not, with status 2."""
        with command("curate"):
            say(verify(values))
        parser.exit()
