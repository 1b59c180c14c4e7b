"""Write a wheel that brings its kernels compiled, from a pure wheel and the folder in which Numba cached them.

`python tools/pack_kernels.py WHEEL CACHE`, in an environment where the wheel is installed and whose NUMBA_CACHE_DIR was
CACHE, and NUMBA_CPU_NAME that of `runtime.kernel_caches`, while kernels were compiled. The tags are those of the
installed llvmlite.
"""

import base64
import hashlib
import re
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from numba.core.caching import UserProvidedCacheLocator

PACKAGES = ("curation", "metadata", "runtime")
COMPILED = "runtime/compiled"
FILES = (".nbi", ".nbc")


def compiled(cache: Path) -> dict[str, bytes]:
    """Return the files of a cache of kernels by their names in a wheel, which tell the folder of the sources."""
    found = {}
    for package in PACKAGES:
        top = Path(str((spec := find_spec(package)) and spec.origin)).parent
        for folder in sorted({path.parent for path in top.rglob("*.py")}):
            below = cache / "kernels" / UserProvidedCacheLocator.get_suitable_cache_subpath(str(folder / "a.py"))
            for path in sorted(below.glob("*")):
                if path.suffix in FILES or path.name.startswith("compiled-"):
                    name = f"{COMPILED}/{folder.relative_to(top.parent).as_posix()}/{path.name}"
                    found[name] = path.read_bytes()
    return found


def pack(wheel: Path, cache: Path) -> Path:
    """Write the wheel with the kernels beside the pure one, and return its path."""
    tags = re.findall(r"^Tag: (.*)$", distribution("llvmlite").read_text("WHEEL") or "", re.M)
    python, abi = tags[0].split("-")[:2]
    platforms = ".".join(tag.split("-")[2] for tag in tags)
    path = wheel.with_name(wheel.name.replace("py3-none-any", f"{python}-{abi}-{platforms}"))
    with ZipFile(wheel) as pure:
        members = {info: pure.read(info) for info in pure.infolist() if not info.filename.endswith("/RECORD")}
        record = next(name for name in pure.namelist() if name.endswith("/RECORD"))
    date = next(iter(members)).date_time
    members |= {ZipInfo(name, date): content for name, content in compiled(cache).items()}
    lines = []
    with ZipFile(path, "w", ZIP_DEFLATED) as packed:
        for info, content in members.items():
            if info.filename.endswith(".dist-info/WHEEL"):
                content = re.sub(rb"(?m)^Tag: .*$", "\n".join(f"Tag: {tag}" for tag in tags).encode(), content)
                content = content.replace(b"Root-Is-Purelib: true", b"Root-Is-Purelib: false")
            info.compress_type, info.external_attr = ZIP_DEFLATED, 0o644 << 16
            packed.writestr(info, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{info.filename},sha256={digest},{len(content)}\n")
        packed.writestr(ZipInfo(record, date), "".join([*lines, f"{record},,\n"]), ZIP_DEFLATED)
    return path


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), Path(sys.argv[2])))
