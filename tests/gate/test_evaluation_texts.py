"""Exact texts of evaluation sets are found whatever their case and composition, and only as whole texts."""

import gzip
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.plugins.gate.evaluation import EvaluationTexts
from runtime.errors import InputError
from tests.naive.evaluation import naive_text

PIECES = [
    "dog",
    "Dog",
    "ß",
    "SS",
    "ss",
    "é",
    "e\u0301",
    "É",
    "Σ",
    "ς",
    "İ",
    "i̇",
    "ſ",
    "s",
    "K",
    "k",
    "犬",
    " ",
    "\n",
    "\u2028",
    "ﬁ",
    "fi",
]


def random_texts(chance: random.Random, number: int) -> list[str]:
    return ["".join(chance.choices(PIECES, k=chance.randrange(1, 4))) for _ in range(number)]


def test_texts_are_found_as_the_naive_twin_compares_them():
    chance = random.Random(1)
    given = random_texts(chance, 300)
    texts = random_texts(chance, 3000)
    wanted = {naive_text(text) for text in given} - {""}
    expected = [naive_text(text) in wanted for text in texts]
    clean = [" ".join(text.strip().splitlines()) for text in texts]
    assert EvaluationTexts.of(given).fails(pa.array(clean)).tolist() == expected
    assert 0.1 < sum(expected) / len(expected) < 0.9


def test_whole_texts_count_and_nulls_and_empty_ones_do_not():
    texts = EvaluationTexts.of(["a photo of a dog", "", "  ", None])
    assert len(texts) == 1
    found = texts.fails(pa.array(["A photo of a DOG", "a photo of a dog.", "a photo of a", "", None, "x"]).slice(1))
    assert found.tolist() == [False] * 5
    assert texts.fails(pa.array(["A photo of a DOG", None])).tolist() == [True, False]
    assert texts.fails(pa.array([], pa.string())).tolist() == []


def test_every_kind_of_file_gives_the_same_texts(tmp_path):
    texts = ["a Photo of a Häuschen", "#1, a dog", "犬"]
    lines = "\ufeff" + "\r\n".join(texts) + "\n\n"
    (tmp_path / "a.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "prompts").write_text("\n".join(reversed(texts)), encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "text": [*texts, None]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text('id,caption\n1,a Photo of a Häuschen\n2,"#1, a dog"\n3,犬\n', encoding="utf-8")
    (tmp_path / "a.tsv").write_text("TEXT\tid\na Photo of a Häuschen\t1\n#1, a dog\t2\n犬\t3\n", encoding="utf-8")
    for paths in (*([path] for path in sorted(tmp_path.iterdir())), [*tmp_path.iterdir()]):
        found = EvaluationTexts.read(paths).kinds["text"].keys
        assert found.tolist() == EvaluationTexts.of(texts).kinds["text"].keys.tolist()


def test_saved_texts_are_opened_again(tmp_path):
    texts = EvaluationTexts.of(["a dog", "犬"])
    again = EvaluationTexts.open(texts.save(tmp_path / "saved"))
    assert again.fails(pa.array(["A DOG", "cat", "犬"])).tolist() == [True, False, True]


def test_files_without_texts_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "bytes.txt").write_bytes(b"dog\n\xff\n")
    pq.write_table(pa.table({"label": ["dog"]}), tmp_path / "a.parquet")
    for name, sentence in (
        ("empty.txt", "empty.txt contains no text; pass a file with one text a line"),
        ("bytes.txt", "line 2: byte 0xff is not UTF-8"),
        ("a.parquet", "has the columns label; expected one named text or TEXT or caption or alt"),
        ("none.txt", "the file of evaluation texts .*none.txt cannot be read"),
    ):
        with pytest.raises(InputError, match=sentence):
            EvaluationTexts.read([tmp_path / name])
