"""Start a command: import it, and run its function `main`.

Importing a command takes seconds. During the import, too, Ctrl-C or a missing package ends the program with one
sentence, and the program says that it is starting.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INSTALL = "activate the environment that holds this project, or install the project there: pip install clip-curation"
# Seconds of silence before the first message, before others in the first minute, and later: longer than in a stage.
_FIRST, _NEXT, _MINUTE, _LATER = 1.0, 4.8, 60.0, 35.0


_over = threading.Event()  # It is set when the command has ended.


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Let the block import the command `name`; if an import fails, or at Ctrl-C, end the program with one sentence."""
    signal.signal(signal.SIGINT, lambda number, frame: _stop(name))
    from runtime import run_flags, terminal

    terminal.attach()  # From here on Ctrl-C leaves no trace.
    sys.excepthook = terminal.say_trace
    run_flags.apply_format(sys.argv)
    if not any(argument.startswith("@") for argument in sys.argv):  # A file of arguments may ask for another format.
        threading.Thread(target=_reassure, args=(name,), daemon=True).start()
    try:
        import runtime.without_pandas  # noqa: F401

        yield
        terminal.clear()
    except ModuleNotFoundError as error:
        terminal.say(f"{name}: {error.name} is not installed in {sys.executable}: {INSTALL}", "error")
        sys.exit(2)
    except Exception as error:
        from runtime.errors import low_limit

        if limit := low_limit(error):
            terminal.say(f"{name}: {limit}", "error")
            sys.exit(1)
        raise


def run(main: Callable[[], None]) -> None:
    """Run the function `main` of a command that was imported; the process is expected to end afterwards."""
    from runtime import interrupts

    try:
        main()
    except SystemExit as end:
        if end.code == interrupts.INTERRUPTED:
            interrupts.end_in(interrupts.PATIENCE)
        raise
    finally:
        _over.set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # This process ends anyway.


def _reassure(name: str) -> None:
    """Write that the program is running each time nothing was written for some seconds, until the command has ended."""
    from runtime import terminal

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # The signal shall wake the main thread.
    begin = time.monotonic()
    wait = _FIRST
    pause = _FIRST
    does = "starting"
    while not _over.wait(pause):
        passed = time.monotonic() - begin
        if terminal.silence() >= wait:
            terminal.show(f"{name}: {does}, {passed:.0f} s")
            does = "at work"
        wait = _NEXT if passed < _MINUTE else _LATER
        pause = max(0.1, wait - terminal.silence())


def _stop(name: str) -> None:
    os.write(2, f"{name}: stopped before it began\n".encode())
    os._exit(130)  # Shells give this exit status for Ctrl-C.
