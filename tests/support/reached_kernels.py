"""A plugin of pytest: name the kernels that no test of a session runs, and fail if there are any.

A kernel runs if Python calls it in a process of tests, or if a kernel that runs uses it.
"""

import inspect
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

import curation
import metadata
import runtime

_CALLED = "kernels that Python calls"
_called: set[str] = set()


def kernels() -> dict[str, Dispatcher]:
    """Return all kernels of the program, by module and name."""
    found = {}
    for package in (curation, metadata, runtime):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if "kernels" in module.name.split("."):
                for value in vars(import_module(module.name)).values():
                    if isinstance(value, Dispatcher):
                        found[_name(value)] = value
    return found


def _name(kernel: Dispatcher) -> str:
    return f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}"


def _with_used(kernel: Dispatcher) -> set[str]:
    """Return the names of a kernel and of all kernels that it uses, by their names or as names of a module."""
    used = {_name(kernel)}
    names = kernel.py_func.__code__.co_names
    for value in inspect.getclosurevars(kernel.py_func).globals.values():
        values = [vars(value).get(name) for name in names] if isinstance(value, ModuleType) else [value]
        for each in values:
            if isinstance(each, Dispatcher):
                used |= _with_used(each)
    return used


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Note what this process called; a worker of pytest-xdist tells its controller."""
    _called.update(name for name, kernel in kernels().items() if kernel.signatures)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_CALLED] = [*_called]
    elif unreached():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Take what a worker of pytest-xdist called."""
    _called.update(node.workeroutput.get(_CALLED, ()))


def unreached() -> list[str]:
    """Return the names of kernels that no test ran."""
    found = kernels()
    reached = {name for called in _called for name in _with_used(found[called])}
    return sorted(found.keys() - reached)


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the names of kernels that no test ran."""
    if names := unreached():
        terminalreporter.section("kernels that no test with the marker `kernels` runs")
        terminalreporter.write_line("\n".join(names))
