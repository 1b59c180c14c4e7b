"""Failures that may pass are tried again; others are errors at once."""

import pytest

from runtime.errors import InputError
from runtime.storage import remote
from tests.support.remote_files import forbidden


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), BrokenPipeError()])
def test_what_passes_is_tried_again_until_it_has_passed(error):
    failures, failed = [error] * 5, []

    def step():
        if failures:
            raise failures.pop()
        return "read"

    assert remote.persist("a.jsonl", step, lambda: failed.append(1)) == "read"
    assert len(failed) == 5


@pytest.mark.parametrize("error", [FileNotFoundError("x"), PermissionError("x"), IsADirectoryError("x"), OSError("x")])
def test_what_does_not_pass_is_an_error_of_the_system_at_once(error):
    with pytest.raises(OSError, match=r"^a\.jsonl (cannot be read: x|does not exist)"):
        remote.persist("a.jsonl", raising(error), forbidden)


def test_what_never_passes_ends_after_some_tries():
    failed = []
    with pytest.raises(OSError, match=r"^a\.jsonl cannot be read, 3 times in a row: reset$"):
        remote.persist("a.jsonl", raising(ConnectionError("reset")), lambda: failed.append(1), tries=3)
    assert len(failed) == 2


@pytest.mark.parametrize("error", [InputError("x"), ValueError("x"), ImportError("x")])
def test_what_is_no_failure_of_a_file_passes_through(error):
    with pytest.raises(type(error), match="^x$"):
        remote.persist("a.jsonl", raising(error), forbidden)


def raising(error):
    def step():
        raise error

    return step


def test_waits_double_up_to_a_limit_and_differ_by_path_alone(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.5)
    waits = [remote.wait("s3://é/a", number) for number in range(1, 12)]
    longest = [min(0.5 * 2**n, 60) for n in range(11)]
    assert all(most / 2 <= wait < most for wait, most in zip(waits, longest, strict=True))
    assert waits == [remote.wait("s3://é/a", number) for number in range(1, 12)]
    assert len({remote.wait(f"s3://é/{i}", 1) for i in range(100)}) == 100
