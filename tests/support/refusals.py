"""Commands that refuse their command line."""

from collections.abc import Callable

import pytest


def refusal(capsys: pytest.CaptureFixture, main: Callable[[list[str]], object], *arguments: object) -> str:
    """Return the one sentence with which a command ends that finds bad input, with status 2."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.strip()
