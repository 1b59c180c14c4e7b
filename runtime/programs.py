"""Start the commands, one function per command.

Importing a command takes seconds. During the import, too, Ctrl-C or a missing package ends it with one sentence.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib import import_module
from types import FrameType

INSTALL = (
    "activate the environment that holds this project, or install the project there: pip install FOLDER_OF_THE_PROJECT"
)


def start(name: str, module: str) -> None:
    """Run `main` of a module as a program."""
    signal.signal(signal.SIGINT, partial(_stop, name))
    from runtime import interrupts, terminal  # from here on Ctrl-C leaves no trace

    terminal.attach()
    try:
        main = import_module(module).main
    except ModuleNotFoundError as error:
        terminal.say(f"{name}: {error.name} is not installed in {sys.executable}: {INSTALL}", "error")
        sys.exit(2)
    try:
        main()
    except SystemExit as end:
        if end.code == interrupts.INTERRUPTED:
            interrupts.end_in(interrupts.PATIENCE)
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to stop but this process, which ends


metadata = partial(start, "build_metadata", "metadata.commands")
curate = partial(start, "curate", "curation.commands.curate")
export = partial(start, "export", "curation.commands.export")
remove = partial(start, "remove", "curation.commands.remove")
hash_images = partial(start, "hash", "curation.commands.hash_images")
evaluate_languages = partial(start, "lid-eval", "curation.commands.evaluate_languages")
align = partial(start, "align", "curation.commands.align")
cluster = partial(start, "cluster", "curation.commands.cluster")
score_images = partial(start, "score", "curation.commands.score_images")
verify = partial(start, "verify", "curation.commands.verify")


def _stop(name: str, signum: int, frame: FrameType | None) -> None:
    os.write(2, f"{name}: stopped before it began\n".encode())
    os._exit(130)  # as shells say of Ctrl-C
