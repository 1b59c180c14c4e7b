"""Give tars the places and names at which Meta CLIP's loaders look for them, as the page of docs says."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.checkout import ROOT

PAGE = ROOT / "docs" / "how-to" / "other-loaders.md"


def placed(tars: Sequence[Path], folder: Path) -> None:
    """Run the page's example on tars: they come to `first` and `second` in the folder."""
    section = PAGE.read_text("utf-8").partition("\n## Meta CLIP's own loaders\n")[2].partition("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    if not (folder / "images").exists():
        (folder / "images").symlink_to(tars[0].parent)
    subprocess.run([sys.executable, "-c", example], cwd=folder, check=True)
