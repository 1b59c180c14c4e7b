import csv
import gzip
import io
import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.candidates import ROWS
from curation.inputs.tables import parquet
from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.delimited import check as check_csv
from curation.inputs.tables.delimited import read as read_csv
from curation.inputs.tables.json_lines import check as check_json
from curation.inputs.tables.json_lines import read as read_json
from curation.inputs.tables.lines import unpack
from curation.schemas import CANDIDATES
from runtime.errors import InputError
from tests.naive.inputs import naive_pair

URL = "https://example.org/a.jpg"


def result(batches):
    """The rows that a reader gives on, without null fields, and its tally."""
    batches = list(batches)
    for batch in batches:
        assert batch.schema == CANDIDATES
        batch.validate(full=True)
    rows = [{k: v for k, v in row.items() if v is not None} for batch in batches for row in batch.to_pylist()]
    pairs = [row for row in rows if "url" in row]
    tally = {row["text"]: row["tally"] for row in rows if "url" not in row}
    drops = sum(count for name, count in tally.items() if name.startswith("dropped."))
    is_whole = not {"dropped.truncated", "dropped.corrupt_file"} & set(tally)
    assert tally.get("pairs", 0) == len(pairs)
    assert not is_whole or tally.get("records", 0) == len(pairs) + drops
    return pairs, tally


def texts(found):
    return [row["text"] for row in found[0]]


def dropped(found):
    return {name.removeprefix("dropped."): count for name, count in found[1].items() if name.startswith("dropped.")}


def of_parquet(table, options=None, groups=None, **writing):
    file = io.BytesIO()
    pq.write_table(pa.table(table), file, **writing)
    return result(parquet.read(file, "x.parquet", options or TableOptions(), groups))


def of_json(content, options=None, path="x.jsonl"):
    content = content.encode() if isinstance(content, str) else content
    return result(read_json(unpack(io.BytesIO(content), path), path, options or TableOptions()))


def of_csv(content, options=None, path="x.csv"):
    content = content.encode() if isinstance(content, str) else content
    return result(read_csv(unpack(io.BytesIO(content), path), path, options or TableOptions()))


def json_lines(*objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


# Every format


@pytest.mark.parametrize("url", ["url", "URL", "image_url"])
@pytest.mark.parametrize("text", ["text", "TEXT", "caption", "alt"])
def test_the_usual_names_of_columns_are_recognised(url, text):
    expected = [{"url": URL, "text": "犬", "kind": "text"}]
    assert of_parquet({"other": [1], text: ["犬"], url: [URL]})[0] == expected
    assert of_json(json_lines({"other": 1, text: "犬", url: URL}))[0] == expected
    assert of_csv(f"other,{text},{url}\n1,犬,{URL}\n")[0] == expected


def test_other_columns_are_used_as_given():
    row = {"url": URL, "text": "x", "uid": "00ff", "language": "ja", "page_url": "p"}
    expected = [{**row, "kind": "text"}]
    assert of_parquet({name: [value] for name, value in row.items()})[0] == expected
    assert of_json(json_lines(row))[0] == expected
    assert of_csv(f"{','.join(row)}\n{','.join(row.values())}\n")[0] == expected


def test_an_empty_uid_is_none():
    assert "uid" not in of_csv(f"url,text,uid\n{URL},x,\n")[0][0]


def test_columns_can_be_named():
    options = TableOptions(url_column="u", text_column="t")
    assert texts(of_parquet({"u": [URL], "t": ["x"], "url": ["y"], "text": ["z"]}, options)) == ["x"]
    assert texts(of_json(json_lines({"u": URL, "t": "x", "text": "z"}), options)) == ["x"]
    assert texts(of_csv(f"u,t,text\n{URL},x,z\n", options)) == ["x"]


def test_a_file_without_the_columns_is_refused_with_what_it_has():
    sentence = r"x\.\w+ has no column text or TEXT or caption or alt for the text; it has url, words: .*--text-column"
    with pytest.raises(InputError, match=sentence):
        of_parquet({"url": [URL], "words": ["x"]})
    with pytest.raises(InputError, match=sentence):
        of_json(json_lines({"url": URL, "words": "x"}))
    with pytest.raises(InputError, match=sentence):
        of_csv("url,words\n")
    with pytest.raises(InputError, match=r"no column src .*--url-column"):
        of_csv("url,text\n", TableOptions(url_column="src"))
    with pytest.raises(InputError, match="2 columns named text"):
        of_csv("url,text,text\n")


def test_numbers_are_for_files_without_header():
    options = TableOptions("1", "0")
    assert options == TableOptions(1, 0)
    assert texts(of_csv(f"x\t{URL}\ny\t{URL}", options, "x.tsv")) == ["x", "y"]
    assert texts(of_csv(f"x,{URL}\n", options)) == ["x"]
    with pytest.raises(InputError, match="must be names, not numbers"):
        of_parquet({"url": [URL], "text": ["x"]}, options)
    with pytest.raises(InputError, match="has 2 columns, so there is none with number 2"):
        of_csv(f"x,{URL}\n", TableOptions(1, 2))
    with pytest.raises(InputError, match="either both are numbers"):
        TableOptions(1, None)


NASTY = [
    None,
    "",
    " ",
    "x",
    " ein\r\nHund ",
    "犬\u2028",
    "http:",
    "https://a",
    "HTTP://b/ c",
    "ftp://a/b",
    "http:///x",
    "//a/b",
]
nasty = st.lists(st.tuples(st.sampled_from(NASTY), st.sampled_from(NASTY)), max_size=30)


@settings(deadline=None)
@given(nasty)
def test_rows_are_dropped_as_by_the_naive_reader(rows):
    outcomes = [naive_pair(url, text) for url, text in rows]
    pairs = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    reasons = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    column = {"url": pa.array([u for u, _ in rows], pa.string()), "text": pa.array([t for _, t in rows], pa.string())}
    lines = json_lines({"url": "", "text": ""}, *({"url": u, "text": t} for u, t in rows))
    for found, extra in ((of_parquet(column), 0), (of_json(lines), 1)):
        assert [(row["url"], row["text"]) for row in found[0]] == pairs
        assert {f"dropped.{k}": v for k, v in dropped(found).items()} == reasons + Counter({"dropped.empty_url": extra})


# Parquet


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int8(), pa.string())]
)
def test_strings_of_any_arrow_type_are_read(kind):
    column = pa.array([None, "犬", "é"], pa.string()).cast(kind)
    found = of_parquet({"url": pa.array([URL] * 3), "text": column})
    assert texts(found) == ["犬", "é"]
    assert dropped(found) == {"empty_text": 1}


def test_numbers_become_strings():
    assert texts(of_parquet({"url": [URL] * 2, "text": [7, 8]})) == ["7", "8"]
    assert texts(of_json(json_lines({"url": URL, "text": 7}, {"url": URL, "text": 1.5}))) == ["7", "1.5"]


def test_a_column_of_lists_is_refused():
    with pytest.raises(InputError, match="column text of x.parquet holds list"):
        of_parquet({"url": [URL], "text": [["x"]]})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_strings_in_parquet_that_are_no_utf8_are_dropped(kind):
    offsets = {pa.large_string(): pa.large_binary()}.get(kind, pa.binary())
    column = pa.array(["é".encode(), b"\xff", None, b"\xed\xa0\x80", b"ok"], offsets)
    column = column if kind == pa.binary() else column.view(kind)
    found = of_parquet({"url": pa.array([URL] * 5), "text": column})
    assert texts(found) == ["é", "ok"]
    assert dropped(found) == {"bad_utf8": 2, "empty_text": 1}


def test_row_groups_are_read_each_once():
    rows = 2 * ROWS + 5
    table = {"url": [URL] * rows, "text": [str(i) for i in range(rows)]}
    parts = [of_parquet(table, groups=range(a, b), row_group_size=1000) for a, b in ((0, 3), (3, 16), (16, 17))]
    assert sum((texts(part) for part in parts), []) == table["text"] == texts(of_parquet(table))


def noisy_parquet():
    """A file of four row groups whose texts do not pack, and where the pages of texts begin."""
    file, noise = io.BytesIO(), random.Random(0)
    table = pa.table({"url": [URL] * 4000, "text": [noise.randbytes(1000).hex() for _ in range(4000)]})
    pq.write_table(table, file, row_group_size=1000, use_dictionary=False)
    metadata = pq.read_metadata(file)
    begins = [metadata.row_group(group).column(1).data_page_offset for group in range(4)]
    return file.getvalue(), begins, table["text"].to_pylist()


def test_a_damaged_parquet_file_gives_what_comes_before_the_damage():
    data, begins, expected = noisy_parquet()
    broken = data[: begins[2]] + bytes(50) + data[begins[2] + 50 :]
    found = result(parquet.read(io.BytesIO(broken), "x.parquet", TableOptions()))
    assert dropped(found) == {"corrupt_file": 1}
    assert texts(found) == expected[: len(texts(found))]
    assert 1000 <= len(texts(found)) <= 2000
    assert found[1]["pairs"] == len(found[0])


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ConnectionResetError("gone")])
def test_a_disk_or_network_that_fails_under_parquet_is_an_error(error):
    data, begins, _ = noisy_parquet()

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if begins[2] <= self.tell() < begins[3]:
                raise error
            return super().read(size)

    with pytest.raises(type(error)):
        list(parquet.read(Failing(data), "x.parquet", TableOptions()))


def test_no_rows_give_tallies_only():
    assert of_parquet({"url": pa.array([], pa.string()), "text": pa.array([], pa.string())}) == ([], {"files": 1})
    assert of_json("") == of_json("\n \n") == of_csv("url,text\n") == of_csv("") == ([], {"files": 1})


# JSON lines


def test_broken_lines_are_counted():
    sound = json_lines({"url": URL, "text": "x"})
    found = of_json(f'{sound}{{"url": \n[1]\n7\nnull\n\n{"[" * 100_000}\n{sound}'.replace("\n", "\r\n"))
    assert texts(found) == ["x", "x"]
    assert dropped(found) == {"bad_json": 5}


def test_text_that_is_no_unicode_is_counted():
    lines = json_lines({"url": URL, "text": "\ud800"}, {"url": URL, "text": "XX"}, {"url": URL, "text": "é"})
    found = of_json(lines.encode().replace(b"XX", b"\xff"))
    assert texts(found) == ["é"]
    assert dropped(found) == {"bad_utf8": 2}


def test_json_values_that_are_no_strings_are_no_texts():
    found = of_json(json_lines(*({"url": URL, "text": value} for value in (None, [], {}, True, ["x"]))))
    assert dropped(found) == {"empty_text": 5}


def test_keys_may_be_missing():
    found = of_json(json_lines({"url": URL}, {"text": "x"}, {"url": URL, "text": "x", "uid": "1"}))
    assert texts(found) == ["x"]
    assert dropped(found) == {"empty_url": 1, "empty_text": 1}


# CSV and TSV


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=20))
def test_csv_reads_what_the_standard_library_writes(captions):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["url", "caption"], *([URL, caption] for caption in captions)])
    expected = [naive_pair(URL, caption) for caption in captions]
    assert texts(of_csv(file.getvalue())) == [pair[1] for pair in expected if isinstance(pair, tuple)]


def test_quotes_in_tsv_mean_nothing():
    lines = f'url\ttext\r\n{URL}\t"5 inch\r\n{URL}\t12" x 5"\r\n\r\n{URL}\t"a" "b"\n{URL}\ta\rb\n'
    assert texts(of_csv(lines, path="x.tsv")) == ['"5 inch', '12" x 5"', '"a" "b"', "a b"]


def test_rows_of_another_width_are_counted():
    for separator, path in ((",", "x.csv"), ("\t", "x.tsv")):
        lines = f"url,text\n{URL},x\n{URL}\n{URL},x,y\n\n{URL},z\n".replace(",", separator)
        found = of_csv(lines, path=path)
        assert texts(found) == ["x", "z"]
        assert dropped(found) == {"bad_row": 2}


def test_a_quote_that_never_ends_costs_a_part_of_the_file_only():
    found = of_csv(f'url,text\n{URL},x\n{URL},"y\n' + f"{URL},z\n" * 20_000)
    assert texts(found)[0] == "x"
    assert 10_000 < len(texts(found)) < 20_000
    assert dropped(found) == {"bad_row": 1}


def test_a_byte_order_mark_is_no_part_of_a_name():
    assert texts(of_csv(f"\ufeffurl,text\n{URL},x\n")) == ["x"]
    assert texts(of_json("\ufeff" + json_lines({"url": URL, "text": "x"}))) == ["x"]


def test_csv_that_is_no_utf8_is_counted():
    found = of_csv(f"url,text\n{URL},caf".encode() + b"\xe9\n" + f"{URL},é\n".encode())
    assert texts(found) == ["é"]
    assert dropped(found) == {"bad_utf8": 1}


# Packed files

LINES = "url,text\n" + "".join(f"{URL},{i * 7919 % 104729}\n" for i in range(60_000))


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_packed_files_are_unpacked(ending, pack):
    assert len(texts(of_csv(pack(LINES.encode()), path=f"x.csv{ending}"))) == 60_000
    assert texts(of_json(pack(json_lines({"url": URL, "text": "x"}).encode()), path=f"x.json{ending}")) == ["x"]
    assert texts(of_csv(pack(f"url\ttext\n{URL}\tx".encode()), path=f"x.tsv{ending}")) == ["x"]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_a_packed_file_that_is_cut_gives_its_first_rows(ending, pack):
    packed = pack(LINES.encode())
    found = of_csv(packed[: len(packed) // 2], path=f"x.csv{ending}")
    assert texts(found) == [line.split(",")[1] for line in LINES.split("\n")[1 : len(texts(found)) + 1]]
    assert dropped(found) == {"truncated": 1}


def test_a_packed_file_that_is_broken_is_counted():
    assert dropped(of_json(b"\x1f\x8b\x08 no gzip, no", path="x.jsonl.gz")) == {"corrupt_file": 1}
    assert dropped(of_json(b"no zstd at all", path="x.jsonl.zst")) == {"corrupt_file": 1}


def test_a_disk_that_fails_is_an_error():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError("disk failed")

        read1 = readinto = read

    for path in ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst"):
        with pytest.raises(OSError, match="disk failed"):
            list(read_json(unpack(Failing(), path), path, TableOptions()))


# Checks before a run


def test_a_json_array_is_refused():
    with pytest.raises(InputError, match="no line that is a JSON object; expected JSON lines"):
        check_json(io.BytesIO(b'[\n{"url": 1},\n]'), "x.json", TableOptions())
    check_json(io.BytesIO(b""), "x.json", TableOptions())


def test_a_first_line_without_a_key_passes_if_another_has_it():
    check_json(io.BytesIO(json_lines({"url": URL}, {"text": "x"}).encode()), "x.json", TableOptions())
    with pytest.raises(InputError, match="no column url"):
        check_json(io.BytesIO(json_lines({"text": "x"}).encode()), "x.json", TableOptions())


def test_a_csv_without_header_is_refused_with_its_first_row():
    with pytest.raises(InputError, match="it has a caption, https://.*a number from 0"):
        check_csv(io.BytesIO(f"a caption,{URL}\n".encode()), "x.csv", TableOptions())
    with pytest.raises(InputError, match="it has none"):
        check_csv(io.BytesIO(b""), "x.csv", TableOptions())
