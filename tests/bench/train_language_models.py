"""Train fastText models with OpenLID's and GlotLID's layouts, for the bench: `python train_language_models.py FOLDER`.

It needs a fastText that trains, such as fasttext-community, in an environment of its own: the package has the module
name of the fastText that only predicts. The texts are those of the folder of real data (SHARED_DATA): captions,
sentences of Wikipedia, words of the wordnets. These are in about 70 languages, so each language is split into several
labels by the first word of a text. The models serve to measure time and exactness, not to identify languages.
"""

import sys
import tempfile
from collections import defaultdict
from itertools import chain
from pathlib import Path
from zlib import crc32

import fasttext
from language_texts import cc3m, sentences, wit, words

LAYOUTS = {"like_openlid": (200, 1_000_000), "like_glotlid": (2_000, 2_000_000)}  # labels and buckets
MOST_TEXTS = 1_500  # of a language


def by_language() -> dict[str, list[str]]:
    """Return the texts of each language, at least a few words long where it has any, and not too many."""
    found = defaultdict(list)
    for language, text in chain(cc3m(), wit(), sentences(), words()):
        parts = text.split()
        if parts and len(found[language]) < MOST_TEXTS:
            found[language].append(" ".join(parts))
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
