"""Plain text → counted n-grams, MB/s of UTF-8 on one core, beside a plain Python loop over characters.

python tests/bench/bench_ngrams.py FILE en     # any text file and its language
python tests/bench/bench_ngrams.py             # made-up text in some languages
"""

import random
import sys
import time
import unicodedata
from pathlib import Path

import pyarrow as pa

from metadata.languages import language
from metadata.rules import normalise
from metadata.words import ICU_VERSION, count_batches, icu, segment

# Letters of made-up words; what ICU's dictionaries make of them takes it longer than real text.
ALPHABETS = {
    "en": "etaoinshrdlu", "de": "enisratäöüß", "ru": "оеаинтсрвлк", "ar": "اليمنورتبةع", "hi": "करनसतिाी्हम",
    "ko": "이다는을가의에한국", "zh": "的一是在不了有和人这中大国年", "ja": "のにはをたがで東京日本カタナ",
    "th": "กานรอเงมยลวดทสตะปบ",
}  # fmt: skip


def made_up(code: str, size: int = 2_000_000) -> list[str]:
    chance = random.Random(code)
    words = ["".join(chance.choices(ALPHABETS[code], k=chance.randint(2, 8))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # Zipf: as in real text
    gap = " " if language(code).spaced else ""
    texts = []
    while size > 0:
        sentences = [gap.join(chance.choices(words, weights, k=12)) + ". " for _ in range(40)]
        texts.append("".join(sentences))
        size -= len(texts[-1].encode())
    return texts


def character_loop(texts: list[str]) -> tuple[dict, dict]:
    """Words are runs of letters, digits and marks, also with one of .'’ inside: the loop that one writes first."""
    unigrams, bigrams = {}, {}
    for text in texts:
        word, before = "", None
        for character, after in zip(text + "\n", text[1:] + "\n\n", strict=True):
            kind = unicodedata.category(character)[0]
            if kind in "LMN" or (word and character in ".'’" and after.isalnum()):
                word += character
                continue
            if word:
                unigrams[word] = unigrams.get(word, 0) + 1
                if before is not None:
                    bigrams[before, word] = bigrams.get((before, word), 0) + 1
                before, word = word, ""
            if kind != "Z":
                before = None
    return unigrams, bigrams


def speed(work, texts: list[str], repeats: int = 3) -> float:
    """Return MB/s, the best of some runs."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work(texts)
        seconds.append(time.process_time() - start)
    return sum(len(text.encode()) for text in texts) / min(seconds) / 1e6


def compare(code: str, texts: list[str]):
    """Print the speed of the whole and of its parts; the first run compiles."""
    spoken = language(code)
    list(count_batches([pa.array(texts[:1])], spoken))
    whole = speed(lambda texts: list(count_batches([pa.array(texts)], spoken)), texts)
    words = speed(lambda texts: segment("\n".join(texts), code), texts)
    normal = speed(lambda texts: list(map(normalise, "\n".join(texts).split("\n"))), texts)
    pieces = speed(lambda texts: list(icu("\n".join(texts))), texts)
    plain = speed(character_loop, texts, repeats=1)
    parts = f"words {words:6.1f}, normal form {normal:6.1f}, ICU {pieces:6.1f}"
    print(f"{code}  count {whole:6.1f}  of which {parts}  loop {plain:5.2f}")


if __name__ == "__main__":
    print(f"MB/s, ICU {ICU_VERSION}")
    if len(sys.argv) == 3:
        compare(sys.argv[2], Path(sys.argv[1]).read_text("utf-8").split("\n\n"))
    else:
        for each in ALPHABETS:
            compare(each, made_up(each))
