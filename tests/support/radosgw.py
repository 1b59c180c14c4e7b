"""A second server of S3 for tests: Ceph's radosgw over a cluster of one monitor and one disk, all on this machine.

Debian's packages radosgw, ceph-mon and ceph-osd bring the programs. Programs unpacked elsewhere are found by PATH.
The backend that needs no cluster, dbstore, is of no use in Ceph 18.2.7: it answers ranges with other bytes, and answers
200 to copies that it does not make.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.cluster import wait_for

PROGRAMS = ("radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool")
KEY = "testing"

_CONFIGURATION = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}/0
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth supported = cephx
keyring = {folder}/keyring
run dir = {folder}
log file = {folder}/$name.log
admin socket =
plugin dir = {library}/ceph
erasure code dir = {library}/ceph/erasure-code
osd class dir = {library}/rados-classes
mon data = {folder}/mon
mon allow pool size one = true
mon max pg per osd = 10000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = 4G
rgw data = {folder}
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"""
_OWNERS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
}


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


@contextmanager
def serving_radosgw(folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment in which s3fs finds the server."""
    monitor, gateway = _free_port(), _free_port()
    library = next((Path(shutil.which("ceph-osd")).parents[1] / "lib").glob("*/rados-classes")).parent
    names = {"fsid": uuid4(), "monitor": monitor, "gateway": gateway, "folder": folder, "library": library}
    (folder / "ceph.conf").write_text(_CONFIGURATION.format(**names))
    _make_keys(folder)
    _run(
        folder, "monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{monitor}]", "--fsid", names["fsid"], "monmap"
    )
    with ExitStack() as stack:
        files = ("--monmap", "monmap", "--keyring", "keyring")
        _ceph(folder, "ceph-mon", "-i", "a", "--no-mon-config", "--mkfs", *files)
        stack.enter_context(_started(folder, "ceph-mon", "-i", "a", "--no-mon-config"))
        disk = uuid4()
        _ceph(folder, "ceph", "osd", "new", disk)
        _ceph(folder, "ceph-osd", "-i", "0", "--no-mon-config", "--mkfs", "--osd-uuid", disk)
        stack.enter_context(_started(folder, "ceph-osd", "-i", "0", "--no-mon-config"))
        keys = ("--access-key", KEY, "--secret", KEY)
        _ceph(folder, "radosgw-admin", "user", "create", "--uid", KEY, "--display-name", KEY, *keys)
        stack.enter_context(_started(folder, "radosgw", "-n", "client.admin", "--no-mon-config"))
        wait_for(lambda: _answers(gateway))
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{gateway}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


def _make_keys(folder: Path) -> None:
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    for number, (owner, rights) in enumerate(_OWNERS.items()):
        capabilities = [flag for pair in zip(rights[::2], rights[1::2], strict=True) for flag in ("--cap", *pair)]
        create = () if number else ("--create-keyring",)
        _run(folder, "ceph-authtool", *create, "keyring", "--gen-key", "-n", owner, *capabilities)


def _ceph(folder: Path, program: str, *arguments: object) -> None:
    _run(folder, program, "-c", folder / "ceph.conf", *arguments)


def _run(folder: Path, *command: object) -> None:
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


@contextmanager
def _started(folder: Path, program: str, *arguments: str) -> Iterator[None]:
    command = [program, "-f", "-c", str(folder / "ceph.conf"), *arguments]
    with (folder / f"{program}.out").open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        time.sleep(0.2)
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
