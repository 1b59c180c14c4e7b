"""Texts with known languages are compared with what a model and the rules say of them."""

from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.language.judging import LanguageRules, Stated
from tests.naive.evaluate_languages import naive_evaluation
from tests.naive.judging import naive_judge
from tools.evaluate_languages import EVALUATED, WITNESSED, evaluate, evaluate_witnesses, main

LABELS = {"dog": ("en", 0.9), "hund": ("da", 0.4), "犬": ("ja", 0.8), "Hund": ("en", 0.3), "собака": ("en", 0.1)}
SCRIPTS = {"en": {"Latn"}, "da": {"Latn"}, "ja": {"Hani", "Hira", "Kana"}}
ROWS = st.lists(st.tuples(st.sampled_from([*LABELS]), st.sampled_from(["en", "da", "de", "ja", "other"])), max_size=30)
COMMAND = ["--output", "out", "--gold"]


class Lookup:
    """Stands for an identifier: labels and scores are those of LABELS."""

    def predict(self, texts):
        labels, scores = zip(*(LABELS[text] for text in texts.to_pylist()), strict=True) if len(texts) else ((), ())
        return pa.array(labels, pa.string()).dictionary_encode(), pa.array(scores, pa.float32())


def evaluated(rows, **rules):
    texts, gold = zip(*rows, strict=True) if rows else ((), ())
    columns = pa.array(texts, pa.string()), pa.array(gold, pa.string())
    return evaluate(*columns, Lookup(), LanguageRules(**rules))


@given(ROWS, st.sampled_from([0.0, 0.35]), st.booleans())
def test_figures_are_those_of_the_definition(rows, min_score, check_scripts):
    rules = {"min_score": min_score, "check_scripts": check_scripts}
    labels = [LABELS[text] for text, _ in rows]
    answers = [
        naive_judge(text, code, score, SCRIPTS[code], **rules)[0]
        for (text, _), (code, score) in zip(rows, labels, strict=True)
    ]
    expected = naive_evaluation([code for _, code in rows], answers, [score for _, score in labels])
    found = evaluated(rows, **rules)
    assert found.schema == EVALUATED
    for own, other in zip(found.to_pylist(), expected, strict=True):
        assert own == pytest.approx(other, abs=1e-6)


def test_labels_of_other_models_are_read_and_rows_without_text_or_language_left_out():
    rows = [("dog", "eng_Latn"), (None, "en"), ("dog", None), ("犬", "jpn_Jpan")]
    assert [(row["language"], row["texts"], row["recall"]) for row in evaluated(rows).to_pylist()] == [
        ("en", 1, 1.0),
        ("ja", 1, 1.0),
    ]


def test_a_language_may_be_stated_by_tag_or_name_and_an_empty_text_is_in_none():
    rows = [("dog", "english"), ("犬", "ja-JP"), ("", "en"), (" ", "en"), ("dog", "")]
    assert [(row["language"], row["texts"], row["recall"]) for row in evaluated(rows).to_pylist()] == [
        ("en", 1, 1.0),
        ("ja", 1, 1.0),
    ]


def test_witnesses_are_compared_alone_and_together_by_language():
    texts, gold = ["dog", "hund", "Hund", "Hund", "hund"], ["en", "da", "de", "de", "de"]
    stated = Stated(pa.array([None, None, "de", None, "de"]), pa.array([None, "da", "nl", "de", None]))
    rules = LanguageRules(witnesses=("page", "pool"))
    columns = pa.array(texts), pa.array(gold)
    table = evaluate_witnesses(*columns, Lookup(), rules, stated)
    assert table.schema == WITNESSED
    found = {(row.pop("witnesses"), row.pop("language")): tuple(row.values()) for row in table.to_pylist()}
    assert found["", None] == (5, 0, None, None, 0.4, 0.4)
    assert found["page", None] == (5, 2, 1.0, 0.0, 0.8, 0.8)
    assert found["pool", None] == (5, 3, pytest.approx(2 / 3), pytest.approx(1 / 3), 0.6, 0.6)
    assert found["page pool", None] == (5, 4, 1.0, 0.25, 1.0, 1.0)
    assert found["page pool", "de"] == (3, 3, 1.0, 0.0, 1.0, 1.0)
    assert found["", "da"] == (1, 0, None, None, 1.0, 0.5)


@pytest.fixture
def gold(tmp_path, monkeypatch):
    """A folder with a table of texts in each format."""
    monkeypatch.chdir(tmp_path)
    table = pa.table(
        {
            "text": [
                "A photo of a dog in the park",
                "公園で遊ぶ犬の写真",
                "Ein Haus am See im schönen Wald",
                "IMG_2034.jpg",
            ],
            "language": ["en", "ja", "deu_Latn", "other"],
        }
    )
    pq.write_table(table, "gold.parquet")
    csv.write_csv(table, "gold.csv")
    (tmp_path / "gold.tsv").write_text(
        "".join(f"{text}\t{code}\n" for text, code in [("text", "language"), *rows(table)])
    )
    (tmp_path / "gold.jsonl").write_text(
        "".join(f'{{"text": "{text}", "language": "{code}"}}\n' for text, code in rows(table))
    )
    return tmp_path


def rows(table):
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
def test_the_command_writes_table_and_plot_of_any_format(gold, ending, capsys):
    main([*COMMAND, f"gold.{ending}", "--no-language", "other"])
    found = pq.read_table("out/languages.parquet")
    assert found.schema == EVALUATED
    assert {row["language"]: row["recall"] for row in found.to_pylist()} == dict.fromkeys(
        ["de", "en", "ja", "other"], 1.0
    )
    assert csv.read_csv("out/languages.csv").num_rows == 4
    plot = ElementTree.parse("out/languages.svg").getroot()
    assert {"German", "English", "Japanese"} <= {element.text for element in plot.iter() if element.text}
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["German", "(de)", "1", "100.0", "%", "100.0", "%", "25.0", "%", "25.0", "%"] in lines
    assert ["all", "4", "100.0", "%", "100.0", "%"] in lines


def test_labels_that_are_not_known_and_rows_that_are_left_out_are_said(gold, capsys):
    (gold / "odd.csv").write_text('text,language\na dog,english\na dog,zz\n"",en\na cat,zz\na cat,\x1b[2J\n')
    main([*COMMAND, "odd.csv"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 5 rows are left out: they have no text or no language"
    assert lines[1].startswith(
        "warning: 3 rows state a language that is not known, and count as “other”; the most frequent: zz (2), "
        "\\u001b[2J (1). Known are BCP 47 tags"
    )


def test_the_command_compares_witnesses_with_what_the_table_states_of_pages(gold, capsys):
    sure = ["ein altes Haus steht am See", "der Hund schläft auf dem Sofa", "die Kinder spielen im Garten"]
    sure += ["wir fahren mit dem Zug nach Hause", "das Wetter ist heute schön"]
    lines = [f"{text},de,http://a.example/{number},\n" for number, text in enumerate(sure)]
    lines += ["xq,de,http://A.example/z,\n", "xq,fr,,fr-CA\n"]
    (gold / "pages.csv").write_text("text,language,page_url,page_language\n" + "".join(lines), "utf-8")
    main([*COMMAND, "pages.csv", "--witnesses", "pool", "page"])
    found = pq.read_table("out/witnesses.parquet").to_pylist()
    assert [(row["witnesses"], row["decided"]) for row in found if row["language"] is None] == [
        ("", 0),
        ("pool", 2),
        ("page", 1),
        ("pool page", 2),
    ]
    assert csv.read_csv("out/witnesses.csv").num_rows == len(found)
    assert ["pool", "page", "2", "28.6", "%", "100.0", "%", "0.0", "%", "100.0", "%", "100.0", "%"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


def test_shares_that_are_given_decide_on_doubtful_texts(gold, capsys):
    (gold / "short.csv").write_text("text,language\nHund,nl\nIMG_2034.jpg,nl\n", "utf-8")
    main([*COMMAND, "short.csv", "--witnesses", "pool", "--pool-share", "nl=1", "en=0"])
    assert pq.read_table("out/witnesses.parquet").to_pylist()[0]["decided"] == 0
    for shares, fault in ((["1"], "expected a language and a number"), (["nl=1", "nl=0"], "two numbers for nl")):
        with pytest.raises(SystemExit):
            main([*COMMAND, "short.csv", "--witnesses", "pool", "--pool-share", *shares])
        assert fault in capsys.readouterr().err


def test_gold_is_read_in_the_dialect_that_it_shows(gold):
    text = '"A photo of a dog in the park;\u2028it is ""big"" and brown"'
    (gold / "odd.tsv").write_text(f"\ufefftext;language\n{text};english\n", "utf-8")
    main([*COMMAND, "odd.tsv"])
    assert [row["texts"] for row in pq.read_table("out/languages.parquet").to_pylist()] == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gold.txt"], "gold.txt is no table of .parquet, .csv, .tsv, .jsonl"),
        (["nowhere.csv"], "nowhere.csv cannot be read"),
        (["gold.csv", "--text-column", "caption"], "gold.csv has no column caption; it has text, language"),
        (["broken.parquet"], "broken.parquet cannot be read as .parquet"),
    ],
)
def test_a_table_that_cannot_be_used_ends_in_one_sentence(gold, arguments, message, capsys):
    (gold / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(SystemExit) as end:
        main([*COMMAND, *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err
