"""Commands end before a random request to an S3 server; run again, they leave the bytes of an undisturbed command."""

import random
from contextlib import suppress

import pytest
import s3fs

from runtime.folders.descriptor import EARLIER
from runtime.folders.stamps import is_stamp
from runtime.folders.verify import verify
from runtime.storage.paths import files_below, names, read_bytes
from runtime.storage.whole import WORK
from tests.support.in_turn import in_turn
from tests.support.kept_work import EXPORTS, Inputs

pytestmark = pytest.mark.soak
KILLS = 4  # of each kind; every second one is among the last requests
LAST = 20  # requests, in which the descriptor is written and stamps are removed


class Requests:
    """The requests of a process, which ends before the one with the number `end`."""

    def __init__(self, patched: pytest.MonkeyPatch):
        self.number = 0
        self.end: float = float("inf")
        original = s3fs.S3FileSystem._call_s3

        async def counted(*args, **named):
            self.number += 1
            if self.number > self.end:
                raise ConnectionAbortedError(
                    "the process has ended"
                )  # fsspec waits forever for other kinds of exceptions
            return await original(*args, **named)

        patched.setattr(s3fs.S3FileSystem, "_call_s3", counted)

    def until(self, end: float) -> None:
        """Count from zero, and end before the request `end`."""
        self.number = 0
        self.end = end


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("name", [*EXPORTS, "removal"])
def test_a_command_that_ends_before_any_request_is_done_again(inputs, s3_folder, monkeypatch, name):
    requests = Requests(monkeypatch)
    chance = random.Random(name)
    inputs.make(name, in_turn(), s3_folder / "quiet")
    total = requests.number
    whole = {path: read_bytes(s3_folder / "quiet" / path) for path in files_below(s3_folder / "quiet")}
    for number in range(KILLS):
        output = s3_folder / str(number)
        requests.until(chance.randrange(total) if number % 2 else total - chance.randrange(LAST))
        with suppress(BaseException):
            inputs.make(name, in_turn(), output)
        requests.until(float("inf"))
        with suppress(Exception):  # the sentence about a complete folder
            inputs.make(name, in_turn(), output)
        left = {path: read_bytes(output / path) for path in files_below(output)}
        assert left == whole
        assert WORK not in names(output)
        assert not any(is_stamp(path.rpartition("/")[2]) or path.endswith(EARLIER) for path in left)
        verify(output)
    print(f"{name}: {total} requests, {KILLS} kills")
