"""Frequency lists: how files are read, cleaned and cut, which languages they are of, and what is refused."""

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from metadata import InputError, frequency_lists
from metadata.build import Build, EntrySource, merged_entries
from metadata.config import MetadataConfig
from metadata.entries import Entries
from metadata.languages import OTHER
from metadata.sources import Sources
from runtime import packages
from runtime.folders.parts import Parts
from tests.naive.frequencies import naive_entries


def list_of(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def words_of(path: Path, least: float = 2.5) -> list[str]:
    (found,) = frequency_lists.find([str(path)])
    return frequency_lists.words_of_list(found, least, Counter())[0]


def words_or_sentence(path: Path) -> list[str] | str:
    try:
        return words_of(path, -10)
    except InputError as error:
        return str(error)


def built(folder: Path, *arguments: object, **numbers) -> Entries:
    sources = Sources.find(frequencies=list(map(str, arguments)))
    Build(MetadataConfig(**numbers), sources, Parts(folder / "sources", folder)).write(folder, lambda: None)
    return Entries.open(folder)


def test_a_list_of_counts_gives_what_its_naive_twin_gives(tmp_path):
    rng = random.Random(5)
    pieces = [
        "dog",
        "été",
        "l’",
        "ＡＢ",
        "ʼ",
        "...",
        " ",
        "犬",
        "नमस्ते",
        "x" * 140,
        "St.",
        "é",
        "ß",
        "🐕",
        "-",
        "\u200d",
    ]
    for number in range(200):
        rows = ["".join(rng.choices(pieces, k=rng.randint(0, 3))) for _ in range(rng.randint(1, 25))]
        upper = ["Berlin"] * (number % 2)
        counts = [10 ** rng.randint(0, 12) for _ in rows]
        lines = [f"{word}\t{count}" for word, count in zip(rows + upper, counts + [7], strict=False)]
        text = "\n".join([*lines, "no number", "odd\tmany", f"dog\t{10**12}"])
        least = rng.choice([-3, 2.5, 6])
        merged = merged_entries("de", [EntrySource("frequencies", words_of(list_of(tmp_path / "de.tsv", text), least))])
        assert list(merged.sources) == naive_entries(text, least), text


def test_metadata_have_the_words_that_are_frequent_enough(tmp_path):
    path = list_of(tmp_path / "de.tsv", "Hund\t1000000\nder\t998990\nselten\t10\nrar\t1000\n")
    entries = built(tmp_path / "metadata", path, least_zipf=4.0).of("de").to_pylist()
    assert {"Hund", "der", "rar"} <= {*entries}
    assert "selten" not in entries


@pytest.mark.parametrize("head", ["word\tcount\n", "Wort\tCOUNT\n", ""])
def test_counts_are_divided_by_their_sum(tmp_path, head):
    path = list_of(tmp_path / "de.tsv", f"{head}Hund\t1000000\nder\t998990\nselten\t10\nrar\t1000\n")
    assert words_of(path, 6) == ["Hund", "der"]
    assert words_of(path, 4) == ["Hund", "der", "rar"]
    assert words_of(path, 3.6) == ["Hund", "der", "rar", "selten"]  # log10(10 / 2,000,000) + 9 is 3.7


def test_zipf_values_are_taken_as_they_are_and_ranks_have_none(tmp_path):
    zipf = list_of(tmp_path / "de.tsv", "word\tzipf\nselten\t2.4\nHund\t2.5\nder\t7.5\n")
    assert words_of(zipf) == ["der", "Hund"]
    ranks = list_of(tmp_path / "fr.tsv", "word\trank\nParis\t3\nle\t1\nrare\t900000\n")
    assert words_of(ranks) == ["le", "Paris", "rare"]
    assert built(tmp_path / "out", ranks, zipf).table["score"].to_pylist().count(None) == 2 * 100 + 3


def test_a_list_whose_case_was_folded_stands_for_words_with_a_capital_too(tmp_path):
    assert words_of(list_of(tmp_path / "tr.tsv", "istanbul\t2\nışık\t1\n")) == ["istanbul", "İstanbul", "ışık", "Işık"]
    assert words_of(list_of(tmp_path / "ja.tsv", "東京\t2\n3d\t1\n")) == ["東京", "3d"]
    assert words_of(list_of(tmp_path / "de.tsv", "Hund\t2\nder\t1\n")) == ["Hund", "der"]


@pytest.mark.parametrize(
    ("name", "code"),
    [("en.tsv", "en"), ("pt-BR.tsv", "pt"), ("en_50k.txt", "en"), ("news-de.tsv.gz", "de"), ("fr/words.tsv", "fr")],
)
def test_the_name_of_a_file_or_its_folder_says_the_language(tmp_path, name, code):
    path = list_of(tmp_path / name, "a\t1\n")
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert [found.language.code for found in frequency_lists.find([str(tmp_path)])] == [code]
    assert frequency_lists.words_of_list(frequency_lists.find([str(path)])[0], 0, Counter())[0][0] == "a"


def test_a_language_may_be_given_and_two_lists_of_one_add_up(tmp_path):
    one, two = list_of(tmp_path / "a.list", "a\t1\n"), list_of(tmp_path / "b.list", "B\t1\na\t1\n")
    entries = built(tmp_path / "out", f"sw={one}", f"sw={two}")
    assert entries.of("sw").to_pylist()[100:] == ["a", "A", "B"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("word\tfreq\na\t1\n", "heading of the numbers in .* is 'freq'; a frequency list has a word, a tab"),
        ("dog 5\ncat 4\n", "does not hold any word with a number"),
        ("word\tcount\n", "does not hold any word with a number"),
        ("", "does not hold any word with a number"),
        ("b\t0\na\tnan\n", "does not hold any word with a number"),
        (b"a\t1\n\xff\t1\n", "is not UTF-8 at byte 4"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, text, message):
    path = tmp_path / "en.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        words_of(path)


def test_a_path_without_a_list_or_a_language_is_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no file or folder at .*missing"):
        frequency_lists.find([str(tmp_path / "missing")])
    with pytest.raises(InputError, match=r"holds no \.tsv or \.txt"):
        frequency_lists.find([str(tmp_path / "none")])
    with pytest.raises(InputError, match=r"neither the name of .* states a language; call it en\.tsv"):
        frequency_lists.find([str(list_of(tmp_path / "counts.tsv", "a\t1\n"))])
    (tmp_path / "en.tsv.gz").write_bytes(b"\x1f\x8bno")
    with pytest.raises(InputError, match=r"en\.tsv\.gz cannot be read"):
        words_of(tmp_path / "en.tsv.gz")


@pytest.mark.parametrize("ending", ["tsv", "tsv.gz", "tsv.xz", "tsv.bz2"])
def test_hostile_bytes_give_words_or_one_sentence(tmp_path, ending):
    rng = random.Random(ending)
    pieces = [
        b"dog",
        b"\t",
        b"\t",
        b"\n",
        b"\r\n",
        b"1",
        b"9e999",
        b"-3",
        b"zipf",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\x1f\x8b\x08",
        b"\0",
        "é".encode(),
    ]
    path = tmp_path / f"en.{ending}"
    for _ in range(150):
        path.write_bytes(b"".join(rng.choices(pieces, k=rng.randint(0, 20))))
        found = words_or_sentence(path)
        assert str(path) in found if isinstance(found, str) else all(found)


def test_without_the_package_its_lists_are_refused(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"wordfreq is not installed: pip install 'clip-curation\[starter\]'"):
        frequency_lists.find(["wordfreq"])


def test_each_language_of_wordfreq_has_one_here(tmp_path):
    from wordfreq import available_languages

    found = frequency_lists.find(["wordfreq"])
    assert len({each.path for each in found}) == len(available_languages())
    codes = [each.language.code for each in found]
    assert len(codes) == len(set(codes))
    assert OTHER.code not in codes
    assert {"tl", "no", "sh", "sr", "hr", "bs", "zh"} < set(codes)
    (vietnamese,) = (each for each in found if each.language.code == "vi")
    tally: Counter = Counter()
    words, zipf = frequency_lists.words_of_list(vietnamese, 4, tally)
    assert {"và", "Và"} < set(words)
    assert zipf == sorted(zipf, reverse=True)
    assert min(zipf) >= 4
    assert not {"00", "0000"} & set(words)
    assert tally["dropped", "numeral"] > 0
