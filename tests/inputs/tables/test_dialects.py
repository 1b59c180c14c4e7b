"""CSV and TSV are read in the dialect that their first rows show, or that is given; a stray quote costs no row."""

import csv
import io

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.dialects import DIALECT_CHARACTERS, DIALECTS
from curation.inputs.tables.text import check_delimited as check
from runtime.errors import InputError
from tests.naive.inputs import naive_pair
from tests.support.tables import URL, dropped, of_csv, texts

CAPTIONS = ['a "b" c', "two\nlines", "x, y; z\tw", '"whole"', "back\\slash", "plain", '5" tv, "new"', "犬"]
READ = ['a "b" c', "two lines", "x, y; z\tw", '"whole"', "back\\slash", "plain", '5" tv, "new"', "犬"]
PAIRS = pd.DataFrame({"url": [URL] * len(CAPTIONS), "caption": CAPTIONS})
# What Spark 4 wrote for captions, as url,caption with its own options.
BY_SPARK = {
    'a "b" c': r'"a \"b\" c"',
    "back\\slash": "back\\slash",
    "back\\slash, comma": r'"back\\slash, comma"',
    'x\\"y': r'"x\\\"y"',
    "ends\\": "ends\\",
    "ends, with\\": r'"ends, with\\"',
    "two\nlines \\ 2": '"two\nlines \\\\ 2"',
    "\\\\server\\share": "\\\\server\\share",
}


def dialect(content, path="x.csv", options=None):
    return check(io.BytesIO(content.encode()), path, options or TableOptions()).dialect


@pytest.mark.parametrize("path", ["x.csv", "x.tsv"])
@pytest.mark.parametrize(("name", "delimiter"), [("comma", ","), ("tab", "\t"), ("semicolon", ";")])
def test_what_pandas_and_arrow_write_is_read_whatever_the_ending(path, name, delimiter):
    by_arrow = io.BytesIO()
    arrow_csv.write_csv(pa.table(PAIRS), by_arrow, arrow_csv.WriteOptions(delimiter=delimiter))
    for content in (PAIRS.to_csv(index=False, sep=delimiter), by_arrow.getvalue().decode()):
        found = of_csv(content, path=path)
        assert texts(found) == READ
        assert dropped(found) == {}
        assert dialect(content, path) == f"{name}-quoted"


@pytest.mark.parametrize(("name", "delimiter"), [("comma", ","), ("tab", "\t")])
def test_what_spark_writes_is_read(name, delimiter):
    content = f"url{delimiter}caption\n" + "".join(f"{URL}{delimiter}{written}\n" for written in BY_SPARK.values())
    assert texts(of_csv(content)) == [text.replace("\n", " ") for text in BY_SPARK]
    assert dialect(content) == f"{name}-escaped"


def test_captions_between_tabs_keep_stray_quotes():
    captions = ['"5 inch', '12" x 5"', '"a" "b"', '"all"', 'a "b" c', 'end"']
    content = "url\tcaption\n" + "".join(f"{URL}\t{caption}\n" for caption in captions)
    assert texts(of_csv(content, path="x.tsv")) == captions
    assert dialect(content, "x.tsv") == "tab-plain"


def test_numbers_of_columns_tell_the_delimiter_by_web_addresses():
    options = TableOptions(1, 0)
    content = f"a, b\t{URL}\nc, d\t{URL}\n"
    assert texts(of_csv(content, options, "x.csv")) == ["a, b", "c, d"]
    assert dialect(f"a;{URL}\n", "x.tsv", options) == "semicolon-quoted"


def test_a_dialect_that_is_given_is_taken():
    options = TableOptions(dialect="tab-plain")
    assert texts(of_csv(PAIRS[:1].to_csv(index=False, sep="\t"), options)) == ['"a ""b"" c"']
    with pytest.raises(InputError, match=r"dialect is 'csv'; expected one of comma-quoted, .*semicolon-plain"):
        TableOptions(dialect="csv")


ROWS = ['"5 inch', "b", '7" tv', '8"', '"a, b"', '"c" d', '"two\nlines, yes"', '"e, "f" g"', '"never', "z"]


def test_a_stray_quote_costs_no_row():
    found = of_csv("url,text\n" + "".join(f"{URL},{row}\n" for row in ROWS))
    assert texts(found) == ['"5 inch', "b", '7" tv', '8"', "a, b", '"c" d', "two lines, yes", 'e, f" g"', '"never', "z"]
    assert dropped(found) == {}


def test_a_stray_quote_costs_no_row_however_far_the_next_is():
    found = of_csv(f'url,text\n{URL},x\n{URL},"y\n' + f"{URL},z\n" * 20_000)
    assert texts(found) == ["x", '"y'] + ["z"] * 20_000


def test_rows_of_many_stray_quotes_take_linear_time():
    for row in ('"\n', '",\n', f'{URL},"\n', f'{URL},"x\n', '"\n"', '"",\n"'):
        of_csv("url,text\n" + row * 20_000)


def test_the_line_of_the_first_bad_row_is_that_of_the_file():
    rows = [f'{URL},"two\nlines"', f'{URL},"stray', "", f"{URL},x", "bad"]
    assert of_csv("\n".join(["url,text", *rows]))[1]["first_bad_line"] == 7
    assert of_csv(f"url\ttext\n\n{URL}\tx\nbad\n", path="x.tsv")[1]["first_bad_line"] == 4


captions = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
nasty = st.lists(captions | st.sampled_from(CAPTIONS + ['"', '""', '",', "\\", "a\n", '\\"']), max_size=20)


@settings(deadline=None)
@given(nasty, st.sampled_from([name for name in DIALECTS if not name.endswith("plain")]))
def test_every_dialect_reads_what_is_written_in_it(rows, name):
    file, own = io.StringIO(newline=""), DIALECTS[name]
    escaped = {"escapechar": "\\", "doublequote": False} if own.quotes == "escaped" else {}
    writer = csv.writer(file, delimiter=own.delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n", **escaped)
    writer.writerows([["url", "text"], *([URL, row] for row in rows)])
    expected = [naive_pair(URL, row) for row in rows]
    found = of_csv(file.getvalue(), TableOptions(dialect=name))
    assert texts(found) == [pair[1] for pair in expected if isinstance(pair, tuple)]


def test_only_the_first_lines_are_looked_at():
    begin = "url\ttext\n" + f"{URL}\tx\n" * (DIALECT_CHARACTERS // 20)
    assert dialect(begin + f'{URL}\t"a ""b"""\n' * 100, "x.tsv") == "tab-plain"


@pytest.mark.shared
def test_captions_of_cc3m_stay_as_they_are(shared_data):
    path = shared_data / "pairs" / "cc3m_validation.tsv"
    content = path.read_text("utf-8")
    found = of_csv(content, TableOptions(1, 0), path.name)
    assert dropped(found) == {}
    assert dialect(content, path.name, TableOptions(1, 0)) == "tab-plain"
    plain = [naive_pair(*reversed(line.split("\t"))) for line in content.split("\n") if line]
    assert texts(found) == [text for _, text in plain]
