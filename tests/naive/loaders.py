"""Readers of what others' loaders open, made from the published facts about them alone: two of Meta CLIP, open_clip's.

Those of Meta CLIP take a tar by its number n, which they write without zeros before it, and of its members those that
end in `.jpeg`.
"""

import json
import tarfile
from hashlib import sha224
from pathlib import Path
from random import Random

import numpy as np


def naive_key(url: str) -> str:
    """The key of a URL in Meta CLIP's own tars."""
    return sha224("".join(sign for sign in url if sign not in " \t").encode("utf-8")).hexdigest()[0:24]


def pictures(tar: Path) -> list[str]:
    """The names of the pictures of a tar, without the ending."""
    with tarfile.open(tar) as members:
        return [member.name[:-5] for member in members if member.name.endswith(".jpeg")]


class FirstLoader:
    """Reads key → list of [text, probability]; draws one of the list, which may not be empty, and may keep it."""

    def __init__(self, folder: Path, tars: Path):
        self.folder, self.tars = folder, tars

    def texts(self, n: int) -> dict[str, list]:
        return json.loads(Path(f"{self.folder}/{n % 100}/{n}.json").read_text("utf-8"))

    def keys(self, n: int) -> list[str]:
        names = pictures(Path(f"{self.tars}/{n % 100}/{n}.tar"))
        return [name[2:] if name[:2] == "./" else name for name in names]

    def kept(self, n: int, chance: Random) -> dict[str, str]:
        known, found = self.texts(n), {}
        for key in self.keys(n):
            if key in known:
                text, probability = chance.choice(known[key])
                if chance.random() < probability:
                    found[key] = text
        return found


class SecondLoader:
    """Reads key → list of [text, language, [entry ids]], and the probabilities of each language's entries.

    `t` is a setting of the loader, the same for all languages.
    """

    def __init__(self, folder: Path, tars: Path, t: str):
        self.folder, self.tars, self.t = folder, tars, t

    def texts(self, n: int) -> dict[str, list]:
        return json.loads(Path(f"{self.folder}/{n - n % 2000}/{n}.json").read_text("utf-8"))

    def keys(self, n: int) -> list[str]:
        return pictures(Path(f"{self.tars}/{n - n % 2000}/{n}.tar"))

    def probabilities(self, language: str) -> np.ndarray:
        return np.load(f"{self.folder}/per_lang_t/{self.t}_{language}.npy", mmap_mode="r")

    def kept(self, n: int, chance: Random) -> dict[str, str]:
        known, found = self.texts(n), {}
        for key in self.keys(n):
            if key in known:
                text, language, ids = chance.choice(known[key])
                probabilities = self.probabilities(language)
                if any(chance.random() < probabilities[id] for id in ids):
                    found[key] = text
        return found


def open_clip_text(stated: bytes | None, keys: str, chances: str | None, chance: Random) -> str | None:
    """The text of a sample by its json, as --json-text-key and --json-text-key-probs ask for; None: it is dropped."""
    names, given = keys.split(";"), [float(each) for each in (chances or "").split()]
    if len(given) > len(names):
        raise ValueError
    weights = dict(zip(names, given + [0.0] * len(names), strict=False))
    order, rest = [], [name for name in names if weights[name] > 0]
    while rest:
        order.append(chance.choices(rest, [weights[name] for name in rest])[0])
        rest.remove(order[-1])
    try:
        values = json.loads(stated or b"")
    except ValueError:
        return None
    found = [values.get(name) for name in [*order, *(name for name in names if weights[name] <= 0)]]
    return next((text.strip() for text in found if isinstance(text, str) and text.strip()), None)
