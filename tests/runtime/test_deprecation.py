"""What is deprecated works as before, warns where it is called, and says so in its help."""

import warnings
from pathlib import Path

import pytest

from curation import DeprecatedWarning, deprecated

LEAVING = deprecated(since="0.3", until="0.4", instead="threshold")


@LEAVING
def cut(counts: list[int], share: float = 0.5) -> float:
    """Return a share of the counts."""
    return sum(counts) * share


@LEAVING
class Cutter:
    def __init__(self, share: float):
        self.share = share


class Finer(Cutter):
    """Inherits from what leaves."""


def test_a_function_works_as_before_and_warns_where_it_is_called():
    with pytest.warns(
        DeprecatedWarning, match=r"^cut is deprecated since 0.3, to be removed in 0.4: use threshold$"
    ) as seen:
        assert cut([1, 3], share=0.25) == 1.0
    assert [Path(warning.filename) for warning in seen] == [Path(__file__)]
    assert cut.__name__ == "cut"
    assert cut.__doc__ == (
        "Return a share of the counts.\n\nDeprecated since 0.3, to be removed in 0.4: use threshold."
    )


@pytest.mark.parametrize("kind", [Cutter, Finer])
def test_a_class_stays_a_class_and_warns_when_an_object_is_made(kind):
    with pytest.warns(DeprecatedWarning, match="^Cutter is deprecated"):
        made = kind(0.5)
    assert isinstance(made, Cutter)
    assert made.share == 0.5


def test_importing_what_is_deprecated_does_not_warn_and_one_filter_silences_all():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LEAVING(lambda: None)
        warnings.simplefilter("ignore", DeprecatedWarning)
        cut([1])


def test_the_warning_is_shown_without_any_flag_of_python():
    assert issubclass(DeprecatedWarning, FutureWarning)
