"""An output folder and the inputs lie apart, whatever they are called."""

import pytest

from metadata import InputError
from runtime.folders.apart import require_apart


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder `data` with a crawl, and a link to it, in the current folder."""
    (tmp_path / "data" / "crawl").mkdir(parents=True)
    (tmp_path / "data" / "pairs.csv").write_text("url,text\n")
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("data/out", "data"),
        ("data/out", "./data/"),
        ("data/out/new", "data"),
        ("data/out", "link"),
        ("link/out", "data"),
        ("data/out", "file:///{data}"),
        ("data/out", "data/*"),
        ("data/out", "dat?/o*"),
        ("data/out", "data/**"),
        ("data/out", "data/**/*.parquet"),
        ("data/out", "data/*/*.parquet"),
        ("data/out", "data/*/pairs/*"),
        ("data/[out]", "data/*"),
        ("s3://bucket/data/out", "s3://bucket/data"),
        ("s3://bucket/data/out", "s3a://bucket/data/"),
        ("s3://bucket/data/out", "s3://bucket/*/*/*.parquet"),
        ("gs://bucket/out", "gs://bucket"),
    ],
)
def test_an_output_in_an_input_is_refused(data, output, given):
    with pytest.raises(InputError, match="output .* is in the input .* specify an output folder outside of the input"):
        require_apart(output, ["elsewhere", given.format(data=data)])
    assert not (data / "out").exists()


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("data", "data/crawl"),
        ("data", "data/crawl/*.wat.gz"),
        ("link", "data/pairs.csv"),
        ("data", "link/*.csv"),
        ("data", "data"),
        ("data", "link"),
        ("s3://bucket/out", "s3://bucket/out/a.parquet"),
        ("s3://bucket/out", "simplecache::s3://bucket/out/*"),
    ],
)
def test_an_input_in_the_output_is_refused(data, output, given):
    with pytest.raises(InputError, match="input .* the output folder .*; specify another output folder"):
        require_apart(output, [given])


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("data/out", "data/pairs.csv"),
        ("data/out", "data/crawl"),
        ("data/out", "data/*.csv"),
        ("data/out", "data/*.parquet"),
        ("data/out", "data/part-*/*.parquet"),
        ("data/out", "data/*/crawl/*.wat.gz"),
        ("data/out", "data/**/*.wat.gz"),
        ("data-2", "data"),
        ("[ab]/out", "a"),
        ("s3://bucket/data/out", "s3://bucket/*/*.parquet"),
        ("s3://bucket/out", "out"),
        ("s3://bucket/out", "https://bucket/out"),
        ("s3://bucket/out", "s3://bucket/outer"),
        ("out", "s3://out"),
    ],
)
def test_what_lies_apart_is_accepted(data, output, given):
    require_apart(output, [given])


def test_a_file_that_leads_into_the_output_is_refused(data):
    (data / "out").mkdir()
    (data / "out" / "counts.parquet").write_text("counts")
    (data / "crawl" / "a.parquet").symlink_to("../out/counts.parquet")
    with pytest.raises(InputError, match=r"input data/crawl/a.parquet is in the output folder data/out"):
        require_apart("data/out", ["data/crawl/a.parquet"])


def test_a_folder_in_the_output_may_be_excepted(data):
    require_apart("data", ["data/crawl", "data/crawl/*/a.gz"], except_in=["crawl"])
    with pytest.raises(InputError, match="is in the output folder"):
        require_apart("data", ["data/pairs.csv"], except_in=["crawl"])


def test_secrets_of_urls_are_not_shown(data):
    with pytest.raises(InputError) as refusal:
        require_apart("s3://bucket/out", ["s3://me:secret@bucket"])
    assert "secret" not in str(refusal.value)
