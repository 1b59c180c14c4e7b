"""Two machines that share a network and no folder: each has a network namespace, and mounts of its own.

A third network namespace holds the switch between them. Its address is where a test lets its server listen. No address
outside these namespaces can be reached from inside.
"""

import ctypes
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.cluster import Host

SWITCH, ADDRESSES = "10.77.0.1", ("10.77.0.2", "10.77.0.3")
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of Linux

# The machine's folder keeps its path. Beside it, only temporary files can be written, which are in that folder too, and
# compiled kernels in the checkout: Numba fails where it can keep them nowhere.
_MOUNT = """
mount --bind "$2" "$2" && mount --bind "$0" /mnt &&
mount --bind "$0/tmp" "$1" && mkdir -p "$0" && mount --bind /mnt "$0" && umount /mnt &&
mount -o remount,bind,ro / && cd "$PWD" && shift 2 && exec "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A machine with an address and a folder of its own, which the other one does not see."""

    name: str
    address: str
    folder: Path

    def host(self, variables: dict[str, str]) -> Host:
        """Return what runs commands on this machine, with these variables."""
        mounted = ("unshare", "--mount", "sh", "-c", _MOUNT, self.folder, tempfile.gettempdir(), ROOT)
        return Host(self.address, ("ip", "netns", "exec", self.name, *mounted), variables)


def can_make_machines() -> bool:
    """Return whether this user may make network namespaces with names, and devices in them."""
    name = f"clip-{os.getpid()}-try"
    try:
        return _ip("netns", "add", name) and _ip("-n", name, "link", "add", "switch", "type", "bridge")
    except FileNotFoundError:
        return False
    finally:
        with suppress(FileNotFoundError):
            _ip("netns", "delete", name)


@contextmanager
def two_machines(folder: Path) -> Iterator[tuple[list[Machine], socket.socket]]:
    """Give two machines with folders below `folder`, and a socket of this process that both can connect to."""
    names = [f"clip-{os.getpid()}-{name}" for name in ("switch", "one", "two")]
    machines = [Machine(*each) for each in zip(names[1:], ADDRESSES, (folder / "one", folder / "two"), strict=True)]
    try:
        _require("netns", "add", names[0])
        _require("-n", names[0], "link", "add", "switch", "type", "bridge")
        _use(names[0], "switch", SWITCH)
        for machine in machines:
            _connect(machine, names[0])
        with _listener(names[0]) as listener:
            yield machines, listener
    finally:
        for name in names:
            _ip("netns", "delete", name)


def _connect(machine: Machine, switch: str) -> None:
    (machine.folder / "tmp").mkdir(parents=True)
    port = machine.folder.name
    _require("netns", "add", machine.name)
    _require("link", "add", "eth0", "netns", machine.name, "type", "veth", "peer", "name", port, "netns", switch)
    _require("-n", switch, "link", "set", port, "master", "switch", "up")
    _use(machine.name, "eth0", machine.address)


def _use(name: str, device: str, address: str) -> None:
    _require("-n", name, "address", "add", f"{address}/24", "dev", device)
    for each in ("lo", device):
        _require("-n", name, "link", "set", each, "up")


def _listener(name: str) -> socket.socket:
    """Return a socket that listens in a network namespace: a thread moves there, makes it, and ends."""
    made: list[socket.socket] = []

    def make() -> None:
        with open(f"/run/netns/{name}") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server((SWITCH, 0)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def _ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0


def _require(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
