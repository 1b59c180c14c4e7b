"""Words are ICU's, and the kernel that finds most of them without ICU finds the same."""

import bz2
import random
import unicodedata
from itertools import product

import numpy as np
import pytest
from icu4py.breakers import WordBreaker

from metadata.languages import LANGUAGES
from metadata.rules.characters import symbols
from metadata.rules.normal_form import readable, spelled
from metadata.rules.text import normalise
from metadata.words import segment
from metadata.words.breaks import EXAMPLES, LEARNED, LOCALE
from metadata.words.segment import words
from tests.naive import ngrams as naive

CLASSES = EXAMPLES.replace("\n", "")
FOREIGN = ("\u00ad", "\u200d", "©", "カ", "の", "ไ", "ท", "中", "😀", "🇦", "한", "e\u0301", "\r")
SPACES = tuple(
    c for c in map(chr, range(0x3100)) if unicodedata.category(c) in ("Zs", "Zl", "Zp") or c in "\n\r\v\f\x85"
)


def boundaries(begins) -> set[int]:
    return set(np.flatnonzero(begins).tolist())


def boundaries_of_icu(text: str) -> set[int]:
    found, at = set(), 0
    for piece in WordBreaker(text, LOCALE):
        found.add(at)
        at += len(piece.encode())
    return found


def assert_cut_as_by_icu(text: str):
    """The kernel misses no boundary of ICU, and adds one only after a space or line end."""
    data = text.encode()
    ours, theirs = boundaries(segment.icu(np.frombuffer(data, np.uint8))), boundaries_of_icu(text)
    spaces = tuple(space.encode() for space in SPACES)
    added = [at for at in ours - theirs if not data[:at][-4:].endswith(spaces)]
    assert (theirs - ours, added) == (set(), [])


def test_every_sequence_of_four_classes_is_cut_as_by_icu():
    assert_cut_as_by_icu("\n".join(map("".join, product(CLASSES, repeat=4))))


def test_every_sequence_of_three_with_characters_left_to_icu_is_cut_as_by_icu():
    assert_cut_as_by_icu("\n".join(map("".join, product((*CLASSES, *FOREIGN), repeat=3))))


def test_every_learned_character_is_cut_as_by_icu_among_letters_digits_and_marks():
    frames = ["a{}a", "1{}1", "a.{}", "1,{}", "{}'a", "{}_", "א{}א", "a {} a", "a\u0301{}\u0301a", "{0}{0}", "中{}"]
    for frame in frames:
        assert_cut_as_by_icu("\n".join(frame.format(chr(code)) for code in LEARNED))


def test_random_text_is_cut_as_by_icu():
    chance = random.Random(1)
    characters = [*map(chr, range(0x20, 0x3100)), *CLASSES * 200, *FOREIGN * 100]
    assert_cut_as_by_icu("".join(chance.choices(characters, k=100_000)))


def test_every_language_is_cut_alike_by_icu():
    text = "\n".join(map("".join, product((*CLASSES, ":"), repeat=2))) + "EU:s l'eau 3,5 日本タワー ภาษาไทย"
    cuts = {tuple(WordBreaker(text, language.code)) for language in LANGUAGES}
    assert cuts == {tuple(WordBreaker(text, LOCALE))}


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "The U.S. isn't 3.5% of_it (e-mail)", ["The", "U.S", "isn't", "3.5", "of_it", "e", "mail"]),
        ("en", "... !? — € 😀 _ ©", []),
        ("fr", "l’été à 10 000 €", ["l'été", "à", "10", "000"]),
        ("he", 'צה"ל של', ['צה"ל', "של"]),
        ("ca", "col·lecció", ["col·lecció"]),
        ("ar", "اللُّغَة العربية، نعم", [normalise("اللُّغَة"), "العربية", "نعم"]),
        ("hi", "हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("ko", "서울은 2024년 KBS가", ["서울은", "2024년", "KBS가"]),
        ("zh", "北京是中国的首都。", ["北京", "是", "中国", "的", "首都"]),
        ("ja", "日本タワー、ＡＢＣ", ["日本", "タワー", "ABC"]),
        ("th", "ภาษาไทย", ["ภาษา", "ไทย"]),
        ("lo", "ພາສາລາວ", ["ພາສາ", "ລາວ"]),
        ("km", "កម្ពុជាជាប្រទេស", ["កម្ពុជា", "ជា", "ប្រទេស"]),
        ("my", "မြန်မာ ဘာသာ", ["မြန်မာ", "ဘာသာ"]),
        ("bo", "བོད་ཡིག་ནི།", ["བོད", "ཡིག", "ནི"]),
    ],
)
def test_words_of_a_language_are_these(code, text, expected):
    assert words(text, code) == expected


def test_thai_am_is_looked_up_whole_and_written_in_normal_form():
    assert words("น้ำดื่ม", "th") == [normalise("น้ำ"), "ดื่ม"]


def test_the_words_of_a_text_are_symbols_of_the_unicode_rules_and_hold_all_its_letters():
    chance = random.Random(5)
    for _ in range(2000):
        text = "".join(chance.choices([*CLASSES, *FOREIGN, "ᥐ", "፲", "\u1680", "ៜ", " "], k=12))
        read, found = symbols(text), [symbol for word in words(text, "en") for symbol in symbols(word)]
        for word in words(text, "en"):
            places = [i for i in range(len(read)) if read[i : i + len(symbols(word))] == symbols(word)]
            assert places, (text, word)
        assert [symbol for symbol in read if symbol in found and is_letter(symbol)] == list(filter(is_letter, found))


def is_letter(symbol: str) -> bool:
    return any(map(naive.is_letter_or_digit, symbol))


def test_a_byte_order_mark_is_in_no_word():
    assert words("cat\ufeffdog", "en") == ["cat", "dog"]


def test_no_text_has_no_words():
    assert words("", "en") == words(" \n ", "ja") == []


def test_another_segmenter_is_one_line_in_the_table(monkeypatch):
    monkeypatch.setitem(segment.SEGMENTERS, "ja", segment.by_pieces(lambda text: text.split("|")))
    monkeypatch.setitem(segment.SEGMENTERS, "zh", segment.by_pieces(list))
    assert words("東京都", "zh") == ["東", "京", "都"]
    assert words("東京", "ja") == ["東京"]


def test_a_readable_text_is_the_normal_form_of_its_text():
    chance = random.Random(2)
    odd = [c for c in map(chr, range(0x110000)) if unicodedata.decomposition(c) or unicodedata.combining(c)]
    plain = [*map(chr, range(0x20, 0x400)), *" \n" * 40, *"\u0e33\u0e32\u0e4d\u0e49\u0301\u1100\u1161\u11a8™’" * 20]
    for _ in range(3000):
        text = "".join(chance.choices(odd if chance.random() < 0.3 else plain, k=20))
        text += "".join(chance.choices(plain, k=20))
        assert spelled(readable(text).decode()) == normalise(text), ascii(text)


@pytest.mark.shared
def test_real_articles_have_the_words_that_icu_alone_finds(shared_data):
    for code in ("ar", "de", "el", "fa", "he", "hi", "ja", "ka", "ko", "ml", "sv", "th", "zh"):
        text = wikitext(shared_data / "wikipedia" / "mini" / code)
        runs = [run for line in naive.lines(text) for run in naive.runs(line, code)]
        assert words(text, code) == [word for run in runs for word in run]


def wikitext(folder) -> str:
    return "\n".join(bz2.decompress(path.read_bytes()).decode()[:200_000] for path in sorted(folder.glob("*.bz2")))
