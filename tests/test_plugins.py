"""Each plugin can be removed: without its folder, and the lines that name it, the rest passes what it must.

The contracts of imports say so of all plugins; `make soak` tries each.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import curation.plugins
from tests.support.checkout import ROOT, of_a_user

FOLDER = Path("curation/plugins")
SHARED = {"annotations", "near_duplicates", "domains", "tars", "joins"}  # by plugins
PLUGINS = sorted({path.parent.name for path in (ROOT / FOLDER).glob("*/__init__.py")} - SHARED)
ROWS = ("setup.cfg", "curation/__init__.py", "curation/plugins/hooks.csv")
PACKAGES = ("curation", "metadata", "runtime", "tests")
CORE = ("balancing", "exclusion", "images", "matching", "report", "run")
HELP = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(SystemExit):
        importlib.import_module(name).main(["--help-all"])
"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git has")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of the checkout, with the cache of mypy and what is compiled, and with types that pass."""
    passes(ROOT, "mypy")
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    compiled = (path for package in PACKAGES for path in (ROOT / package).rglob("__pycache__/*"))
    cached = [*compiled, *(ROOT / ".mypy_cache").rglob("*")]
    for path in (*(ROOT / name for name in listed.stdout.splitlines()), *cached):
        if path.is_file():
            place = copy / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
    return copy


@pytest.fixture
def picked_off(checkout, tmp_path):
    """Remove plugins from the copy; what was there is back afterwards."""
    (tmp_path / "plugins").mkdir()
    removed, before = [], {}

    def pick_off(*plugins: str) -> Path:
        for path in (checkout / FOLDER / plugin for plugin in plugins):
            removed.append((path, tmp_path / "plugins" / path.name))
            shutil.move(*removed[-1])
        for path in (checkout / name for name in ROWS):
            before[path] = path.read_text("utf-8")
            path.write_text("".join(line for line in lines(before[path]) if not names_any(line, plugins)), "utf-8")
        return checkout

    yield pick_off
    for path, kept in removed:
        shutil.move(kept, path)
    for path, text in before.items():
        path.write_text(text, "utf-8")


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def names_any(text: str, plugins: tuple[str, ...]) -> bool:
    named = (rf"\bcuration\.plugins(\.| import ){plugin}\b|^from curation import .*\b{plugin}\b" for plugin in plugins)
    return any(re.search(each, text, re.MULTILINE) for each in named)


def names(path: Path, plugins: tuple[str, ...]) -> bool:
    return names_any(path.read_text("utf-8"), plugins)


def needs_a_plugin(path: Path, left: Path) -> bool:
    """Say whether a test, or what it imports of the tests' support, names a plugin."""
    text = path.read_text("utf-8")
    support = [left / f"{each.replace('.', '/')}.py" for each in re.findall(r"^from (tests\.\S+)", text, re.MULTILINE)]
    return names_any(text, (r"\w+",)) or any(needs_a_plugin(each, left) for each in support if each.is_file())


def passes(checkout: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, env=of_a_user(), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def helps(checkout: Path) -> None:
    """Try the help of every command that is left."""
    commands = [checkout / "metadata" / "commands.py", *(checkout / "curation").rglob("*.py")]
    left = [path for path in commands if "\ndef main(" in path.read_text("utf-8")]
    modules = [".".join(path.relative_to(checkout).with_suffix("").parts) for path in left]
    code = [sys.executable, "-c", HELP, *modules]
    done = subprocess.run(code, cwd=checkout, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("usage: ") == len(modules) >= 3


@pytest.mark.parametrize(
    "plugin", [pytest.param(plugin, marks=[pytest.mark.soak] * (plugin != "gate")) for plugin in PLUGINS]
)
def test_without_a_plugin_lint_types_contracts_and_help_pass(picked_off, plugin):
    left = picked_off(plugin)
    passes(left, "ruff", "check", "curation", "metadata", "runtime", "jobs")
    passes(left, "mypy")
    passes(left, "importlinter.cli", "--no-cache")
    helps(left)


def test_without_any_plugin_the_tests_of_the_core_pass(picked_off):
    left = picked_off(*PLUGINS, *SHARED)
    helps(left)
    tests = [path for folder in CORE for path in (left / "tests" / folder).rglob("*.py")]
    ignored = [f"--ignore={path}" for path in tests if needs_a_plugin(path, left)]
    assert len(ignored) < len(tests) / 3
    # Kernels and stores know of no plugin.
    fast = "not spark and not slow and not soak and not browser and not shared and not kernels"
    passes(left, "pytest", "-q", "-m", fast, "-k", "not s3", *ignored, *(f"tests/{folder}" for folder in CORE))


def test_every_row_of_the_table_is_of_a_plugin():
    places = [place for rows in curation.plugins.HOOKS.values() for place in rows.values()]
    assert {place.split(".")[2] for place in places} <= {*PLUGINS}
