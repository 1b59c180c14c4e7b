"""Compiled kernels are cached where nobody else can write, because Numba runs what is in its caches."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import kernel_caches as caches
from runtime.errors import InputError
from runtime.kernel_caches import _cache_for, cached, require_safe
from tests.support.checkout import ROOT

HARMLESS = "from runtime.kernels import kernel\n\n\n@kernel\ndef twice(x):\n    return x + x\n"
CALL = """
from kernels import twice
from runtime.console import command

with command("job"):
    print(twice(21), twice.stats.cache_path)
"""
BROUGHT = """
import sys
from pathlib import Path
from runtime import kernel_caches as caches

caches._ROOT, caches.COMPILED = map(Path, sys.argv[1:])
from kernels import twice
print(twice(21))
"""


class Payload:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(caches, "_faults", [])
    _cache_for.cache_clear()
    yield
    _cache_for.cache_clear()


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with a kernel of its own."""
    folder = tmp_path / "source"
    folder.mkdir(mode=0o755)
    (folder / "kernels.py").write_text(HARMLESS)
    return folder


def call(source: Path, code: str = CALL, *arguments: Path, **environment: object) -> subprocess.CompletedProcess:
    """Call the kernel in another process, in which source and home may or may not be written."""
    path = f"{ROOT}{os.pathsep}{source}"
    variables = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": ""}
    variables |= {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=variables, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_what_others_may_have_put_into_a_cache_is_not_run(source, tmp_path):
    cache, trace = tmp_path / "cache", tmp_path / "trace"
    assert call(source, NUMBA_CACHE_DIR=cache).returncode == 0
    indexes = list(cache.rglob("*.nbi"))
    assert len(indexes) == 1
    for folder in (indexes[0].parent.parent, cache):  # where it is, and where Numba would look by itself
        own = folder / indexes[0].parent.name
        own.mkdir(exist_ok=True)
        (own / indexes[0].name).write_bytes(pickle.dumps(Payload(trace)))
    cache.chmod(0o777)
    done = call(source, NUMBA_CACHE_DIR=cache)
    assert (done.returncode, trace.exists()) == (2, False)
    assert done.stderr.startswith(f"job: others may write into {cache}; remove it, or ")
    assert done.stderr.count("\n") == 1


def test_without_compilation_a_command_is_refused_in_a_sentence(source):
    done = call(source, NUMBA_DISABLE_JIT=1)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = "NUMBA_DISABLE_JIT is set, so kernels would take days instead of minutes; unset this variable"
    assert done.stderr == f"job: {sentence}\n"


def test_a_folder_for_kernels_is_made_for_the_user_alone(source, tmp_path):
    done = call(source, NUMBA_CACHE_DIR=tmp_path / "cache")
    assert done.stdout.startswith(f"42 {tmp_path / 'cache' / 'kernels'}/")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "cache", tmp_path / "cache" / "kernels")} == {0o700}


@pytest.mark.parametrize(
    ("mode", "of_cache", "beside"),
    [(0o755, 0o755, True), (0o775, 0o775, True), (0o755, 0o775, False), (0o755, 0o777, False), (0o755, None, True)],
)
def test_kernels_lie_beside_their_source_unless_others_may_write_there(source, monkeypatch, mode, of_cache, beside):
    monkeypatch.setenv("XDG_CACHE_HOME", str(source.parent / "home"))
    source.chmod(mode)
    if of_cache is not None:
        (source / "__pycache__").mkdir()
        (source / "__pycache__").chmod(of_cache)
    assert _cache_for(source, "") == (source if beside else source.parent / "home" / "clip-curation" / "kernels")


def not_writable(monkeypatch, *folders: Path) -> None:
    """Let these folders be as on a read-only disk, also to root."""
    access, mkdir = os.access, Path.mkdir

    def is_in(path) -> bool:
        return any(Path(path).is_relative_to(folder) for folder in folders)

    def refusing(path, *rest, **more):
        if is_in(path):
            raise PermissionError(path)
        return mkdir(path, *rest, **more)

    monkeypatch.setattr(os, "access", lambda path, mode: not is_in(path) and access(path, mode))
    monkeypatch.setattr(Path, "mkdir", refusing)


def test_where_neither_source_nor_home_may_be_written_the_local_disk_serves(source, tmp_path, monkeypatch):
    home, disk = tmp_path / "home", tmp_path / "disk"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(disk))
    not_writable(monkeypatch, source, home)
    assert _cache_for(source, "") == disk / f"clip-curation-{os.getuid()}" / "kernels"
    require_safe()


def test_where_nothing_may_be_written_kernels_are_compiled_without_a_cache(source, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "disk"))
    not_writable(monkeypatch, Path("/"))
    kernel = cached(nogil=True)(lambda x: x + x)
    assert (kernel(21), kernel.stats.cache_path) == (42, None)
    require_safe()


def test_a_folder_of_someone_else_on_the_local_disk_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    not_writable(monkeypatch, source, tmp_path / "home")
    (tmp_path / "clip-curation-12345").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert _cache_for(source, "") is None
    with pytest.raises(InputError, match="clip-curation-12345 belongs to someone else"):
        require_safe()


@pytest.mark.soak
def test_a_kernel_is_compiled_again_when_another_file_that_it_inlines_has_changed(source):
    (source / "inner.py").write_text(HARMLESS.replace("@kernel", "@inline").replace("import kernel", "import inline"))
    outer = HARMLESS.replace("\n\n\n", "\nfrom inner import twice as once_more\n\n\n", 1)
    (source / "kernels.py").write_text(outer.replace("x + x", "once_more(x)"))
    results = [call(source).stdout.split()[0] for _ in range(2)]
    (source / "inner.py").write_text((source / "inner.py").read_text().replace("x + x", "x + x + x"))
    assert [*results, call(source).stdout.split()[0]] == ["42", "42", "63"]


@pytest.mark.soak
@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: data[:-1]])
def test_a_file_of_the_cache_that_is_cut_or_empty_is_made_again(source, ending, damage):
    assert call(source).stdout.split()[0] == "42"
    (file,) = source.rglob(f"*{ending}")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    done = call(source)
    assert (done.stdout.split()[:1], done.stderr) == (["42"], "")
    assert file.read_bytes()[: len(whole) // 2] == whole[: len(whole) // 2]


@pytest.mark.soak
def test_a_bit_that_flips_in_compiled_code_is_not_run(source):
    assert call(source).stdout.split()[0] == "42"
    (file,) = source.rglob("*.nbc")
    data = bytearray(file.read_bytes())
    for at in range(0, len(data), 97):
        data[at] ^= 1
    file.write_bytes(data)
    done = call(source)
    assert (done.stdout.split()[:1], done.stderr, done.returncode) == (["42"], "", 0)


def test_a_file_where_the_folder_of_the_cache_should_be_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    (tmp_path / f"clip-curation-{os.getuid()}").touch()
    with pytest.raises(InputError, match=r"clip-curation-\d+ cannot be a folder \(File exists\); remove what is there"):
        caches.cache_folder()
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / f"clip-curation-{os.getuid()}"))
    with pytest.raises(InputError, match="cannot be a folder .*; remove what is there, or name another disk"):
        caches.cache_folder()


def shortened(compiled: Path) -> None:
    path = next(compiled.rglob("*.nbc"))
    path.write_bytes(path.read_bytes()[:-1])


UNCHECKED = {"NUMBA_BOUNDSCHECK": "0"}  # kernels of a wheel check no bounds


@pytest.mark.soak
@pytest.mark.parametrize(
    ("change", "result", "is_compiled"),
    [
        (lambda source, compiled: None, "42", False),
        (lambda source, compiled: os.utime(source / "kernels.py", (0, 0)), "42", False),
        (lambda source, compiled: (source / "kernels.py").write_text(HARMLESS.replace("x + x", "x + 1")), "22", True),
        (lambda source, compiled: (source / "others.py").write_text("# new\n"), "42", True),
        (lambda source, compiled: shortened(compiled), "42", True),
    ],
    ids=["nothing", "time", "kernel", "another file", "damage"],
)
def test_kernels_that_a_wheel_brings_are_believed_for_the_same_sources_alone(
    source, tmp_path, change, result, is_compiled
):
    builds, compiled, cache = tmp_path / "builds", tmp_path / "compiled", tmp_path / "cache"
    built_for = UNCHECKED | {"NUMBA_CPU_NAME": caches.COMPILED_FOR, "NUMBA_CPU_FEATURES": ""}
    assert call(source, NUMBA_CACHE_DIR=builds, **built_for).returncode == 0
    shutil.copytree(next(builds.rglob("*.nbc")).parent, compiled / source.name)
    change(source, compiled)
    before = {path: path.read_bytes() for path in compiled.rglob("*.nb*")}
    done = call(source, BROUGHT, source.parent, compiled, NUMBA_CACHE_DIR=cache, **UNCHECKED)
    assert (done.stdout.strip(), done.stderr) == (result, "")
    assert [path.suffix for path in cache.rglob("*.nbc")] == [".nbc"] * is_compiled
    assert {path: path.read_bytes() for path in compiled.rglob("*.nb*")} == before
