"""A path, folder, glob or URL expands to its files."""

import logging
import os
import re
import socket
import zipfile
from pathlib import Path

import fsspec
import pytest

from runtime.errors import InputError
from runtime.storage.listing import expand, files_at, name_of, system_of
from runtime.storage.paths import as_path

NAMES = ("a.x", "b_c.x", "deep/d.x", "deep/.e.x", "_temporary/f.x", ".g.x")


@pytest.fixture
def tree(tmp_path):
    """A folder of files, some of which are hidden."""
    for name in NAMES:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "tree"


def relative(found, folder):
    return [Path(path).relative_to(folder).as_posix() for path in found.paths]


@pytest.mark.parametrize(
    ("pattern", "deep", "names"),
    [
        ("", True, ["a.x", "b_c.x", "deep/d.x"]),
        ("", False, ["a.x", "b_c.x"]),
        ("*.x", True, ["a.x", "b_c.x"]),
        ("*", True, ["a.x", "b_c.x", "deep/d.x"]),
        ("d*", False, ["deep/d.x"]),
        (".g.x", True, [".g.x"]),
        ("_temporary", True, ["_temporary/f.x"]),
    ],
)
def test_folders_and_globs_stand_for_files_that_are_not_hidden_unless_they_are_named(tree, pattern, deep, names):
    found = expand(str(tree / pattern), deep)
    assert relative(found, tree) == names
    assert found.is_file is (pattern == ".g.x")
    assert [version.size for _, version in found.files] == [len(name) for name in names]


def test_an_empty_folder_is_told_from_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    assert expand(str(tmp_path / "empty")).files == []
    assert (expand(str(tmp_path / "none")), expand(str(tmp_path / "none*"))) == (None, None)


@pytest.mark.parametrize("name", ["b::c.x", "zip::c.x", "[1]*?.x", "%20.x"])
def test_a_local_name_is_taken_as_it_is(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    assert (expand(name).paths, expand(name).is_file) == ([str(tmp_path / name)], True)


@pytest.mark.parametrize("prefix", ["zip://", "zip://*.x", "zip://deep/d.x"])
def test_what_an_archive_holds_is_listed_with_the_archive(tree, tmp_path, prefix):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in NAMES:
            archive.write(tree / name, name)
    archive = f"::{tmp_path / 'a.zip'}"
    names = {"zip://": ["a.x", "b_c.x", "deep/d.x"], "zip://*.x": ["a.x", "b_c.x"]}.get(prefix, ["deep/d.x"])
    found = expand(prefix + archive)
    assert found.paths == [f"zip://{name}{archive}" for name in names]
    for path, name in zip(found.paths, names, strict=True):
        with fsspec.open(path, "rb") as file:
            assert file.read() == name.encode()


def test_other_readers_of_s3_keep_their_own_tries(s3_server):
    own, _ = system_of("s3://outputs")
    shared, _ = fsspec.core.url_to_fs("s3://outputs")
    assert (own.retries, own.config_kwargs["retries"]["total_max_attempts"]) == (1, 1)
    assert (shared.retries, "retries" in shared.config_kwargs) == (type(shared).retries, False)
    assert system_of("s3://outputs")[0] is own


def test_nothing_at_a_path_is_told_with_what_is_expected(tree, tmp_path):
    assert files_at(str(tree), "tars").paths == expand(str(tree)).paths
    for name in ("none", "none*"):
        with pytest.raises(InputError, match=rf"/{re.escape(name)} does not exist; expected tars$"):
            files_at(str(tmp_path / name), "tars")
    with pytest.raises(InputError, match=r"no installed package opens URLs that begin with nowhere://"):
        files_at("nowhere://a", "tars")


@pytest.mark.parametrize("url", ["dbfs://", "dbfs://box/a", "github://"])
@pytest.mark.parametrize("look_up", [expand, as_path])
@pytest.mark.filterwarnings("ignore:UPath")
def test_a_url_with_too_little_for_its_file_system_is_refused_in_a_sentence(url, look_up):
    with pytest.raises(InputError, match=f"{url} lacks what its file system needs .*; complete the URL"):
        look_up(url)


def test_the_name_of_a_url_has_no_query():
    assert name_of("s3://a/B.JSON?versionId=1") == "s3://a/b.json"
    assert name_of("a?b.JSON") == "a?b.json"


@pytest.fixture
def mixed(tree, monkeypatch):
    """The tree with a FIFO, a socket, and links: to a file, to a folder, to nothing, to itself."""
    os.mkfifo(tree / "pipe.x")
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.chdir(tree)  # a path of a socket has 107 bytes at most
        unix.bind("socket.x")
    for name, target in {"file.x": "a.x", "folder.x": "deep", "broken.x": "nothing", "loop.x": "loop.x"}.items():
        (tree / name).symlink_to(target)
    return tree


OTHERS = {
    "pipe.x": "FIFO",
    "socket.x": "socket",
    "folder.x": "link to a folder",
    "broken.x": "broken link",
    "loop.x": "broken link",
}


@pytest.mark.parametrize("pattern", ["", "*.x"])
def test_only_regular_files_count_and_others_in_a_folder_are_warned_of(mixed, caplog, pattern):
    with caplog.at_level(logging.WARNING):
        found = expand(str(mixed / pattern))
    below = ["deep/d.x"] if pattern == "" else []
    assert relative(found, mixed) == ["a.x", "b_c.x", *below, "file.x"]
    assert found.passed_over == {str(mixed / name): kind for name, kind in OTHERS.items()}
    (warning,) = caplog.messages
    assert "2 broken links" in warning
    assert f"the first {mixed / 'broken.x'}" in warning


@pytest.mark.parametrize(("name", "kind"), [each for each in OTHERS.items() if each[0] != "folder.x"])
def test_what_is_no_regular_file_is_refused_where_it_is_named(mixed, name, kind):
    with pytest.raises(InputError, match=rf"{name} is a {kind}; expected a regular file"):
        expand(str(mixed / name))


@pytest.mark.parametrize("pattern", ["", "*", "caf\udce9.x"])
def test_a_name_that_is_not_utf_8_is_refused(tree, pattern):
    (tree / "caf\udce9.x").write_text("")
    with pytest.raises(InputError, match=r"caf\\xe9.x is not UTF-8; give the file or folder a name in UTF-8"):
        expand(str(tree / pattern))
