"""Words are ICU's, in the form of the `unicode` rules."""

import bz2
import random
from itertools import product

import pytest
from icu4py.breakers import WordBreaker

from metadata.languages import LANGUAGES, LOCALE
from metadata.rules import normalise, symbols
from metadata.words import SEGMENTERS, segment
from tests.naive import ngrams as naive

CLASSES = " \u0301!aא1_·,.'\""  # a character of each kind that breaks words in its own way
FOREIGN = ("\u00ad", "\u200d", "©", "カ", "の", "ไ", "ท", "中", "😀", "🇦", "한", "e\u0301", "\r")


def words(text: str, code: str) -> list[str]:
    return segment(text, code).strings.to_pylist()


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
    monkeypatch.setitem(SEGMENTERS, "ja", lambda text: [text])
    monkeypatch.setitem(SEGMENTERS, "zh", list)
    assert words("東京都", "zh") == ["東", "京", "都"]
    assert words("東京", "ja") == ["東京"]


@pytest.mark.slow
@pytest.mark.shared
def test_real_articles_have_the_words_that_icu_alone_finds(shared_data):
    for code in ("ar", "de", "el", "fa", "he", "hi", "ja", "ka", "ko", "ml", "sv", "th", "zh"):
        text = wikitext(shared_data / "wikipedia" / "mini" / code)
        runs = [run for line in naive.lines(text) for run in naive.runs(line, code)]
        assert words(text, code) == [word for run in runs for word in run]


def wikitext(folder) -> str:
    return "\n".join(bz2.decompress(path.read_bytes()).decode()[:200_000] for path in sorted(folder.glob("*.bz2")))
