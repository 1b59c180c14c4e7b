"""Readers of what two loaders of Meta CLIP take, from the facts that are published about their formats."""

import json
from pathlib import Path
from random import Random

import numpy as np


def folder_of(tar: Path) -> str:
    number = int(tar.stem)
    return str(number - number % 2000)


class FirstLoader:
    """Reads, for each tar, one JSON: key → list of [text, probability]; keeps a drawn text with its probability."""

    def __init__(self, folder: Path):
        self.folder = folder

    def texts(self, tar: Path) -> dict[str, list]:
        return json.loads((self.folder / folder_of(tar) / f"{tar.stem}.json").read_text("utf-8"))

    def kept(self, tar: Path, chance: Random) -> dict[str, str]:
        found = {}
        for key, texts in self.texts(tar).items():
            if texts:
                text, probability = chance.choice(texts)
                if chance.random() < probability:
                    found[key] = text
        return found


class SecondLoader:
    """Reads key → list of [text, language, [entry ids]], and an array of probabilities for each language.

    `t_of` maps a language, as the JSON names it, to its t: arrays are called {t}_{language}.npy.
    """

    def __init__(self, folder: Path, arrays: Path, t_of: dict[str, str]):
        self.folder, self.arrays, self.t_of = folder, arrays, t_of

    def texts(self, tar: Path) -> dict[str, list]:
        return json.loads((self.folder / folder_of(tar) / f"{tar.stem}.json").read_text("utf-8"))

    def probabilities(self, language: str) -> np.ndarray:
        return np.load(self.arrays / f"{self.t_of[language]}_{language}.npy", mmap_mode="r")

    def kept(self, tar: Path, chance: Random) -> dict[str, str]:
        found = {}
        for key, texts in self.texts(tar).items():
            if texts:
                text, language, ids = chance.choice(texts)
                probabilities = self.probabilities(language)
                if any(chance.random() < probabilities[id] for id in ids):
                    found[key] = text
        return found
