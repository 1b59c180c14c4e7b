"""A command on a pseudo-terminal: what a person at it would see, and Ctrl-C."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from dataclasses import dataclass


@dataclass
class Seen:
    """Everything that a command wrote to its terminal, and the status with which it ended."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        """The lines that a person sees at the end: what was written over is gone."""
        rows = self.text.replace("\r\n", "\n").split("\n")
        return [line for line in (row.rpartition("\r\x1b[K")[2].removeprefix("^C").rstrip() for row in rows) if line]


def on_terminal(command: list, environment: dict, interrupt_at: str | None = None, timeout: float = 300) -> Seen:
    """Run a command on a terminal of its own; press Ctrl-C as soon as it has written `interrupt_at`."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe(str(command[0]), [str(part) for part in command], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    modes = termios.tcgetattr(terminal)
    modes[3] |= termios.NOFLSH  # at Ctrl-C Linux drops what is unread, at times with the answer to Ctrl-C itself
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    written, until, pressed = b"", time.monotonic() + timeout, False
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:  # the command has ended
                break
            if not piece:
                break
            written += piece
        if interrupt_at and not pressed and interrupt_at.encode() in written:
            os.write(terminal, b"\x03")
            pressed = True
    else:
        os.kill(process, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(terminal)
    return Seen(written.decode(), status)
