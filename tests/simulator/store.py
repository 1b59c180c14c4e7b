"""An object store with the faults of a `Disk`: a file system of fsspec at `sim://`, whose objects are in this process.

An object is there as a whole or not at all, from the moment that its request is answered. A listing may lag behind.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from upath import UPath
from upath.registry import register_implementation

from tests.simulator.machine import Machine

PROTOCOL = "sim"


class Store(AbstractFileSystem):
    """The objects of one run, by path."""

    protocol = PROTOCOL
    objects: dict[str, bytes] = {}
    machine: Machine

    def ls(self, path: str, detail: bool = True, **_: Any) -> list:
        path = self._strip_protocol(path)
        found = {name: self._info(name) for name in self._seen(path) if name == path or name.startswith(f"{path}/")}
        if not found:
            raise FileNotFoundError(path)
        below = {f"{path}/{name[len(path) + 1 :].partition('/')[0]}" for name in found if name != path}
        folders = {name: {"name": name, "size": 0, "type": "directory"} for name in below - found.keys()}
        direct = folders | {name: info for name, info in found.items() if name in below or name == path}
        return [*direct.values()] if detail else [*direct]

    def find(self, path: str, detail: bool = False, **_: Any) -> list[str] | dict[str, dict]:
        path = self._strip_protocol(path)
        found = [name for name in self._seen(path) if name == path or name.startswith(f"{path}/")]
        return {name: self._info(name) for name in found} if detail else found

    def info(self, path: str, **_: Any) -> dict:
        path = self._strip_protocol(path)
        if path in self.objects:
            return self._info(path)
        if any(name.startswith(f"{path}/") for name in self.objects):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        self._operation("read", path)
        return self._content(path)[start:end]

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        Path(lpath).write_bytes(self.cat_file(rpath))

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        self._operation("put", rpath)
        self._put(rpath, Path(lpath).read_bytes())

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        self._operation("copy", path2)
        self._put(path2, self._content(path1))

    def rm_file(self, path: str) -> None:
        self._operation("remove", path)
        self.objects.pop(self._strip_protocol(path), None)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        return io.BytesIO(self.cat_file(path))

    @classmethod
    def flip(cls, path: str, share: float) -> Callable[[], None]:
        """Flip a bit of an object; return what flips it back, where it is still there."""
        before = cls.objects[path]
        place = int(share * len(before))
        flipped = bytes(byte ^ (number == place) << int(share * 1e6) % 8 for number, byte in enumerate(before))
        cls.objects[path] = flipped

        def back() -> None:
            if cls.objects.get(path) is flipped:
                cls.objects[path] = before

        return back

    def _operation(self, kind: str, path: str) -> None:
        if self.machine.process is not None:
            self.machine.operation(kind, self._strip_protocol(path))

    def _seen(self, path: str) -> list[str]:
        """Return the paths of a listing."""
        self._operation("list", path)
        return self.machine.listed([*self.objects]) if self.machine.process is not None else sorted(self.objects)

    def _info(self, path: str) -> dict:
        return {"name": path, "size": len(self.objects[path]), "type": "file"}

    def _content(self, path: str) -> bytes:
        try:
            return self.objects[self._strip_protocol(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _put(self, path: str, content: bytes) -> None:
        self.objects.pop(self._strip_protocol(path), None)
        self.objects[self._strip_protocol(path)] = content
        self.machine.renamed.pop(self._strip_protocol(path), None)
        self.machine.renamed[self._strip_protocol(path)] = None  # nobody is sure to see it


class StorePath(UPath):
    """A path of a store."""


fsspec.register_implementation(PROTOCOL, Store, clobber=True)
register_implementation(PROTOCOL, StorePath, clobber=True)
