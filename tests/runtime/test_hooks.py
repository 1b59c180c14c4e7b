import pytest

from curation.leaves import HOOKS
from runtime.errors import InputError
from runtime.packages import hooks
from tests.support.installed import install

GROUP = "clip_curation.made_up"


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setitem(HOOKS, GROUP, {"second": "math:pi", "first": "math:e"})


def test_own_parts_come_first_in_their_order_then_those_of_other_packages(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "hung", "b = 'b'\na = 'a'\n", f"[{GROUP}]\nzebra = hung:b\nant = hung:a\n")
    assert list(hooks(GROUP)) == ["second", "first", "ant", "zebra"]
    assert hooks(GROUP)["zebra"] == "b"


def test_a_group_of_which_no_package_knows_has_own_parts_alone():
    assert list(hooks(GROUP)) == ["second", "first"]


def test_a_package_that_takes_a_name_is_refused(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "greedy", "mine = 1\n", f"[{GROUP}]\nfirst = greedy:mine\n")
    with pytest.raises(InputError, match="the package greedy has greedy:mine as first in .*, a name that is taken"):
        hooks(GROUP)


@pytest.mark.parametrize("code", ["import no_such_module", "1 / 0", ""])
def test_a_package_that_cannot_be_imported_is_named(monkeypatch, tmp_path, code):
    name = f"broken{len(code)}"
    install(monkeypatch, tmp_path, name, code, f"[{GROUP}]\nbroken = {name}:part\n")
    with pytest.raises(InputError, match=f"the package {name} has .* cannot be imported"):
        hooks(GROUP)
