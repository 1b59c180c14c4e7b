"""Hooks: parts of this project and of other packages, which errors name; a faulty one stops only what uses it."""

import sys
from contextlib import nullcontext

import pytest

from curation.plugins import HOOKS
from runtime.errors import InputError
from runtime.packages import has, hooks, usable_hooks
from tests.support.installed import install

GROUP = "clip_curation.made_up"


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setitem(HOOKS, GROUP, {"second": "math:pi", "first": "math:e"})


def names(group: str = GROUP) -> list[str]:
    return [*hooks(group)]


def test_own_parts_come_first_in_their_order_then_those_of_other_packages(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "hung", "b = 'b'\na = 'a'\n", f"[{GROUP}]\nzebra = hung:b\nant = hung:a\n")
    assert names() == ["second", "first", "ant", "zebra"]
    assert hooks(GROUP)["zebra"].load(lambda found: found == "b", "b") == "b"


def test_a_group_of_which_no_package_knows_has_own_parts_alone():
    assert names() == ["second", "first"]


@pytest.mark.parametrize("name", ["first", "csv"])
def test_a_package_that_takes_a_name_is_refused(monkeypatch, tmp_path, name):
    install(monkeypatch, tmp_path, "greedy", "mine = 1\n", f"[{GROUP}]\n{name} = greedy:mine\n")
    with pytest.raises(
        InputError, match=f"the package greedy has greedy:mine as {name} in .*, but this name is already taken"
    ):
        hooks(GROUP, taken=["csv"])


@pytest.mark.parametrize("code", ["import no_such_module", "1 / 0", "", "raise SystemError"])
def test_a_package_that_cannot_be_imported_is_named_and_stops_only_what_uses_it(monkeypatch, tmp_path, code):
    name = f"broken{len(code)}"
    install(monkeypatch, tmp_path, name, code, f"[{GROUP}]\nbroken = {name}:part\n")
    found, faults = usable_hooks(hooks(GROUP), lambda each: True, "anything")
    assert [*found] == ["second", "first"]
    assert f"the package {name} has {name}:part as broken in {GROUP}, which cannot be imported" in faults["broken"]


@pytest.mark.parametrize("kind", ["None", "3", "'text'", "lambda a, b: Seen()", "lambda: Seen()", "Blind()"])
def test_a_part_of_a_wrong_kind_is_named_with_its_package(monkeypatch, tmp_path, kind):
    code = f"class Blind: pass\nclass Seen:\n    observe = print\npart = {kind}\n"
    install(monkeypatch, tmp_path, "odd", code, f"[{GROUP}]\nodd = odd:part\n")
    with pytest.raises(InputError, match=f"the package odd has odd:part as odd in {GROUP}: expected a function of"):
        hooks(GROUP)["odd"].find(None, has("observe"), "an object with the method observe")
    sys.modules.pop("odd")


@pytest.mark.parametrize(("made", "fits"), [("None", True), ("Seen()", True), ("Blind()", False), ("3", False)])
def test_what_a_function_of_another_package_returns_must_fit(monkeypatch, tmp_path, made, fits):
    code = f"class Blind: pass\nclass Seen:\n    observe = print\ndef part(options):\n    return {made}\n"
    install(monkeypatch, tmp_path, "maker", code, f"[{GROUP}]\nmaker = maker:part\n")
    sentence = "maker:part as maker in .*: expected a function that returns an object with observe, but got "
    with nullcontext() if fits else pytest.raises(InputError, match=sentence):
        hooks(GROUP)["maker"].find(None, has("observe"), "an object with observe")
    sys.modules.pop("maker")
