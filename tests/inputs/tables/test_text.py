"""JSON lines, CSV and TSV are read, also packed, and broken lines counted."""

import csv
import gzip
import io
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.tables.columns import TableOptions
from curation.inputs.tables.signatures import unpack
from curation.inputs.tables.text import read_json_pairs
from tests.naive.inputs import naive_pair
from tests.support.tables import URL, dropped, json_lines, of_csv, of_json, texts


def test_broken_lines_are_counted():
    sound = json_lines({"url": URL, "text": "x"})
    found = of_json(f'{sound}{{"url": \n[1]\n7\nnull\n\n{"[" * 100_000}\n{sound}'.replace("\n", "\r\n"))
    assert texts(found) == ["x", "x"]
    assert dropped(found) == {"bad_json": 5}
    assert found[1]["first_bad_line"] == 2


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


def test_a_byte_order_mark_is_no_part_of_a_name():
    assert texts(of_csv(f"\ufeffurl,text\n{URL},x\n")) == ["x"]
    assert texts(of_json("\ufeff" + json_lines({"url": URL, "text": "x"}))) == ["x"]


def test_csv_that_is_no_utf8_is_counted():
    found = of_csv(f"url,text\n{URL},caf".encode() + b"\xe9\n" + f"{URL},é\n".encode())
    assert texts(found) == ["é"]
    assert dropped(found) == {"bad_utf8": 1}


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
    assert dropped(of_json(b"no zstd \xff at all", path="x.jsonl.zst")) == {"corrupt_file": 1}


def test_a_disk_that_fails_is_an_error():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError("disk failed")

        read1 = readinto = read

    for path in ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst"):
        with pytest.raises(OSError, match="disk failed"):
            list(read_json_pairs(unpack(Failing(), path), path, TableOptions(), Counter()))
