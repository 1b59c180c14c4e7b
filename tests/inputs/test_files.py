"""Paths, folders and globs are found and read as inputs, split where they are large."""

import gzip
import json
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.inputs import files
from curation.inputs.files import FORMATS_GROUP, OWN_FORMATS, dialects, expected_extensions, find, format_of, read
from curation.inputs.tables.columns import TableOptions
from runtime.errors import InputError
from runtime.folders.stamps import Input
from tests.support.checkout import SHARED
from tests.support.installed import install

URL = "https://example.org/a.jpg"
LINE = json.dumps({"url": URL, "text": "x"}) + "\n"


@pytest.fixture
def folder(tmp_path):
    """A folder of files of each format, with some that are none."""
    for name in ("b.jsonl", "a.JSON", "sub/c.ndjson", "_SUCCESS", ".hidden.jsonl", "_temporary/d.jsonl", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LINE)
    (tmp_path / "e.csv").write_text(f"url,text\n{URL},x\n")
    (tmp_path / "f.tsv.gz").write_bytes(gzip.compress(f"url\ttext\n{URL}\tx\n".encode()))
    (tmp_path / "g.parquet").write_bytes(parquet())
    for name in ("h.warc.gz", "i.warc.wat.gz"):
        (tmp_path / name).write_bytes(b"looked at later")
    return tmp_path


def parquet(**writing):
    sink = pa.BufferOutputStream()
    rows = 4000
    table = pa.table({"url": [URL] * rows, "text": [f"{i * 7919 % 104729}" for i in range(rows)]})
    pq.write_table(table, sink, compression="none", use_dictionary=False, **writing)
    return sink.getvalue().to_pybytes()


def names(found, folder):
    return [Path(each.path).relative_to(folder).as_posix() for each in found]


def texts(found, options=None):
    return [row["text"] for each in found for b in read(each, options) for row in b.to_pylist() if row["url"]]


def test_a_folder_stands_for_its_readable_files_in_order(folder):
    found = find([str(folder)])
    assert names(found, folder) == [
        *("a.JSON", "b.jsonl", "e.csv", "f.tsv.gz", "g.parquet", "h.warc.gz", "i.warc.wat.gz", "sub/c.ndjson")
    ]
    assert [each.format for each in found] == ["json", "json", "csv", "csv", "parquet", "warc", "wat", "json"]


def test_a_file_is_listed_once_however_it_is_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    paths = ["sub", str(folder / "b.jsonl"), f"file://{folder}/b.jsonl", "b.jsonl", "*.jsonl", "s*"]
    assert names(find(paths), folder) == ["b.jsonl", "sub/c.ndjson"] == names(find(paths[::-1]), folder)


def test_an_input_knows_size_and_time(folder):
    path = folder / "b.jsonl"
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    stat, size = path.stat(), len(LINE)
    marks = {"file_size": size, "changed": stat.st_ctime_ns, "inode": stat.st_ino}
    assert find([str(path)]) == [Input(str(path), "json", size, 1_700_000_000_123_456_789, **marks)]


def test_a_name_may_look_like_a_glob_or_a_url(tmp_path):
    for name in ("a[1].jsonl", "b::c.jsonl", "d*.jsonl", "e?f.jsonl"):
        path = tmp_path / name
        path.write_text(LINE)
        assert texts(find([str(path)])) == ["x"]


def test_every_format_is_read(folder):
    tables = [each for each in find([str(folder)]) if each.format not in ("wat", "warc", "parquet")]
    assert texts(tables) == ["x"] * 5


def test_other_file_systems_are_read():
    system = fsspec.filesystem("memory")
    system.pipe("/pairs/a.jsonl", LINE.encode())
    system.pipe("/pairs/deep/b.csv.gz", gzip.compress(f"url,text\n{URL},y\n".encode()))
    for paths in (["memory://pairs"], ["memory://pairs/*.jsonl", "memory://pairs/deep/b.csv.gz", "memory://pairs/**"]):
        found = find(paths)
        assert [each.path for each in found] == ["memory:///pairs/a.jsonl", "memory:///pairs/deep/b.csv.gz"]
        assert texts(found) == ["x", "y"]


def test_the_ending_of_a_url_is_before_its_query():
    assert format_of("https://example.org/A.Parquet?signature=x.csv").name == "parquet"


def test_a_refusal_names_all_endings():
    assert expected_extensions() == (
        "expected .wat.gz, .warc.gz, .parquet, .jsonl, .ndjson, .json, .csv or .tsv (the last five also with .gz or"
        " .zst)"
    )
    assert all(format_of(f"a{ending.upper()}") is each for each in OWN_FORMATS for ending in each.endings)


def test_a_packed_file_has_the_format_that_is_in_it():
    assert [format_of(f"a{ending}.zst").name for ending in (".ndjson", ".tsv")] == ["json", "csv"]
    assert format_of("a.parquet.gz") is format_of("a.json.gz.gz") is None


def test_a_big_parquet_file_is_split_at_its_row_groups(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(row_group_size=500))
    whole = find([str(path)])
    assert [each.row_groups for each in whole] == [None]
    group = path.stat().st_size // 8
    monkeypatch.setattr(files, "SPLIT_BYTES", 2 * group)
    parts = find([str(path)])
    assert len(parts) > 2
    assert [each.row_groups[0] for each in parts[1:]] == [each.row_groups[1] for each in parts[:-1]]
    assert (parts[0].row_groups[0], parts[-1].row_groups[1]) == (0, 8)
    assert all(each.size >= 2 * group for each in parts[:-1])
    assert {each.file_size for each in parts} == {path.stat().st_size}
    assert texts(parts) == texts(whole)
    assert len(texts(whole)) == 4000


def test_a_sample_of_files_is_of_files_not_of_their_parts(tmp_path, monkeypatch):
    for name in "abcd":
        (tmp_path / f"{name}.parquet").write_bytes(parquet(row_group_size=500))
    monkeypatch.setattr(files, "SPLIT_BYTES", 5000)
    whole = find([str(tmp_path)])
    sampled = find([str(tmp_path)], sample_files=2, seed=1)
    assert len({each.path for each in sampled}) == 2
    assert sampled == [each for each in whole if each.path in {each.path for each in sampled}]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.jsonl", "missing.jsonl does not exist; expected an input: a file, a folder"),
        ("no*match", "does not exist"),
        ("README.md", r"unknown extension; expected \.wat\.gz"),
        ("README*", "contains no file that can be read"),
        ("empty", "contains no file that can be read"),
    ],
)
def test_what_stands_for_no_file_is_refused(folder, name, sentence):
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=sentence):
        find([str(folder / "b.jsonl"), str(folder / name)])


@pytest.mark.parametrize("url", ["nosuch://bucket/a.jsonl", "https://", "memory://nothing.jsonl"])
def test_a_url_that_cannot_be_opened_is_refused(url):
    with pytest.raises(InputError, match="cannot be looked up|does not exist|no installed package opens URLs"):
        find([url])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.parquet", b"no parquet", "cannot be read as Parquet"),
        ("a.parquet", b"", "cannot be read as Parquet"),
        ("a.jsonl", b'{"url": 1}\n', "no column text"),
        ("a.jsonl.gz", b"no gzip at all", "no line that is a JSON object"),
        ("a.csv", b"one,two\n", "it has one, two"),
        ("a.tsv.zst", b"no \xff zstd", "has no line that can be read"),
        ("a.csv", b"", "is empty; expected a line that names the columns"),
    ],
)
def test_a_table_without_its_columns_is_refused_before_any_work(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}.*{sentence}"):
        find([str(tmp_path)])


def test_columns_can_be_given(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(f"a dog\t{URL}\n")
    options = TableOptions(url_column="1", text_column="0")
    assert texts(find([str(path)], options), options) == ["a dog"]


def test_each_file_is_read_in_the_dialect_that_was_found_which_can_be_said(tmp_path):
    (tmp_path / "a.tsv").write_text(f'url\ttext\n{URL}\t"a ""b"""\n')
    (tmp_path / "b.tsv").write_text(f'url\ttext\n{URL}\t"a ""b"""\n')
    (tmp_path / "c.csv").write_text(f"url;text\n{URL};c\n")
    (tmp_path / "d.jsonl").write_text(LINE)
    found = find([str(tmp_path)])
    assert [file.dialect for file in found] == ["tab-quoted", "tab-quoted", "semicolon-quoted", None]
    assert texts(found)[:3] == ['a "b"', 'a "b"', "c"]
    assert dialects(found) == [
        f"{tmp_path}/a.tsv and 1 more are read with a tab between fields; fields may be in quotes "
        "(--dialect tab-quoted)",
        f"{tmp_path}/c.csv is read with a semicolon between fields; fields may be in quotes "
        "(--dialect semicolon-quoted)",
    ]
    plain = find([str(tmp_path / "a.tsv")], TableOptions(dialect="tab-plain"))
    assert texts(plain) == ['"a ""b"""']


def test_a_file_that_cannot_be_opened_any_more_is_an_error_of_the_system(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text(LINE)
    (found,) = find([str(path)])

    def refuse(*_):
        raise PermissionError("not yours")

    monkeypatch.setattr("builtins.open", refuse)  # a mode would not stop root
    with pytest.raises(OSError, match=r"you have no permission to read .*a\.jsonl; change its"):
        list(read(found))


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "pairs").is_dir(), reason="needs the shared data: pairs")
def test_real_tables_lose_no_row():
    pairs = SHARED / "pairs"
    named = TableOptions(text_column="caption_reference_description")
    assert len(texts(find([str(pairs / "*.parquet")]))) == 1000
    assert len(texts(find([str(pairs / "wit")], named), named)) == 9980
    numbered = TableOptions(1, 0)
    assert len(texts(find([str(pairs / "cc3m_validation.tsv")], numbered), numbered)) == 15833


@pytest.fixture
def unread():
    """The formats are looked up anew, before the test and after it."""
    files._formats.cache_clear()
    yield
    files._formats.cache_clear()


def test_a_format_of_another_installed_package_is_read(tmp_path, monkeypatch, unread):
    code = (
        "from curation.inputs.files import Format\n"
        "from curation.inputs.tables import text\n"
        "MADE_UP = Format('made_up', ('.pairs',), text.read_json_pairs, text.check_json, pair_bytes=100)\n"
    )
    install(monkeypatch, tmp_path / "site", "made_up", code, f"[{FORMATS_GROUP}]\nmade_up = made_up:MADE_UP\n")
    (tmp_path / "a.pairs").write_text('{"url": "https://e.org/a.jpg", "text": "x"}\n')
    (file,) = find([str(tmp_path / "a.pairs")])
    (pairs,) = read(file)
    assert (file.format, pairs["text"].to_pylist()) == ("made_up", ["x"])


@pytest.mark.parametrize("code", ["", "part = 3", "def part(file): ..."])
def test_a_format_of_a_wrong_kind_is_named_and_stops_only_its_files(folder, monkeypatch, caplog, unread, code):
    name = f"odd_format{len(code)}"
    install(monkeypatch, folder / "site", name, code, f"[{FORMATS_GROUP}]\nmarks = {name}:part\n")
    assert find([str(folder / "e.csv")])
    sentence = f"the package {name} has {name}:part as marks in {FORMATS_GROUP}"
    assert sentence in caplog.text
    with pytest.raises(InputError, match=f"README.md has an unknown extension; expected .*; {sentence}"):
        find([str(folder / "README.md")])


def test_a_format_that_takes_a_name_is_refused(folder, monkeypatch, unread):
    install(monkeypatch, folder / "site", "greedy_format", "part = 3", f"[{FORMATS_GROUP}]\ncsv = greedy_format:part\n")
    with pytest.raises(
        InputError, match="the package greedy_format has .* as csv in .*, but this name is already taken"
    ):
        find([str(folder / "e.csv")])


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A folder of two files of pairs, one without texts, and one that is no table of pairs."""
    pairs = {"url": ["https://a.org/1.jpg"], "text": ["x"]}
    for name, columns in {"train-00": pairs, "train-01": pairs, "validation": {"id": [1]}}.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    (tmp_path / "README.csv").write_text("how,to\n")
    return tmp_path


def test_all_odd_files_of_a_folder_are_named_with_a_glob_that_leaves_them_out(mixed):
    with pytest.raises(InputError) as refusal:
        find([str(mixed)])
    said = str(refusal.value)
    assert said.startswith(f"2 of 4 files cannot be used: {mixed}/README.csv has no column url")
    assert f"; nor can {mixed}/validation.parquet be used. To read the others, pass {mixed}/train-0*.parquet" in said
    assert said.endswith("instead, or skip these files with skip_unreadable=True")
    assert [Path(file.path).name for file in find([f"{mixed}/train-0*.parquet"])] == [
        "train-00.parquet",
        "train-01.parquet",
    ]


def test_odd_files_are_passed_over_if_that_is_asked_for(mixed):
    passed_over: dict[str, str] = {}
    found = find([str(mixed)], TableOptions(skip_unreadable=True), passed_over=passed_over)
    assert [Path(file.path).name for file in found] == ["train-00.parquet", "train-01.parquet"]
    assert passed_over == dict.fromkeys([f"{mixed}/README.csv", f"{mixed}/validation.parquet"], "unreadable file")


def test_files_that_can_all_not_be_used_are_refused_even_so(mixed):
    (mixed / "train-00.parquet").unlink()
    (mixed / "train-01.parquet").unlink()
    with pytest.raises(InputError, match="README.csv has no column url"):
        find([str(mixed)], TableOptions(skip_unreadable=True))


def test_no_glob_is_given_where_none_leaves_the_odd_files_out(mixed):
    (mixed / "train-00.parquet").rename(mixed / "a.parquet")
    with pytest.raises(InputError, match="To read the others, skip these files with skip_unreadable=True"):
        find([str(mixed)])


@pytest.mark.parametrize("given", ["out", "out/*", "."])
def test_the_output_of_a_run_is_no_input_but_its_manifest_is(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "curated").mkdir(parents=True)
    pq.write_table(pa.table({"url": ["https://a.org/1.jpg"], "text": ["x"]}), tmp_path / "out/curated/00000.parquet")
    (tmp_path / "out" / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"out is the output of a run; pass its manifest, .*/out/curated, or another"):
        find([given])
    assert len(find(["out/curated"])) == 1


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (["e.csv", "g.parquet"], None),
        (["e.csv", "e.csv"], "/e.csv is given twice, the second time by "),
        (["sub", "b.jsonl", "*.jsonl", "sub/c*"], "/b.jsonl and 1 more are given twice, the second time by "),
    ],
)
def test_what_is_given_twice_is_read_once_and_said(folder, caplog, paths, sentence):
    found = find([str(folder / path) for path in paths])
    assert len({file.path for file in found}) == len(found)
    assert [sentence in record.getMessage() for record in caplog.records] == [True] * (sentence is not None)
