"""Files that are not what their name says are known by their first bytes: read, or named in a sentence."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.exclusion import Exclusion
from curation.inputs.files import find, read
from metadata import InputError

PAIRS = {"url": ["https://a.org/1.jpg", "https://a.org/2.jpg"], "text": ["a dog", "café"]}
CSV = "".join(",".join(row) + "\n" for row in [[*PAIRS], *zip(*PAIRS.values(), strict=True)]).encode()
JSON_LINES = b'{"url": "https://a.org/1.jpg", "text": "a dog"}\n{"url": "https://a.org/2.jpg", "text": "caf\\u00e9"}\n'


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(PAIRS), buffer)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("pairs.csv", data)
    return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("pairs.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("parquet.csv", parquet()),
        ("parquet.jsonl", parquet()),
        ("parquet.tsv.gz", parquet()),
        ("packed.csv", gzip.compress(CSV)),
        ("packed.jsonl", zstd(JSON_LINES)),
        ("packed.csv.zst", gzip.compress(CSV)),
        ("plain.csv.gz", CSV),
        ("plain.csv.gz", CSV.decode().replace("a dog", "é" * 400).encode()),
        ("plain.jsonl.zst", JSON_LINES),
    ],
)
def test_what_another_name_would_fit_is_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (source,) = find([str(tmp_path / name)])
    rows = [row for batch in read(source) for row in batch.to_pylist()]
    assert [row["url"] for row in rows] == PAIRS["url"]
    assert rows[1]["text"] == PAIRS["text"][1]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", bz2.compress(CSV), "is packed by bzip2, although its name says otherwise; unpack it first"),
        ("a.csv", lzma.compress(CSV), "is packed by xz"),
        ("a.csv", zipped(CSV), "is a ZIP archive or an Excel file"),
        ("a.jsonl", tarred(CSV), "is a tar archive"),
        ("a.csv", CSV.decode().encode("utf-16"), "is UTF-16, although its name says otherwise; convert it to UTF-8"),
        ("a.jsonl", JSON_LINES.decode().encode("utf-16"), "is UTF-16"),
        ("a.csv", b"ARROW1\0\0 and more", "is an Arrow file"),
        ("a.csv", b"\n<!DOCTYPE html><title>404</title>", "is an HTML page"),
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a pointer of Git LFS"),
        ("a.parquet", gzip.compress(parquet()), "is packed by gzip"),
        ("a.parquet", b"<html>busy</html>", "is an HTML page"),
        ("a.parquet", CSV, "cannot be read as Parquet: it begins with 'url,text"),
        (
            "a.parquet",
            parquet()[:-9],
            "cannot be read as Parquet: its end is missing or damaged; copy or download it again",
        ),
        ("a.csv", JSON_LINES, "was read as CSV or TSV, but contains JSON; rename it to end in .jsonl"),
        (
            "a.json",
            b'[{"url": "https://a.org/1.jpg",\n "text": "a dog"}]',
            "one object for each pair: jq -c '.[]' converts an array",
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refusal:
        find([str(tmp_path / name)])
    assert f"{name} {sentence}" in str(refusal.value) or sentence in str(refusal.value)


def test_a_list_of_another_kind_is_named(tmp_path):
    (tmp_path / "list.txt").write_bytes("a.org\n".encode("utf-16"))
    with pytest.raises(InputError, match="list.txt is UTF-16, although its name says otherwise; convert it to UTF-8"):
        Exclusion.read([str(tmp_path / "list.txt")])


@pytest.mark.parametrize("header", ["\x15\x04\x1b[2Jbinary" * 400, ",".join("abc\x07" * 99 for _ in range(99))])
def test_what_is_quoted_of_a_file_is_short_and_printable(tmp_path, header):
    (tmp_path / "pairs.csv").write_text(header)
    with pytest.raises(InputError) as refusal:
        find([str(tmp_path / "pairs.csv")])
    said = str(refusal.value)
    assert said.isprintable()
    assert len(said.removeprefix(str(tmp_path))) < 30 * 45 + 300
    assert max(map(len, said.partition("it has ")[2].partition(": name the column")[0].split(", "))) <= 60
