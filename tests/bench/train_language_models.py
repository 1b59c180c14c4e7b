"""Train fastText models with OpenLID's and GlotLID's layouts, for the bench: `python train_language_models.py FOLDER`.

It needs a fastText that trains, such as fasttext-community, in an environment of its own: the package has the module
name of the fastText that only predicts. The texts are those of the folder of real data (SHARED_DATA): captions,
sentences of Wikipedia, words of the wordnets. These are in about 70 languages, so each language is split into several
labels by the first word of a text. The models serve to measure time and exactness, not to identify languages.
"""

import bz2
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import fasttext

DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
LAYOUTS = {"like_openlid": (200, 1_000_000), "like_glotlid": (2_000, 2_000_000)}  # labels and buckets
MOST_TEXTS = 1_500  # of a language


def texts() -> Iterator[tuple[str, str]]:
    """Yield languages and texts."""
    for line in (DATA / "pairs" / "cc3m_validation.tsv").read_text("utf-8").splitlines():
        yield "en", line.split("\t")[0]
    for file in sorted((DATA / "pairs" / "wit").iterdir()):
        for line in file.read_text("utf-8").splitlines():
            yield file.stem[-2:], json.loads(line)["caption_reference_description"]
    for file in sorted((DATA / "wikipedia" / "mini").glob("*/wiki.xml.bz2")):
        for sentence in re.split(r"[.!?。\n|]+", re.sub(r"<[^>]*>|[\[\]{}='*&;]", " ", bz2.open(file, "rt").read())):
            yield file.parent.name, sentence
    for file in sorted((DATA / "wordnet" / "omw").glob("*/*.tab")):
        for line in file.read_text("utf-8").splitlines()[1:]:
            yield file.parent.name, line.split("\t")[-1]


def by_language() -> dict[str, list[str]]:
    """Return the texts of each language, at least a few words long where it has any, and not too many."""
    found = defaultdict(list)
    for language, text in texts():
        words = text.split()
        if words and len(found[language]) < MOST_TEXTS:
            found[language].append(" ".join(words))
    return {language: lines for language, lines in found.items() if len(lines) > 50}


def train(name: str, languages: dict[str, list[str]], folder: Path) -> None:
    labels, buckets = LAYOUTS[name]
    codes = sorted(languages)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder) as lines:
        for label in range(labels):  # each label has a text, whatever the first words say
            lines.write(f"__label__{codes[label % len(codes)]}_{label // len(codes)} {label}\n")
        for i, code in enumerate(codes):
            parts = (labels - i - 1) // len(codes) + 1
            for text in languages[code]:
                lines.write(f"__label__{code}_{crc32(text.split()[0].encode()) % parts} {text}\n")
        lines.flush()
        model = fasttext.train_supervised(
            lines.name, dim=256, minn=2, maxn=5, bucket=buckets, loss="softmax", lr=0.8, epoch=3, thread=2, verbose=1
        )
    model.save_model(str(folder / f"{name}.bin"))
    print(name, len(model.labels), "labels", len(model.words), "words")


def main() -> None:
    folder = Path(sys.argv[1])
    for name in LAYOUTS:
        train(name, by_language(), folder)


if __name__ == "__main__":
    main()
