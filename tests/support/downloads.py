"""Fetch a file from a server of this machine, without waits."""

import hashlib

from metadata.download.fetch import fetch
from metadata.download.sources import Download, Published
from tests.support.http_server import Answer

BODY = bytes(range(256)) * 4_000


def published(server, body=BODY, name="a.bin", kind="sha1"):
    sums = f"{hashlib.new(kind, body).hexdigest()}  {name}\n"
    return Published(server.serve("/sums", Answer(body=sums.encode())), name)


def one(server, folder, manners, *answers, checksum_of=BODY):
    """Fetch /a.bin, which is answered by `answers`, and return its result."""
    download = Download(server.serve("/a.bin", *answers), "sub/a.bin", published(server, checksum_of))
    [result] = fetch([download], folder, manners)
    return result


def visible(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
